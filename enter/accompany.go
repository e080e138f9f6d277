package enter

import (
	"context"
	"errors"
	"os"
	"time"

	"nsx/internal/launcher"
	"nsx/internal/tty"
)

// Accompany runs the command as if it stood in the place of this program:
// signals reach it, and job control works as if the shell had started it.
//
// A signal that asks us to end does so at every moment. Before the command has
// started, its start is given up: an [*EndedError] without a PID. Afterwards the
// command gets it; if that does not end it, it is killed, and the EndedError says
// so. When depends on whose code it is: see [tty.Signals.Accompany] and
// [tty.Pty.Relay].
//
// A command that is the target's own code does not get our terminal, into which
// it could type (TIOCSTI in ioctl_tty(2)), but a pseudoterminal in its place.
func (c *Cmd) Accompany() error {
	caught := c.Signals
	if caught == nil {
		caught = CatchSignals()
		defer caught.Stop()
	}
	signals := caught.tty
	var pty *tty.Pty
	if c.plan.Untrusted() {
		var err error
		in, _ := c.Stdin.(*os.File)
		out, _ := c.Stdout.(*os.File)
		errout, _ := c.Stderr.(*os.File)
		pty, err = tty.Open(in, out, errout)
		if err != nil && !errors.Is(err, tty.ErrNoTerminal) {
			return err
		}
	}
	wait := signals.Accompany
	if pty != nil {
		defer pty.Close()
		if f := pty.Files[0]; f != nil {
			c.Stdin = f
		}
		if f := pty.Files[1]; f != nil {
			c.Stdout = f
		}
		if f := pty.Files[2]; f != nil {
			c.Stderr = f
		}
		c.terminal = &pty.Controlling
		wait = func(p *os.Process) (*os.ProcessState, error) { return pty.Relay(signals, p) }
	}
	if err := c.startInterruptible(signals); err != nil {
		return err
	}
	state, err := wait(c.Process)
	if ended, ok := errors.AsType[*tty.EndedError](err); ok {
		_ = c.endWatch()
		c.closePipes()
		return &EndedError{Name: c.Path, By: ended.By, PID: c.Process.Pid, Left: ended.Left != 0}
	}
	return c.finish(state, err)
}

// unstarted is for how long a start may take to end that is given up.
const unstarted = 500 * time.Millisecond

// startInterruptible starts the command, or gives up when a signal comes that
// would end this program.
func (c *Cmd) startInterruptible(signals *tty.Signals) error {
	ctx, cancel := context.WithCancel(c.context())
	defer cancel()
	started := make(chan struct{})
	var err error
	go func() {
		err = c.start(ctx)
		close(started)
	}()
	if sig := signals.Until(started); sig != 0 {
		cancel()
		select {
		case <-started:
			if err == nil { // it was quicker: the signal is the command's
				return nil
			}
		case <-time.After(unstarted):
			return &EndedError{Name: c.Path, By: sig, Left: true}
		}
		return &EndedError{Name: c.Path, By: sig}
	}
	// The terminal's ^C kills the helper too, and we may hear of that first.
	died, isDead := errors.AsType[*launcher.DiedError](err)
	for wait := time.Now().Add(unstarted); isDead && died.Status.Signaled() && time.Now().Before(wait); time.Sleep(time.Millisecond) {
		if sig := signals.Ended(); sig == died.Status.Signal() {
			return &EndedError{Name: c.Path, By: sig}
		}
	}
	return err
}
