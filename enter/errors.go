package enter

import (
	"errors"
	"fmt"
	"os"
	"syscall"

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

// explain says why setns(2) was refused.
func (j Join) explain(err error) error {
	e := explained(fmt.Sprintf("joining %s of %s", j.ID, j.From), err, "")
	switch {
	case errors.Is(err, unix.EPERM):
		e.Why, e.Reason = j.explainEPERM(), ErrPermission
	case errors.Is(err, unix.EINVAL) && j.ID.Type == inspect.PID:
		e.Why = "one can only join PID namespaces below one's own (setns(2)), and this one is not"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOSPC):
		e.Why, e.Reason = "see the limits in /proc/sys/user", ErrLimit
	}
	return e
}

func (j Join) explainEPERM() string {
	caps := "CAP_SYS_ADMIN"
	if j.ID.Type == inspect.Mnt {
		caps = "CAP_SYS_ADMIN and CAP_SYS_CHROOT"
	}
	owner, err := ownerOf(j.file)
	if err != nil {
		return fmt.Sprintf("it takes %s in the user namespace that owns it, which is not ours or below it: run as root of the host", caps)
	}
	if own, err := ownNamespace(inspect.User); err == nil && own.Sys().(*syscall.Stat_t).Ino == owner.id.Inode {
		next := "run as root"
		if unix.Geteuid() == 0 {
			next = "we are root without it, as in a container that was started without it"
		}
		return fmt.Sprintf("it is owned by our own user namespace, and it takes %s here: %s", caps, next)
	}
	why := fmt.Sprintf("it is owned by %s", owner.id)
	next := "run as root of that namespace"
	if owner.uid != nil {
		why += fmt.Sprintf(" of uid %d", *owner.uid)
		if *owner.uid != uint32(unix.Geteuid()) {
			next = fmt.Sprintf("run as uid %d or as root of that namespace", *owner.uid)
		} else if j.ID.Type != inspect.User {
			next = "join that user namespace too"
		}
	}
	return fmt.Sprintf("%s, and it takes %s there: %s", why, caps, next)
}

// nsOwner is the user namespace that owns another one (for a user namespace:
// itself), and who made it.
type nsOwner struct {
	id  inspect.ID
	uid *uint32
}

// ownerOf asks the kernel. EPERM: the owner is outside of our view.
func ownerOf(ns *os.File) (nsOwner, error) {
	fd := int(ns.Fd())
	if typ, err := linux.NSType(fd); err != nil || typ != unix.CLONE_NEWUSER {
		if fd, err = linux.NSUserns(fd); err != nil {
			return nsOwner{}, err
		}
		defer unix.Close(fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nsOwner{}, err
	}
	o := nsOwner{id: inspect.ID{Type: inspect.User, Inode: st.Ino}}
	if uid, err := linux.NSOwnerUID(fd); err == nil {
		o.uid = &uid
	}
	return o, nil
}

// mayJoin guesses whether we may join a namespace, to find out which one of
// several was refused: root may, and so may the owner who joins the user
// namespace as well.
func (p *Plan) mayJoin(j Join) bool {
	o, err := ownerOf(j.file)
	if err != nil {
		return false
	}
	uid := uint32(unix.Geteuid())
	return uid == 0 || o.uid != nil && *o.uid == uid && p.WillJoin(inspect.User)
}

// explainOpen says why something of a target could not be opened.
func explainOpen(what string, t *inspect.Target, err error) error {
	e := explained("opening "+what+" of "+t.Name(), err, "")
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT) && !t.Alive():
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
