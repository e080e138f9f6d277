package enter

import (
	"errors"
	"fmt"

	"nsx/inspect"
	"nsx/internal/reason"
)

// Why something was refused, for errors.Is. Beside its reason an error has its
// errno: errors.Is(err, unix.EPERM) works as well, and so does fs.ErrPermission.
var (
	// ErrUsage says that requests and options contradict each other, or that one
	// lacks what it is about. It is inspect's.
	ErrUsage = inspect.ErrUsage
	// ErrGone says that the target has exited. It is inspect's.
	ErrGone = inspect.ErrGone
	// ErrPermission says that we lack a right, such as a capability in the user
	// namespace that owns what is to be joined.
	ErrPermission = reason.ErrPermission
	// ErrUnshare is an ErrPermission: new namespaces take CAP_SYS_ADMIN, which a
	// new user namespace gives.
	ErrUnshare = fmt.Errorf("new namespaces take a user namespace or root: %w", ErrPermission)
	// ErrLimit says that a limit on processes or namespaces is reached.
	ErrLimit = reason.ErrLimit
	// ErrMoved says that the target was in other namespaces each time that it was
	// looked at again. Try again, or stop it first.
	ErrMoved = errors.New("the target does not stay where it is")
	// ErrEnded says that a PID namespace has lost its first process: nothing can be
	// started in it any more.
	ErrEnded = errors.New("the PID namespace has ended")

	// ErrNotMapped says that a user or group has no place in the user namespace:
	// see Options.UID, GID and KeepCredentials.
	ErrNotMapped = errors.New("an id is not mapped in the user namespace")
	// ErrNoIDs says that the user namespace lets nobody change ids or groups, since
	// it maps none or denies setgroups(2): see Options.KeepCredentials.
	ErrNoIDs = errors.New("the user namespace lets ids and groups not be changed")
	// ErrNoNewuidmap says that newuidmap(1) or newgidmap(1) is not installed.
	ErrNoNewuidmap = errors.New("newuidmap is not installed")
	// ErrPropagation says that the propagation of mounts cannot be set here: see
	// Propagation of [Unshare].
	ErrPropagation = errors.New("mounts have no propagation here")
)

// Why the target's own code cannot be run as it should. Each is something that the
// command was to have or not to have, and Options has a switch that goes without.
var (
	// ErrUnsafe says that what is asked for would give the command more than the
	// target has: see Options.Privileged.
	ErrUnsafe = errors.New("it would have more than the target has")
	// ErrUserNamespace is an ErrUnsafe, where it would do to join the target's user
	// namespace as well.
	ErrUserNamespace = fmt.Errorf("outside of its user namespace %w", ErrUnsafe)
	// ErrLabel says that the command cannot have the security label of the target:
	// see Options.Privileged.
	ErrLabel = errors.New("no label of the target's")
	// ErrUntraceable says that the target's seccomp filters cannot be read, or the
	// command not be put under them, which both takes ptrace(2): see
	// Options.NoSeccomp.
	ErrUntraceable = errors.New("no ptrace for the target's seccomp filters")
	// ErrFrozen is an ErrUntraceable: the target stands still, for its group is
	// frozen. Thaw that first.
	ErrFrozen = fmt.Errorf("the target is frozen: %w", ErrUntraceable)
	// ErrFiltered says that a seccomp filter of the target forbids what starting the
	// command takes: see Options.NoSeccomp.
	ErrFiltered = errors.New("a seccomp filter of the target forbids it")
	// ErrEnvironment says that the command cannot have the environment of the
	// target: see Options.OwnEnv.
	ErrEnvironment = errors.New("no environment of the target's")
	// ErrCgroups says that the command cannot be in the cgroups of the target: see
	// Options.OwnCgroup.
	ErrCgroups = errors.New("no cgroups of the target's")
)
