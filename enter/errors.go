package enter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// Error is a refusal with its explanation: what was tried, the kernel's answer,
// the evidence and what to do. errors.Is finds the errno in it, and the reason.
type Error struct {
	// What was tried: "joining net:[4026532201] of process 5151".
	What string
	// Err is the kernel's answer or, where this package refuses by itself, the
	// errno that comes nearest.
	Err error
	// Why is the evidence, and what to do; "" if that is not known.
	Why string
	// Reason is the kind of refusal, one of this package's Err…; nil: none of them.
	Reason error

	ours bool // it is this package that refuses
}

func (e *Error) Error() string {
	text := e.What
	if !e.ours {
		text += ": " + linux.ErrnoText(e.Err)
	}
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Unwrap is the errno and the reason.
func (e *Error) Unwrap() []error {
	if e.Reason == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Reason}
}

// explained is an Error of "what: errno: why".
func explained(what string, err error, why string) *Error {
	return &Error{What: what, Err: err, Why: why}
}

// exited is an ErrGone of the target's.
func exited(what string, err error) *Error {
	return &Error{What: what, Err: err, Why: "it has exited", Reason: ErrGone}
}

// refused is an Error of ours, without a system call: "what: why".
func refused(reason error, what string, errno unix.Errno, why string) *Error {
	return &Error{What: what, Err: errno, Why: why, Reason: reason, ours: true}
}

// usageError is an ErrUsage.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func (e *usageError) Unwrap() error { return ErrUsage }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// because is an explanation for a step of the launcher's: why says why it was
// refused, "" if it cannot tell, and the reason.
func because(why func(unix.Errno) (string, error)) func(*launcher.StepError) error {
	return func(step *launcher.StepError) error {
		text, reason := why(step.Errno)
		if text == "" {
			return nil
		}
		return &Error{What: step.Step, Err: step.Errno, Why: text, Reason: reason}
	}
}

// onErrno is an explanation for a step that can be told for one errno.
func onErrno(errno unix.Errno, why string, reason error) func(*launcher.StepError) error {
	return because(func(is unix.Errno) (string, error) {
		if is != errno {
			return "", nil
		}
		return why, reason
	})
}

// ThreadError says that a Go function cannot join a namespace, because the
// kernel lets only processes with a single thread do so.
type ThreadError struct {
	// ID is the namespace.
	ID inspect.ID
	// From is whose it is.
	From string
}

func (e *ThreadError) Error() string {
	return fmt.Sprintf("joining %s of %s: %s: the kernel lets only a process with a single thread join a %s namespace (setns(2)), and this one has several",
		e.ID, e.From, linux.ErrnoText(e.Unwrap()), e.ID.Type)
}

// Unwrap is the errno that setns(2) would give: EUSERS for a time namespace
// (timens_install in kernel/time/namespace.c), EINVAL for a user namespace
// (userns_install in kernel/user_namespace.c).
func (e *ThreadError) Unwrap() error {
	if e.ID.Type == inspect.Time {
		return unix.EUSERS
	}
	return unix.EINVAL
}

// explainOpen says why something of a target could not be opened.
func explainOpen(what string, t *inspect.Target, err error) error {
	e := explained("opening "+what+" of "+t.Name(), err, "")
	switch {
	// Of one that has been reaped its links are EACCES (proc_ns_get_link in
	// fs/proc/namespaces.c).
	case errors.Is(err, unix.ESRCH), (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES)) && !t.Alive():
		return exited(e.What, err)
	case errors.Is(err, unix.ENOENT):
		e.Why, e.Reason = "it is a zombie, which has exited and keeps only its user and PID namespace", ErrGone
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		next := "run as root or as the process's user"
		switch {
		case unix.Geteuid() != 0:
		case holds(unix.CAP_SYS_PTRACE):
			next = "we have that capability, so it is a security module, or a user namespace above ours"
		default:
			next = "we are root without that capability, as in a container that was started without it"
		}
		e.Why = "it takes the right to trace the process (CAP_SYS_PTRACE in its user namespace, and no security module against it): " + next
		e.Reason = ErrPermission
	}
	return e
}

// interruption is the error, or that of the context if it has ended; errors.Is
// finds ctx.Err() in it.
func interruption(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, ctx.Err()) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
}

// holds says whether a capability is in effect.
func holds(capability int) bool { return linux.HasCapability(capability) }
