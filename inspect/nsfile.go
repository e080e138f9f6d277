package inspect

import (
	"errors"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// A name that others have a hand in (a path, a descriptor of another process)
// may stand for a namespace at one moment and for a FIFO, a device or a file of
// a dead server at the next. So it is opened with O_PATH, which neither blocks
// nor acts, looked at, and what was looked at is opened for reading.

// errNoNamespace says that a file is no namespace's.
var errNoNamespace = errors.New("no namespace file")

// openNamespace opens a namespace file whose type is not known yet.
func openNamespace(dir int, name string) (int, ID, error) {
	at, err := unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, ID{}, err
	}
	defer unix.Close(at)
	return reopenNamespace(at)
}

// reopenNamespace opens for reading the namespace file that an O_PATH
// descriptor is of.
func reopenNamespace(at int) (int, ID, error) {
	if !isNamespaceFile(at) {
		return -1, ID{}, errNoNamespace
	}
	fd, err := proc.Reopen(at, unix.O_RDONLY)
	if err != nil {
		return -1, ID{}, err
	}
	id, err := identify(fd)
	if err != nil {
		unix.Close(fd)
		return -1, ID{}, err
	}
	return fd, id, nil
}

// isNamespaceFile says whether an open file is a namespace's.
func isNamespaceFile(fd int) bool {
	d, err := deviceOf(fd, "", unix.AT_EMPTY_PATH)
	return err == nil && d != device{} && d == nsfsDevice()
}

// device is a file's: major, minor.
type device [2]uint32

// nsfsDevice is the device of all namespace files, the zero value if that is
// not known.
func nsfsDevice() device {
	d, err := deviceOf(unix.AT_FDCWD, "/proc/thread-self/ns/user", 0)
	if err != nil {
		return device{}
	}
	return d
}

// deviceOf asks no file server, as statfs(2) and a plain stat(2) would.
func deviceOf(dir int, name string, flags int) (device, error) {
	var st unix.Statx_t
	err := unix.Statx(dir, name, flags|unix.AT_STATX_DONT_SYNC, 0, &st)
	return device{st.Dev_major, st.Dev_minor}, err
}

// identify is the type and inode number of an open namespace file.
func identify(fd int) (ID, error) {
	flag, err := linux.NSType(fd)
	if err != nil {
		return ID{}, err
	}
	t, known := TypeOfFlag(flag)
	if !known {
		return ID{}, unix.ENOTTY
	}
	inode, err := inodeOf(fd)
	return ID{t, inode}, err
}
