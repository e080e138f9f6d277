package keys

import (
	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// refusal is a setting that was understood and that is not for us, or not for
// the version, to set.
type refusal struct {
	op, why string
	errno   unix.Errno
}

func (e *refusal) Error() string { return e.op + ": " + linux.ErrnoText(e.errno) + ": " + e.why }

func (e *refusal) Unwrap() error { return e.errno }
