// Package proc is the one reader of /proc, and of the root around it, where these
// may be data: a captured tree, or a host's root that is mounted elsewhere. No link
// leads out of such a root, nothing that could block or act is opened for reading,
// and no file is read beyond a bound. What may hang all the same is read under a
// guard.
package proc

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The bounds of what is read whole. Each is far above what the kernel or a
// machine that works makes of the file.
const (
	// MaxFile is for small files: stat, status (65536 groups are 700 KB), cgroup.
	MaxFile = 1 << 20
	// MaxTable is for mount tables, where fs.mount-max allows 100,000 lines, and
	// for passwd files.
	MaxTable = 32 << 20
	// MaxEnviron is above the most that execve(2) takes for arguments and
	// environment together: three quarters of 8 MiB (bprm_stack_limits in
	// fs/exec.c).
	MaxEnviron = 6 << 20
)

// ErrIrregular says that something else is where a regular file should be.
var ErrIrregular = errors.New("not a regular file")

// Root is the directory that takes the place of "/": "" and "/" are our own.
type Root string

// Own says that the root is the caller's.
func (r Root) Own() bool { return r == "" || r == "/" }

// Join is a path below the root for messages, and for those who may follow links.
func (r Root) Join(elem ...string) string {
	if r.Own() {
		r = "/"
	}
	return filepath.Join(append([]string{string(r)}, elem...)...)
}

// Open opens what lies at name below the root with the flags of open(2). Below
// another root than our own every link, and "..", ends inside (openat2(2),
// RESOLVE_IN_ROOT, Linux 5.6).
func (r Root) Open(name string, flags int) (int, error) {
	if r.Own() {
		fd, err := unix.Open("/"+strings.TrimPrefix(name, "/"), flags|unix.O_CLOEXEC, 0)
		return fd, pathError(r.Join(name), err)
	}
	top, err := unix.Open(string(r), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, pathError(r.Join(name), err)
	}
	defer unix.Close(top)
	fd, err := openat2(top, name, flags, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	return fd, pathError(r.Join(name), err)
}

// ReadFile reads a regular file below the root, of at most so many bytes: a
// longer one is EFBIG.
func (r Root) ReadFile(name string, most int) ([]byte, error) {
	at, err := r.Open(name, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	fd, err := ReopenFile(at, unix.O_RDONLY)
	if err != nil {
		return nil, pathError(r.Join(name), err)
	}
	defer unix.Close(fd)
	data, err := readAll(fd, most)
	return data, pathError(r.Join(name), err)
}

// Readlink reads a link below the root, "" if there is none.
func (r Root) Readlink(name string) string {
	at, err := r.Open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return ""
	}
	defer unix.Close(at)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at, "", buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// OpenBeneath opens what lies at name below a directory: a link that leads out
// of it is EXDEV.
func OpenBeneath(dir int, name string, flags int) (int, error) {
	return openat2(dir, name, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS)
}

// OpenRegular opens a regular file below a directory. Whatever else is there is
// looked at only.
func OpenRegular(dir int, name string, flags int) (int, error) {
	at, err := OpenBeneath(dir, name, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	return ReopenFile(at, flags)
}

// Readlink reads a link below a directory, without following it.
func Readlink(dir int, name string, buf []byte) (int, error) {
	at, err := OpenBeneath(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return 0, err
	}
	defer unix.Close(at)
	n, err := unix.Readlinkat(at, "", buf)
	if errors.Is(err, unix.ENOENT) { // what it says of a descriptor of anything else
		err = unix.EINVAL
	}
	return n, err
}

// ReopenFile opens the file or, with O_DIRECTORY, the directory that an O_PATH
// descriptor is of: anything else is ErrIrregular.
func ReopenFile(at, flags int) (int, error) {
	if flags&unix.O_DIRECTORY != 0 {
		return reopenIf(at, flags, unix.S_IFDIR)
	}
	return reopenIf(at, flags, unix.S_IFREG)
}

func reopenIf(at, flags int, format uint32) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return -1, err
	}
	switch is := st.Mode & unix.S_IFMT; {
	case is == format:
	case is == unix.S_IFDIR:
		return -1, unix.EISDIR
	case format == unix.S_IFDIR:
		return -1, unix.ENOTDIR
	default:
		return -1, ErrIrregular
	}
	return Reopen(at, flags)
}

// Reopen opens what an O_PATH descriptor is of, which the caller has looked at:
// it is not looked up again.
func Reopen(at, flags int) (int, error) {
	return unix.Open("/proc/thread-self/fd/"+strconv.Itoa(at), flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

func openat2(dir int, name string, flags int, resolve uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve})
		// EAGAIN: something was renamed on the way, and ".." could not be trusted.
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// readAll reads a descriptor.
func readAll(fd, most int) ([]byte, error) { return ReadAll(reader(fd), most) }

// ReadAll reads all, which must be no more than so many bytes: more is EFBIG.
func ReadAll(r io.Reader, most int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(data) > most {
		err = unix.EFBIG
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// reader reads a descriptor that stays its owner's.
type reader int

func (r reader) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(r), p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func pathError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}

// ReadDir lists the names in a directory below the root, in order, so many at most.
func (r Root) ReadDir(name string, most int) ([]string, error) {
	fd, err := r.Open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), r.Join(name))
	defer dir.Close()
	names, err := dir.Readdirnames(most)
	if errors.Is(err, io.EOF) { // it is empty
		err = nil
	}
	slices.Sort(names)
	return names, err
}
