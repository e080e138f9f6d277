package cgroupfs

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/words"
)

// Error is a refusal, explained: what was to be done, why it is refused, as
// found in the state of the machine, and what to do about it.
type Error struct {
	// Op is what was to be done, such as "attach 5151 to /demo".
	Op string
	// File is the file or directory that refused, if one did, and Value what
	// was written to it.
	File, Value string
	// Err is the errno, or another error that errors.Is finds.
	Err error
	// Cause is why, with the evidence; Next is what to do, or empty.
	Cause, Next string
}

// Error is one line: what failed, the errno in words and by name, why, and
// what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.File != "" {
		fmt.Fprintf(&b, ": %s", e.File)
		if e.Value != "" {
			fmt.Fprintf(&b, " ← %s", words.Quote(e.Value))
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %s", linux.ErrnoText(e.Err))
	}
	if e.Cause != "" {
		fmt.Fprintf(&b, ": %s", e.Cause)
	}
	if e.Next != "" {
		fmt.Fprintf(&b, "; %s", e.Next)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// errno is Err's, or 0.
func (e *Error) errno() unix.Errno {
	errno, _ := errors.AsType[unix.Errno](e.Err)
	return errno
}

// bare is the errno of an error, or the error.
func bare(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return err
}

// asError makes an *Error of any error.
func asError(op string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	return &Error{Op: op, Err: bare(err)}
}

// together is an error and what could not be undone after it, in one line.
func together(err error, left []error) error {
	if len(left) == 0 {
		return err
	}
	return &halfDone{err, left}
}

type halfDone struct {
	err  error
	left []error
}

func (e *halfDone) Error() string {
	words := make([]string, len(e.left))
	for i, err := range e.left {
		words[i] = err.Error()
	}
	return e.err.Error() + "; and not all could be put back: " + strings.Join(words, ", ")
}

func (e *halfDone) Unwrap() []error { return append([]error{e.err}, e.left...) }
