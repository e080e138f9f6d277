package keys

import (
	"errors"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/reason"
)

// Why a setting is refused, for errors.Is. Beside its reason an error has its errno.
var (
	// ErrUsage marks words that are no setting, size or list on any machine.
	ErrUsage = reason.ErrUsage
	// ErrUnsupported marks what one version has and the other cannot be told.
	ErrUnsupported = reason.ErrUnsupported
	// ErrNoLimit marks files that are no limits: some would move or kill processes.
	ErrNoLimit = errors.New("it is no limit")
)

// refusal is a setting that was understood and that is not for us, or not for
// the version, to set.
type refusal struct {
	op, why string
	errno   unix.Errno
	reason  error
}

func (e *refusal) Error() string { return e.op + ": " + linux.ErrnoText(e.errno) + ": " + e.why }

func (e *refusal) Unwrap() []error { return []error{e.errno, e.reason} }

var (
	invalid     = reason.ErrInvalid
	outOfRange  = reason.Errno{Errno: unix.ERANGE, Reason: ErrUsage}
	unsupported = reason.Errno{Errno: unix.EOPNOTSUPP, Reason: ErrUnsupported}
)
