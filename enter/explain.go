package enter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// processLimits is what EAGAIN of a new process means.
const processLimits = "a limit on processes is reached: pids.max of a cgroup, RLIMIT_NPROC, or kernel.pid_max"

// explain says why the command did not start, for what no step has said itself.
func (c *Cmd) explain(ctx context.Context, err error) error {
	if step, ok := errors.AsType[*launcher.StepError](err); ok {
		e := explained(step.Step, step.Errno, "")
		if c.plan.filtered() {
			e.Why, e.Reason = "it may be a seccomp filter of the target", ErrFiltered
		}
		return e
	}
	if trace, ok := errors.AsType[*launcher.TraceError](err); ok && c.plan.filtered() {
		return explainTrace(ctx, trace)
	}
	if helper, ok := errors.AsType[*launcher.HelperError](err); ok {
		return c.explainHelper(helper)
	}
	if died, ok := errors.AsType[*launcher.DiedError](err); ok {
		return c.explainDeath(died)
	}
	return err
}

// explainHelper says why there is no helper.
func (c *Cmd) explainHelper(err *launcher.HelperError) error {
	const what = "starting the helper"
	switch refused := c.plan.groupRefusal(err.Err); {
	case refused != nil:
		return refused
	case c.plan.Untrusted() && errors.Is(err, unix.EACCES):
		return &Error{What: what, Err: unix.EACCES, Reason: ErrUnsafe, Why: "this machine does not execute memfds (vm.memfd_noexec, or a policy such as fapolicyd's), without which the target could overwrite this program"}
	case errors.Is(err, unix.EAGAIN):
		return &Error{What: what, Err: unix.EAGAIN, Reason: ErrLimit, Why: processLimits}
	case errors.Is(err, unix.E2BIG) && c.Env == nil && c.plan.environ != nil:
		return &Error{What: what, Err: unix.E2BIG, Reason: ErrEnvironment, Why: "the environment of the target is larger than what execve(2) takes under our limit on stacks (RLIMIT_STACK, ulimit -s)"}
	case errors.Is(err, unix.EFBIG):
		return &Error{What: what, Err: unix.EFBIG, Reason: ErrLimit, Why: "it is a file in memory, larger than files may be here: raise RLIMIT_FSIZE (ulimit -f)"}
	}
	return err
}

// explainDeath says what killed the helper.
func (c *Cmd) explainDeath(err *launcher.DiedError) error {
	if refused := c.plan.groupRefusal(err); refused != nil {
		return refused
	}
	e := &Error{What: "starting " + c.Path, Err: err}
	switch {
	case c.plan.filtered() && err.Status.Signaled() && err.Status.Signal() == unix.SIGSYS:
		e.Why, e.Reason = "a seccomp filter of the target did it", ErrFiltered
	case c.plan.WillJoin(inspect.PID):
		e.Why, e.Reason = "its PID namespace has ended, it seems, and everything in there with it", ErrEnded
	default:
		return err
	}
	return e
}

// explainTrace says why a command cannot be put under the target's filters. It is
// never said where there are none.
func explainTrace(ctx context.Context, e *launcher.TraceError) error {
	why := "ptrace(2) is restricted (kernel.yama.ptrace_scope), or it takes CAP_SYS_ADMIN in the initial user namespace"
	if self, err := inspect.Resolve(ctx, "self"); err == nil {
		defer self.Close()
		if s, err := self.Status(); err == nil && s.Tracer != 0 {
			why = fmt.Sprintf("this program is traced itself, by process %d", s.Tracer)
		}
	}
	return &Error{What: "putting the command under the target's seccomp filters", Err: e.Errno, Why: why, Reason: ErrUntraceable}
}
