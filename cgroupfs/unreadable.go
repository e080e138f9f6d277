package cgroupfs

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/words"
)

// Unreadable is something about a group that is not known.
type Unreadable struct {
	Group string `json:"group"`
	// File is the path of the file that could not be read, or of the directory.
	File string `json:"file"`
	// Errno is the name of it, empty if the file was read, but not
	// understood. Reason is all of it in words.
	Errno  string `json:"error"`
	Reason string `json:"reason"`

	err error
}

func newUnreadable(group, file string, err error) Unreadable {
	u := Unreadable{Group: group, File: file, err: err}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		u.Errno = linux.ErrnoName(errno)
	}
	u.Reason = linux.ErrnoText(err)
	if explained, ok := errors.AsType[*Error](err); ok {
		u.Reason = explained.Cause
	}
	return u
}

// Unwrap is the cause: an errno, for errors.Is.
func (u Unreadable) Unwrap() error { return u.err }

// Error is one line: the file and why.
func (u Unreadable) Error() string {
	if strings.Contains(u.Reason, u.File) {
		return u.Reason
	}
	return u.File + ": " + u.Reason
}

// gaps collects what is not known, each file once.
type gaps struct{ list []Unreadable }

// add takes more of them.
func (g *gaps) add(list ...Unreadable) {
next:
	for _, u := range list {
		for _, known := range g.list {
			if known.File == u.File && known.Reason == u.Reason {
				continue next
			}
		}
		g.list = append(g.list, u)
	}
}

// notUnderstood is about the text of a file that no kernel is known to write.
func notUnderstood(text string) error { return fmt.Errorf("%s is not understood", words.Quote(text)) }
