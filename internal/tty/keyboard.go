package tty

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Escape is the key that leaves a command on a pseudoterminal, typed three times
// within EscapeTime, as from systemd-nspawn: ^]. The command gets it as well.
const (
	Escape     = ']' & 0x1f
	EscapeTime = time.Second
)

// typedAhead is for how many reads of the keyboard the command may be behind,
// each of 4096 bytes at most. We go on reading, or would not see the escape.
const typedAhead = 64

// readKeyboard begins to hand on what is typed, until the function that it
// returns is called.
//
// The terminal is waited for with poll(2) and not made non-blocking: others,
// the shell too, use the same open file.
func (p *Pty) readKeyboard() (end func()) {
	if p.keyboard == nil {
		return func() {}
	}
	done, typed := make(chan struct{}), make(chan []byte, typedAhead)
	go func() {
		for b := range typed {
			_, _ = p.master.Write(b) // the reader knows better what a hangup means
		}
	}()
	go func() {
		defer close(done)
		defer close(typed)
		_ = control(p.keyboard, func(terminal int) error {
			return control(p.awake, func(awake int) error { return p.handOn(terminal, awake, typed) })
		})
	}()
	return func() {
		p.wake.Close()
		_ = p.master.SetWriteDeadline(time.Now())
		select {
		case <-done:
		case <-time.After(100 * time.Millisecond):
			// Somebody else on this terminal has read what poll(2) has told
			// of, and our read waits for more.
		}
	}
}

// handOn passes on what it reads from the terminal, until the other end of awake
// is closed or the terminal has been hung up.
func (p *Pty) handOn(terminal, awake int, typed chan<- []byte) error {
	buf := make([]byte, 4096) // a line has no more (termios(3))
	var escape escapes
	for {
		fds := []unix.PollFd{{Fd: int32(awake), Events: unix.POLLIN}, {Fd: int32(terminal), Events: unix.POLLIN}}
		wait := -1
		if !ownsTerminal(p.keyboard) {
			// A read would stop us, and the shell's next SIGCONT let it stop us
			// again, before any other signal were heard. Nobody tells when a
			// running job comes to the foreground.
			fds[1].Events, wait = 0, 250
		}
		if _, err := unix.Poll(fds, wait); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		switch {
		case fds[0].Revents != 0:
			return nil
		case fds[1].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
			p.lost()
			return nil
		case wait >= 0 || fds[1].Revents == 0:
			p.raw.set() // we may have come to the foreground without a SIGCONT
			continue
		case !ownsTerminal(p.keyboard): // since it was waited for
			continue
		}
		if p.raw.terminal == nil && !readsLines(terminal) {
			_, _ = unix.Poll(fds[:1], 50)
			continue
		}
		p.raw.set()
		n, err := unix.Read(terminal, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return err
		}
		keys := bytes.Clone(buf[:n])
		if escape.typed(keys, time.Now()) {
			p.ending.kill(0)
		}
		if p.raw.terminal == nil && !bytes.HasSuffix(keys, []byte("\n")) {
			// A line that ends without its end, or nothing at all: ^D.
			keys = append(keys, p.eof())
		}
		select {
		case typed <- keys:
		case <-p.ending.gaveUp:
		}
	}
}

// escapes are the times of the last two Escapes, if nothing else came since.
type escapes struct{ last [2]time.Time }

// typed says whether the keys, typed at a time, have the third Escape.
func (e *escapes) typed(keys []byte, at time.Time) bool {
	for _, key := range keys {
		switch {
		case key != Escape:
			*e = escapes{}
		case !e.last[0].IsZero() && at.Sub(e.last[0]) <= EscapeTime:
			return true
		default:
			e.last = [2]time.Time{e.last[1], at}
		}
	}
	return false
}

// readsLines says whether a terminal's input is read in lines that are shown.
// If not, in a pipeline, a pager or a question for a password is about to read.
func readsLines(terminal int) bool {
	modes, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
	lines := uint32(unix.ICANON | unix.ECHO)
	return err != nil || modes.Lflag&lines == lines
}

// eof is the character that means an end of file to the pseudoterminal.
func (p *Pty) eof() byte {
	c := byte('D' & 0x1f)
	_ = control(p.master, func(fd int) error {
		modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			c = modes.Cc[unix.VEOF]
		}
		return err
	})
	return c
}
