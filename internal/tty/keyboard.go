package tty

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// readKeyboard begins to hand on what is typed, until the function that it
// returns is called.
//
// The terminal is waited for with poll(2) and not made non-blocking: others,
// the shell too, use the same open file.
func (p *Pty) readKeyboard() (end func()) {
	if p.keyboard == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = control(p.keyboard, func(terminal int) error {
			return control(p.awake, func(awake int) error { return p.handOn(terminal, awake) })
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

// handOn writes to the master what it reads from the terminal, until the
// other end of awake is closed, the terminal has been hung up, or the command's has.
func (p *Pty) handOn(terminal, awake int) error {
	buf := make([]byte, 32<<10) // a line has at most 4096 bytes (termios(3))
	for {
		fds := []unix.PollFd{{Fd: int32(terminal), Events: unix.POLLIN}, {Fd: int32(awake), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if fds[1].Revents != 0 {
			return nil
		}
		if fds[0].Revents == 0 {
			continue
		}
		if p.raw.terminal == nil && !readsLines(terminal) {
			_, _ = unix.Poll(fds[1:], 50)
			continue
		}
		p.raw.set() // we may have come to the foreground without a SIGCONT
		n, err := unix.Read(terminal, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case n <= 0 && fds[0].Revents&unix.POLLHUP != 0:
			return p.master.Close()
		case err != nil:
			return err
		}
		typed := buf[:n]
		if p.raw.terminal == nil && !bytes.HasSuffix(typed, []byte("\n")) {
			// A line that ends without its end, or nothing at all: ^D.
			typed = append(typed, p.eof())
		}
		if _, err := p.master.Write(typed); err != nil {
			return err
		}
	}
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
