package enter

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// Error is a refusal with its explanation: what was tried, the kernel's answer,
// the evidence and what to do. errors.Is finds the errno in it.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }

// Unwrap is the error of the system call.
func (e *Error) Unwrap() error { return e.err }

// ThreadError says that a Go program cannot join a namespace, because the
// kernel lets only processes with a single thread do so.
type ThreadError struct {
	// ID is the namespace.
	ID inspect.ID
	// From is whose it is.
	From string
}

func (e *ThreadError) Error() string {
	errno := linux.ErrnoText(e.Unwrap())
	return fmt.Sprintf("joining %s of %s: %s: the kernel lets only a process with a single thread join a %s namespace (setns(2)), and this one has several",
		e.ID, e.From, errno, e.ID.Type)
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
	text := fmt.Sprintf("joining %s of %s: %s", j.ID, j.From, linux.ErrnoText(err))
	why := ""
	switch {
	case errors.Is(err, unix.EPERM):
		why = j.explainEPERM()
	case errors.Is(err, unix.EINVAL) && j.ID.Type == inspect.PID:
		why = "one can only join PID namespaces below one's own (setns(2)), and this one is not"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOSPC):
		why = "see the limits in /proc/sys/user"
	}
	if why != "" {
		text += ": " + why
	}
	return &Error{text, err}
}

func (j Join) explainEPERM() string {
	caps := "CAP_SYS_ADMIN"
	if j.ID.Type == inspect.Mnt {
		caps = "CAP_SYS_ADMIN and CAP_SYS_CHROOT"
	}
	fd := int(j.file.Fd())
	owner, err := linux.NSUserns(fd)
	if err != nil {
		return fmt.Sprintf("it takes %s in the user namespace that owns it, which is not ours or below it; run as root of the host", caps)
	}
	defer unix.Close(owner)
	var st unix.Stat_t
	if err := unix.Fstat(owner, &st); err != nil {
		return fmt.Sprintf("it takes %s in the user namespace that owns it", caps)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "it is owned by %s", inspect.ID{Type: inspect.User, Inode: st.Ino})
	next := "run as root of that namespace"
	if uid, err := linux.NSOwnerUID(owner); err == nil {
		fmt.Fprintf(&b, " of uid %d", uid)
		if uid != uint32(unix.Geteuid()) {
			next = fmt.Sprintf("run as uid %d or as root of that namespace", uid)
		} else {
			next = "join that user namespace too"
		}
	}
	fmt.Fprintf(&b, ", and it takes %s there; %s", caps, next)
	return b.String()
}
