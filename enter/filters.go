package enter

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/linux"
)

// filtersOf reads the target's seccomp filters.
func filtersOf(ctx context.Context, t *inspect.Target) ([][]byte, error) {
	tid := t.PID
	if t.TID != 0 {
		tid = t.TID
	}
	return linux.SeccompFilters(ctx, tid, t.Alive)
}

// explainFilters says why the filters of a target cannot be read. The command does
// not run without them: a target that lets itself be traced or frozen would
// otherwise choose that it does.
func explainFilters(t *inspect.Target, err error) error {
	why, reason := "", ErrUntraceable
	switch {
	case errors.Is(err, unix.EACCES):
		why = "it takes CAP_SYS_ADMIN, in the initial user namespace and without a filter of our own"
	case errors.Is(err, unix.EPERM):
		why = "something traces it already, such as a debugger, or ptrace(2) is forbidden (kernel.yama.ptrace_scope)"
	case errors.Is(err, unix.ETIMEDOUT):
		why = "it does not stop to have them read: it is in uninterruptible sleep"
		if frozen, ok := errors.AsType[*cgroupfs.Error](frozenBy(t)); ok {
			why = frozen.Cause + ", and it does not stop to have them read: " + frozen.Next
			err, reason = errors.Join(err, frozen), ErrFrozen
		}
	case errors.Is(err, unix.EINVAL):
		why = "this kernel is built without CONFIG_CHECKPOINT_RESTORE, or the target is in strict mode"
	case errors.Is(err, unix.EMEDIUMTYPE):
		why = "they are not of classic BPF"
	case errors.Is(err, unix.ESRCH):
		return exited("reading the seccomp filters of "+t.Name(), err)
	}
	return &Error{What: "reading the seccomp filters of " + t.Name() + ", under which the command has to run", Err: err, Why: why, Reason: reason}
}
