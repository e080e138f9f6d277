package cgroupfs

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/reason"
)

// Why something was refused, for errors.Is. Beside its reason an error has its
// errno: errors.Is(err, unix.EBUSY) works as well, and so does fs.ErrPermission.
var (
	// ErrUsage marks words that name nothing, whatever is there: a path with "..",
	// a size of no number.
	ErrUsage = reason.ErrUsage
	// ErrGone says that there is no such group, process, unit or hierarchy, or none
	// any more. errors.Is finds fs.ErrNotExist too.
	ErrGone = reason.ErrGone
	// ErrAmbiguous says that several groups are meant.
	ErrAmbiguous = reason.ErrAmbiguous
	// ErrOutside says that a group cannot be seen from here: it lies outside of this
	// cgroup namespace, or of what is mounted.
	ErrOutside = errors.New("it cannot be seen from here")

	// ErrOwned says that the group belongs to somebody else, such as systemd or a
	// container runtime, or that the caller itself is in it: see Error.Owner.
	// Group.Forced is the group without that guard.
	ErrOwned = errors.New("it belongs to somebody else")
	// ErrWouldKill says that the limit is below what the group uses, so that the kernel
	// would kill in it. Group.Forced sets it all the same.
	ErrWouldKill = errors.New("it would kill")
	// ErrKernelThread says that the process is one of the kernel's, which works for the
	// whole machine. Group.Forced moves it all the same.
	ErrKernelThread = errors.New("it is a kernel thread")
	// ErrThread says that a thread was given where a whole process is wanted, or a
	// process where only threads may be: see Group.AttachThreads.
	ErrThread = errors.New("threads and processes are not the same here")

	// ErrBusy says that something is in the way: processes inside, groups below, or
	// what other groups have.
	ErrBusy = errors.New("something is in the way")
	// ErrNotEmpty is an ErrBusy: the group has others below it. Group.Remove removes
	// these too if it is told so.
	ErrNotEmpty = fmt.Errorf("there are groups below: %w", ErrBusy)
	// ErrFrozen is an ErrBusy: the group, or one above it, is frozen. See Error.Remedy.
	ErrFrozen = fmt.Errorf("the group is frozen: %w", ErrBusy)

	// ErrPermission says that we lack a right.
	ErrPermission = reason.ErrPermission
	// ErrNotDelegated is an ErrPermission: the group's files are those of another user,
	// who may give them to us.
	ErrNotDelegated = fmt.Errorf("the group is not delegated to us: %w", ErrPermission)
	// ErrReadOnly is an ErrPermission: the hierarchy is mounted read-only.
	ErrReadOnly = fmt.Errorf("it is mounted read-only: %w", ErrPermission)

	// ErrNotEnabled says that a controller is not on for the group: see
	// CreateOptions.Controllers.
	ErrNotEnabled = errors.New("the controller is not enabled")
	// ErrUnsupported says that this kernel, version or group has no such thing.
	ErrUnsupported = reason.ErrUnsupported
	// ErrNoLimit marks control files that are no limits. It is that of package keys.
	ErrNoLimit = keys.ErrNoLimit
	// ErrValue says that the kernel does not take this value, here and now.
	ErrValue = errors.New("the value is refused")
	// ErrLimit says that a limit is reached: of processes, groups, memory.
	ErrLimit = reason.ErrLimit
)

// reasonOf is the reason that an errno stands for where nothing more is known.
func reasonOf(err error) error {
	errno, _ := errors.AsType[unix.Errno](err)
	switch errno {
	case unix.ENOENT, unix.ENODEV, unix.ESRCH:
		return ErrGone
	case unix.EACCES, unix.EPERM:
		return ErrPermission
	case unix.EROFS:
		return ErrReadOnly
	case unix.EBUSY, unix.ETIMEDOUT:
		return ErrBusy
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EBADF:
		return ErrUnsupported
	case unix.EINVAL, unix.ERANGE, unix.EEXIST, unix.E2BIG, unix.EOVERFLOW, unix.ENAMETOOLONG, unix.ENOTBLK:
		return ErrValue
	case unix.EAGAIN, unix.ENOMEM, unix.ENOSPC, unix.EMFILE, unix.ENFILE:
		return ErrLimit
	case unix.EXDEV:
		return ErrOutside
	case unix.ENOTUNIQ:
		return ErrAmbiguous
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ErrGone
	}
	return nil // the context has ended, or the disk has
}
