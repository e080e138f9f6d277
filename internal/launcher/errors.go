package launcher

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// StepError is a step of a program that failed. errors.Is finds its errno.
type StepError struct {
	Step  string // the step's name, such as "setns(user)"
	Errno syscall.Errno
	// NoLoader says that the step is an execve(2) of a program that is there, and
	// whose interpreter or loader is not.
	NoLoader bool

	explain func(*StepError) error
}

// failure is the error of an instruction.
func (in *insn) failure(errno uint64) *StepError {
	return &StepError{Step: in.name, Errno: syscall.Errno(errno), NoLoader: in.noLoader, explain: in.explain}
}

// explained is what the step's explanation makes of an error, if there is one.
func explained(err error) error {
	step, ok := errors.AsType[*StepError](err)
	if !ok || step.explain == nil {
		return err
	}
	if why := step.explain(step); why != nil {
		return why
	}
	return err
}

// Faked says that the step is an execve(2) that returned although it did not
// fail: a seccomp filter has answered in the kernel's place (SECCOMP_RET_ERRNO).
func (e *StepError) Faked() bool { return e.Errno == 0 }

func (e *StepError) Error() string {
	if e.Faked() {
		return e.Step + ": nothing was executed, though the system call said so"
	}
	return fmt.Sprintf("%s: %v (%s)", e.Step, e.Errno, unix.ErrnoName(e.Errno))
}

func (e *StepError) Unwrap() error { return e.Errno }

// HelperError says that there is no helper: it could not be made, or not executed.
// errors.Is finds the errno of that.
type HelperError struct{ Err error }

func (e *HelperError) Error() string { return "start helper: " + e.Err.Error() }

func (e *HelperError) Unwrap() error { return e.Err }

// DiedError is a helper that ended before the program was executed, and did not
// say why: somebody killed it, or a seccomp filter did.
type DiedError struct {
	Status syscall.WaitStatus
	// Silent says that it has not even come to the first step that reports or
	// asks the parent.
	Silent bool
}

func (e *DiedError) Error() string {
	if e.Status.Signaled() {
		return fmt.Sprintf("killed by %s (%v) before the program was started",
			unix.SignalName(e.Status.Signal()), e.Status.Signal())
	}
	return fmt.Sprintf("exited with status %d before the program was started", e.Status.ExitStatus())
}

// TraceError says that the helper of a program with [Program.Trace] cannot be
// traced. EPERM: this process is traced itself, with what it starts, or ptrace(2)
// is restricted (kernel.yama.ptrace_scope), or, for a program with seccomp
// filters, it lacks CAP_SYS_ADMIN in the initial user namespace or has a filter
// itself. EINVAL: the kernel cannot suspend filters (CONFIG_CHECKPOINT_RESTORE).
type TraceError struct{ Errno syscall.Errno }

func (e *TraceError) Error() string {
	return fmt.Sprintf("ptrace(PTRACE_SEIZE) of the helper: %v (%s)", e.Errno, unix.ErrnoName(e.Errno))
}

func (e *TraceError) Unwrap() error { return e.Errno }

// UnsupportedError says that there is no interpreter for this architecture.
// It is an [errors.ErrUnsupported].
type UnsupportedError struct{}

func (*UnsupportedError) Error() string {
	return "not built for amd64 or arm64 but " + runtime.GOARCH + ": no single-threaded helper"
}

// Is makes it an errors.ErrUnsupported.
func (*UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }
