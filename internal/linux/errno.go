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
	name := unix.ErrnoName(errno)
	if name == "" {
		return errno.Error()
	}
	return fmt.Sprintf("%s (%s)", errno.Error(), name)
}
