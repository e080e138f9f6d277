package proc

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// OpenPIDFD is pidfd_open(2), where a process that is gone is ESRCH, always.
//
// Linux 6.1 says EINVAL while its number is still a process group's or session's,
// and while it is reaped. ENOENT is what newer kernels say of a thread's number,
// as this may be by now.
func OpenPIDFD(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = unix.ESRCH
	}
	return fd, os.NewSyscallError("pidfd_open", err)
}

// Gone says that err means "no such process (any more)": ENOENT from a path, ESRCH
// from what was opened before.
func Gone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }
