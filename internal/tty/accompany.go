package tty

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Accompany waits for the command to end, which shares our terminal, if there
// is any. What is meant for the command reaches it:
//
//   - SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are handed on;
//   - so are SIGINT, SIGQUIT and SIGTSTP, unless they are the terminal's, which
//     sent them to the command as well; but SIGTSTP stops this program alone
//     if the command is in a session of its own;
//   - when the command stops, so does this program, for the shell to see, and
//     when this program is continued so is the command. What ^Z and a read in
//     the background mean is left to the command.
//
// The state says how the command ended. An error is one of waiting for it.
func (s *Signals) Accompany(p *os.Process) (*os.ProcessState, error) {
	s.also(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT)
	end := s.handle(func(sig syscall.Signal, early bool) {
		switch sig {
		case unix.SIGTTIN, unix.SIGTTOU: // the terminal's, always to the whole group
			return
		case unix.SIGCONT:
			if isJob() { // follow does it, when the terminal is the command's again
				return
			}
		case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP:
			// A second SIGTSTP does no harm, a second SIGINT might.
			if hearsKeyboard(p.Pid) && (!early || sig != unix.SIGTSTP) {
				return
			}
			// Nobody could continue it in a session of its own, where the kernel
			// does not let a keyboard stop it either.
			if sig == unix.SIGTSTP && inOtherSession(p.Pid) {
				if isJob() {
					stopSelf()
				}
				return
			}
		}
		_ = p.Signal(sig) // it may have ended by now
	})
	defer end()
	return follow(p, func() { suspend(p.Pid) })
}
