package enter

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"nsx/internal/tty"
)

// Signals are caught to be handed on to commands: see [Cmd.Accompany].
type Signals struct{ tty *tty.Signals }

// CatchSignals begins to catch the signals that are meant for the command and
// would end or stop this program, but for those that are ignored. Set
// [Cmd.Signals] to share them between several commands that run one after the
// other: otherwise each of them takes Go two milliseconds for this.
func CatchSignals() *Signals { return &Signals{tty.Catch()} }

// Stop gives the signals the effects back that they had before.
func (s *Signals) Stop() { s.tty.Stop() }

// Ended says, between two commands, which signal came since CatchSignals that
// would have ended this program, whether a command got it or not; 0: none. If
// the terminal said to stop in between, it does.
func (s *Signals) Ended() syscall.Signal { return s.tty.Ended() }

// Accompany runs the command as if it stood in the place of this program:
// signals reach it, and job control works as if the shell had started it.
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
		pty, err = tty.Open(c.Stdin, c.Stdout, c.Stderr)
		if err != nil && !errors.Is(err, tty.ErrNoTerminal) {
			return err
		}
	}
	wait := signals.Accompany
	if pty != nil {
		defer pty.Close()
		c.Stdin, c.Stdout, c.Stderr = pty.Files[0], pty.Files[1], pty.Files[2]
		c.terminal = &pty.Controlling
		wait = func(p *os.Process) (*os.ProcessState, error) { return pty.Relay(signals, p) }
	}
	if err := c.Start(); err != nil {
		return err
	}
	state, err := wait(c.process)
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", c.Name, err)
	}
	return exitError(state)
}
