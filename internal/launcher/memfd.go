package launcher

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// newMemfd is an executable memfd (memfd_create(2)), which is no standard file.
func newMemfd() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("nsx", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("nsx", flags) // before Linux 6.3
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	if fd < stdFiles {
		low := fd
		fd, err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, stdFiles)
		unix.Close(low)
		if err != nil {
			return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
		}
	}
	return os.NewFile(uintptr(fd), "memfd:nsx"), nil
}

// fillAndSeal makes it a file that nobody can change any more, the process that
// executes it included: F_ADD_SEALS in fcntl(2).
func fillAndSeal(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = seal(int(f.Fd()))
	}
	if err != nil {
		return fmt.Errorf("memfd: %w", err)
	}
	return nil
}

func seal(fd int) error {
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals|unix.F_SEAL_EXEC)
	if errors.Is(err, unix.EINVAL) {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals) // before Linux 6.3
	}
	return os.NewSyscallError("fcntl F_ADD_SEALS", err)
}
