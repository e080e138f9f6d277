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
// SIGTERM and SIGINT end us in any case: a command that ignores them is killed. So
// is the init of a PID namespace, which the kernel keeps from what it does not
// catch, ^C included. SIGHUP is the command's to ignore: it is our caller's own,
// perhaps under nohup(1).
//
// The state says how the command ended. An *[EndedError] says that it was killed
// and why; any other error is one of waiting for it.
func (s *Signals) Accompany(p *os.Process) (*os.ProcessState, error) {
	e := newEnding(p)
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
				if sig == unix.SIGINT && hearing(p.Pid, sig) == isInit {
					e.kill(sig)
				}
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
		if ends(sig) {
			deaf := hearing(p.Pid, sig)
			if deaf == isInit || deaf == ignores && (sig == unix.SIGTERM || sig == unix.SIGINT) {
				e.kill(sig)
				return
			}
		}
		_ = p.Signal(sig) // it may have ended by now
	})
	defer end()
	return e.wait(func() { suspend(p.Pid) })
}
