package tty

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a command has written before its end takes a moment through the kernel.
// It is all there when the last process has closed the pseudoterminal. Others
// that the command has left behind may keep it open: then a time of silence,
// or the limit, is the end.
const (
	drainSilence = 250 * time.Millisecond
	drainLimit   = 2 * time.Second
)

// For how long a command may go on that was told to end.
const (
	TermGrace   = 10 * time.Second // as docker stop gives
	HangupGrace = 2 * time.Second
)

// Relay waits for the command to end, which has been started with p.Files, and
// meanwhile hands on what is typed, what is to be shown, the window's size and
// all signals. The user's terminal is in raw mode, so that each key is the
// command's; it has its modes back when Relay returns or panics, and while this
// program is stopped. Everything that the command has written is shown.
//
// When the command stops, so does this program, as with Accompany. SIGTSTP
// stops this program alone.
//
// We end even if the command does not: it is killed when it has not ended
// TermGrace after a SIGTERM or SIGINT, or HangupGrace after a SIGHUP; at once if
// it ignores the first two; and when Escape is typed three times within a second.
// If the user's terminal is hung up, so is the command's, as after a SIGHUP. An
// *[EndedError] says so.
//
// In the background nothing is read from the user's terminal, so that we are not
// stopped for that: what is typed there is the shell's. Relay closes p.
func (p *Pty) Relay(s *Signals, command *os.Process) (*os.ProcessState, error) {
	defer p.Close()
	defer p.raw.restore()
	p.raw.set()

	s.also(unix.SIGTSTP, unix.SIGCONT, unix.SIGWINCH)
	e := newEnding(command)
	p.ending = e
	hurry := make(chan struct{})
	var once sync.Once
	defer s.handle(func(sig syscall.Signal, _ bool) {
		if err := p.signal(command, sig); errors.Is(err, os.ErrProcessDone) {
			once.Do(func() { close(hurry) })
		}
	})()

	_ = copySize(p.terminal, p.master) // it may have changed since Open
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		p.show()
	}()
	defer p.readKeyboard()()

	state, err := e.wait(p.suspend)
	if _, killed := errors.AsType[*EndedError](err); killed {
		once.Do(func() { close(hurry) })
	} else if s.ended.Load() != 0 {
		defer time.AfterFunc(drainLimit, func() { once.Do(func() { close(hurry) }) }).Stop()
	}

	// As long as we had it open as well, a command could close it for a while.
	// From now on, the last process to close it ends the reading.
	p.slave.Close()
	_ = p.master.SetReadDeadline(time.Now())
	select {
	case <-shown:
		p.drain(hurry)
	case <-hurry: // the screen takes no more, and somebody wants us to end
	}
	return state, err
}

// signal does what a signal to us asks for. os.ErrProcessDone: the command, for
// which it was, has ended.
func (p *Pty) signal(command *os.Process, sig syscall.Signal) error {
	switch sig {
	case unix.SIGWINCH:
		_ = copySize(p.terminal, p.master)
		return nil
	case unix.SIGCONT:
		p.raw.set()
		_ = copySize(p.terminal, p.master)
		return nil
	case unix.SIGTSTP:
		if isJob() { // otherwise, the kernel would not stop us either
			p.suspend()
		}
		return nil
	case unix.SIGHUP:
		p.ending.killAfter(HangupGrace, sig)
	case unix.SIGTERM:
		p.endOf(command, sig)
	case unix.SIGINT, unix.SIGQUIT:
		// In raw mode ^C is a byte like others. Otherwise the user's terminal
		// makes a signal of it, and so has the command's to do: for all
		// processes in its foreground.
		if p.raw.terminal == nil && p.signalForeground(sig) {
			return nil
		}
		if sig == unix.SIGINT {
			p.endOf(command, sig)
		}
	}
	return command.Signal(sig)
}

// endOf sees to it that the signal is the command's end.
func (p *Pty) endOf(command *os.Process, sig syscall.Signal) {
	if hearing(command.Pid, sig) != hears {
		p.ending.kill(sig)
		return
	}
	p.ending.killAfter(TermGrace, sig)
}

// lost is called when the user's terminal has been hung up. So is the command's
// then, by the kernel. Under nohup(1) that is all.
func (p *Pty) lost() {
	p.master.Close()
	if !signal.Ignored(unix.SIGHUP) {
		p.ending.killAfter(HangupGrace, unix.SIGHUP)
	}
}

// signalForeground sends a signal of the keyboard to the pseudoterminal's
// foreground process group, and says whether there is one: TIOCSIG.
func (p *Pty) signalForeground(sig syscall.Signal) bool {
	return control(p.master, func(fd int) error {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err == nil && group == 0 {
			err = unix.ESRCH
		}
		if err != nil {
			return err
		}
		return unix.IoctlSetInt(fd, unix.TIOCSIG, int(sig))
	}) == nil
}

// suspend stops this program, with the user's terminal as it was.
func (p *Pty) suspend() {
	p.raw.without(stopSelf)
	p.raw.set()
}

// show shows what the command writes, until the last process on the
// pseudoterminal has closed it (EIO) or the read deadline.
func (p *Pty) show() {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.master.Read(buf)
		if n > 0 {
			p.awaitScreen()
			if _, err := p.screen.Write(buf[:n]); errors.Is(err, unix.EIO) {
				p.lost()
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitScreen waits, in the background, while stty(1)'s tostop keeps us from
// writing. The kernel would stop us instead, and again after each SIGCONT before
// any other signal is heard.
func (p *Pty) awaitScreen() {
	for !ownsTerminal(p.screen) {
		var modes *unix.Termios
		err := control(p.screen, func(fd int) (err error) {
			modes, err = unix.IoctlGetTermios(fd, unix.TCGETS)
			return err
		})
		if err != nil || modes.Lflag&unix.TOSTOP == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// drain shows the rest of what the command wrote.
func (p *Pty) drain(hurry <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 32<<10)
		for limit := time.Now().Add(drainLimit); time.Now().Before(limit); {
			_ = p.master.SetReadDeadline(time.Now().Add(drainSilence))
			n, err := p.master.Read(buf)
			if err != nil {
				return
			}
			p.awaitScreen()
			_, _ = p.screen.Write(buf[:n])
		}
	}()
	select {
	case <-done:
	case <-hurry:
	}
}
