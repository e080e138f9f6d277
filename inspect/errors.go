package inspect

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"nsx/internal/reason"
)

var (
	// ErrGone marks the errors that say: there is no such process, namespace or
	// cgroup, or there is none any more. For them errors.Is finds fs.ErrNotExist
	// too.
	ErrGone = reason.ErrGone
	// ErrUsage marks the errors about words that name nothing, whatever is there:
	// what ParseRef and its like refuse.
	ErrUsage = reason.ErrUsage
	// ErrAmbiguous marks the errors about a name that several things have.
	ErrAmbiguous = reason.ErrAmbiguous
)

// goneError is an ErrGone that says more. The cause may be nil.
type goneError struct {
	text  string
	cause error
}

func (e *goneError) Error() string { return e.text }
func (e *goneError) Unwrap() error { return e.cause }

func (e *goneError) Is(target error) bool { return target == ErrGone || target == fs.ErrNotExist }

func gonef(format string, args ...any) error { return &goneError{text: fmt.Sprintf(format, args...)} }

func noProcess(pid int) error {
	return gonef("no process %d: it has exited, or it is not in the PID namespace of this /proc", pid)
}

func aThread(tid, leader int) error {
	return gonef("%d is a thread of process %d: name it %d/%d", tid, leader, leader, tid)
}

// usageError is an ErrUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error        { return e.error }
func (e usageError) Is(target error) bool { return target == ErrUsage }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errorName is what an Unreadable says: the errno's name, which can be
// searched for, where there is one.
func errorName(err error) string {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}
