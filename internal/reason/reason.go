// Package reason has the kinds of refusal that several packages of nsx share, each of
// which exports those that its errors have. One kind is one value, so that errors.Is
// finds it whoever made the error.
package reason

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// The kinds. The packages that export them say what they mean there.
var (
	ErrUsage       = errors.New("wrong usage")
	ErrGone        = error(gone{})
	ErrAmbiguous   = errors.New("ambiguous")
	ErrPermission  = errors.New("a right is missing")
	ErrLimit       = errors.New("a limit is reached")
	ErrUnsupported = errors.New("not supported")
)

// gone is fs.ErrNotExist as well.
type gone struct{}

func (gone) Error() string { return "gone" }

func (gone) Is(target error) bool { return target == fs.ErrNotExist }

// Errno is an errno with its reason, to be wrapped with words: its text is the errno's.
type Errno struct {
	Errno  unix.Errno
	Reason error
}

func (e Errno) Error() string { return e.Errno.Error() }

// Unwrap is the errno and the reason.
func (e Errno) Unwrap() []error { return []error{e.Errno, e.Reason} }

// ErrInvalid is EINVAL of words that mean nothing.
var ErrInvalid = Errno{unix.EINVAL, ErrUsage}
