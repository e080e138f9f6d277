package cgroupfs

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/linux"
	"nsx/internal/words"
)

// Error is a refusal, explained: what was to be done, why it is refused, as
// found in the state of the machine, and what to do about it. errors.Is finds the errno
// in it, and one of the reasons of this package (ErrOwned, ErrBusy …).
type Error struct {
	// Op is what was to be done, such as "attach 5151 to /demo".
	Op string
	// Group is the path of the group that it was to be done to, if there is one.
	Group string
	// File is the file or directory that refused, if one did, and Value what
	// was written to it.
	File, Value string
	// Err is the errno, or another error that errors.Is finds.
	Err error
	// Reason is the kind of refusal where the errno does not tell it.
	Reason error
	// Cause is why, with the evidence; Next is what to do, or empty.
	Cause, Next string
	// Remedy is the call of this package that would help, if there is one. Next says
	// it in words.
	Remedy *Remedy
	// Owner is whose the group is, where that is why (ErrOwned), and Command his own
	// command for what was to be done, or empty.
	Owner   Owner
	Command string
}

// Remedy is a call that would help: the method of Group that the verb is named after.
type Remedy struct {
	Verb  Verb
	Group string
	// Controllers are to be enabled, by VerbCreate.
	Controllers []string
	// Settings are to be set, by VerbSet; "…" stands for a value that is to be chosen.
	Settings []keys.Setting
	// Only is the hierarchy that is meant, as FS.Only knows it; empty for all.
	Only string
	// Forced says that it takes Group.Forced.
	Forced bool
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

// Unwrap is the errno and the reason.
func (e *Error) Unwrap() []error {
	var list []error
	for _, err := range []error{e.Err, cmp.Or(e.Reason, reasonOf(e.Err))} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

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
