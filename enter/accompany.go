package enter

import (
	"errors"
	"fmt"
	"os"

	"nsx/internal/tty"
)

// Accompany runs the command as if it stood in the place of this program:
// signals reach it, and job control works as if the shell had started it.
//
// A command that is the target's own code does not get our terminal, into which
// it could type (TIOCSTI in ioctl_tty(2)), but a pseudoterminal in its place.
func (c *Cmd) Accompany() error {
	signals := tty.Catch()
	defer signals.Stop()
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
