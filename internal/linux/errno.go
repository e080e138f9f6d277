package linux

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrnoText is an error as nsx words it, with the errno's name at the end so
// that it can be searched for: "operation not permitted (EPERM)". Without an
// errno in it, an error speaks for itself.
func ErrnoText(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	name := ErrnoName(errno)
	if name == "" {
		return errno.Error()
	}
	return fmt.Sprintf("%s (%s)", errno.Error(), name)
}

// ErrnoName is the kernel's name of an errno, "" if it has none.
func ErrnoName(errno unix.Errno) string {
	if errno == unix.EOPNOTSUPP {
		return "EOPNOTSUPP" // ENOTSUP, C's other name, is the same number
	}
	return unix.ErrnoName(errno)
}
