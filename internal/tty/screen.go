package tty

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// isTerminal says whether a file is a terminal; nil is none.
func isTerminal(f *os.File) bool {
	return f != nil && control(f, func(fd int) error {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	}) == nil
}

// rawMode switches a terminal, the user's, to raw mode and back.
type rawMode struct {
	terminal *os.File

	mu     sync.Mutex
	before *term.State // nil when not raw
}

// set switches to raw mode, again if need be. In the background it does
// nothing, since the terminal is others' then, and the kernel would stop us for
// trying (SIGTTOU). Without a terminal it does nothing either.
func (r *rawMode) set() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.terminal == nil || !ownsTerminal(r.terminal) {
		return
	}
	_ = control(r.terminal, func(fd int) error {
		state, err := term.MakeRaw(fd)
		// What was saved stays if a stop that cannot be caught (SIGSTOP)
		// came while the terminal was raw.
		if err == nil && r.before == nil {
			r.before = state
		}
		return err // EIO: it has been hung up
	})
}

// restore switches back. If we are in the background by now, whoever took the
// terminal has set its modes.
func (r *rawMode) restore() { r.without(func() {}) }

// without calls fn while the terminal is not in raw mode, and cannot be
// switched to it.
func (r *rawMode) without(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave()
	fn()
}

func (r *rawMode) leave() {
	if r.before == nil {
		return
	}
	if ownsTerminal(r.terminal) {
		_ = control(r.terminal, func(fd int) error { return term.Restore(fd, r.before) })
	}
	r.before = nil
}

// ownsTerminal says whether our process group may change the terminal's modes:
// it is in the foreground, or this is not our controlling terminal, where there
// is no foreground and background for us.
func ownsTerminal(terminal *os.File) bool {
	foreground := 0
	err := control(terminal, func(fd int) (err error) {
		foreground, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return err != nil || foreground == unix.Getpgrp()
}

// copySize gives one terminal the window size of another. The processes on it
// get a SIGWINCH if it has changed.
func copySize(from, to *os.File) error {
	var size *unix.Winsize
	err := control(from, func(fd int) (err error) {
		size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		return err
	})
	if err != nil {
		return err
	}
	return control(to, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
}
