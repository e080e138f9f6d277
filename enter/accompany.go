package enter

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Accompany runs the command as if it stood in the place of this program:
// signals that are meant to end or poke this program reach the command. The
// caller has no use of its own for them meanwhile.
func (c *Cmd) Accompany() error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case sig := <-signals:
				// The terminal has sent ^C and ^\ to the command as well.
				if (sig == unix.SIGINT || sig == unix.SIGQUIT) && inForeground() {
					continue
				}
				_ = c.Signal(sig) // it may have ended by now
			case <-done:
				return
			}
		}
	}()
	return c.Wait()
}

// inForeground says that our process group is the foreground one of our
// terminal, which then sends it the signals of the keyboard.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	pgrp, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}
