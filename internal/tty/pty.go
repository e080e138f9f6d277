package tty

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// ErrNoTerminal says that there is no terminal to put a pseudoterminal before.
var ErrNoTerminal = errors.New("none of the standard files is a terminal")

// Pty is a pseudoterminal that a command gets in place of the user's terminal.
// Nothing that the command does to it, TIOCSTI and reads included, reaches the
// user's.
type Pty struct {
	// Files are the command's standard files: the pseudoterminal wherever the
	// caller's is a terminal, the caller's own elsewhere, so that what goes
	// through pipes and into files is not touched.
	Files [3]*os.File
	// Controlling is the index of a file that is the pseudoterminal.
	Controlling int

	master, slave *os.File
	awake, wake   *os.File // a pipe: closing wake ends the reading of the keyboard
	terminal      *os.File // the user's
	screen        *os.File // where to show what comes; the terminal in most cases
	keyboard      *os.File // nil if the caller's input is not a terminal
	raw           rawMode  // of the keyboard, if we may change it
	ending        *ending  // of the command, while Relay waits for it
}

// Open makes a pseudoterminal like the user's, with its size and modes, for a
// command with the given standard files. They stay the caller's; nil is allowed.
//
// If the output goes into a pipe, what reads it there may use the terminal too
// (less(1)). The terminal's modes are then left alone: lines arrive when they
// are complete, and the terminal's ^C reaches everyone in the pipeline. What is
// typed while another program has changed the modes (a pager, a question for a
// password) is left to that one. A command that asks for a password itself
// cannot stop the terminal from showing it.
//
// What is typed is handed on only if the input is a terminal.
//
// ErrNoTerminal: none of the files is a terminal.
func Open(in, out, errout *os.File) (*Pty, error) {
	p := &Pty{Files: [3]*os.File{in, out, errout}, Controlling: -1}
	// Output is shown where output goes. If none goes to the terminal, a
	// question of the command (/dev/tty) still does.
	for _, i := range []int{1, 2, 0} {
		if isTerminal(p.Files[i]) {
			p.Controlling = i
			p.screen = p.Files[i]
			break
		}
	}
	if p.Controlling < 0 {
		return nil, ErrNoTerminal
	}
	p.terminal = p.screen
	if isTerminal(in) {
		p.terminal, p.keyboard = in, in
		if !isPipe(out) {
			p.raw.terminal = in
		}
	}
	var err error
	if p.master, err = openMaster("/dev/ptmx", "/dev/pts/ptmx"); err != nil {
		return nil, err
	}
	if p.slave, err = openSlave(p.master); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.resemble(); err != nil {
		p.Close()
		return nil, fmt.Errorf("giving the pseudoterminal the terminal's modes: %w", err)
	}
	if p.awake, p.wake, err = os.Pipe(); err != nil {
		p.Close()
		return nil, err
	}
	for i, f := range p.Files {
		if isTerminal(f) {
			p.Files[i] = p.slave
		}
	}
	return p, nil
}

// Close hangs the pseudoterminal up: the kernel sends SIGHUP to the session on
// it. It may be called again.
func (p *Pty) Close() error {
	for _, f := range []*os.File{p.slave, p.master, p.wake, p.awake} {
		f.Close() // nil, if Open got no further, or closed already
	}
	return nil
}

// resemble gives the pseudoterminal the size and modes of the user's.
func (p *Pty) resemble() error {
	var modes *unix.Termios
	err := control(p.terminal, func(fd int) (err error) {
		modes, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		return err
	}
	if p.raw.terminal == nil { // the user's terminal goes on doing these
		modes.Oflag &^= unix.OPOST
		modes.Lflag &^= unix.ECHO
		modes.Lflag |= unix.ICANON | unix.ISIG // a pager may have been faster
	}
	err = control(p.slave, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, modes) })
	if err != nil {
		return err
	}
	return copySize(p.terminal, p.master)
}

// openMaster opens the first of the paths that exists, which are names of
// the multiplexer (pts(4)), and with it a new pseudoterminal.
func openMaster(paths ...string) (*os.File, error) {
	var master *os.File
	var err error
	for _, path := range paths {
		master, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	switch {
	case err == nil:
		return master, nil
	case errors.Is(err, unix.ENOSPC):
		return nil, &Error{"opening a pseudoterminal: " + linux.ErrnoText(err) + ": as many are in use as kernel.pty.max allows; close some, or raise it with sysctl(8)", err}
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return nil, &Error{"opening a pseudoterminal: " + linux.ErrnoText(err) + ": no devpts is mounted on /dev/pts; mount one there (mount -t devpts devpts /dev/pts)", err}
	default:
		return nil, &Error{"opening a pseudoterminal: " + linux.ErrnoText(err), err}
	}
}

// openSlave opens a master's other end without going by its path, which may
// mean something else in this mount namespace: TIOCGPTPEER, Linux 4.13.
func openSlave(master *os.File) (*os.File, error) {
	fd := -1
	err := control(master, func(m int) (err error) {
		if err = unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		fd, err = linux.PtyPeer(m, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		return err
	})
	if err != nil {
		return nil, &Error{"opening the other end of a pseudoterminal: " + linux.ErrnoText(err), err}
	}
	return os.NewFile(uintptr(fd), "pseudoterminal"), nil
}

// Error says why there is no pseudoterminal. errors.Is finds the errno in it.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }

// Unwrap is the error of the system call.
func (e *Error) Unwrap() error { return e.err }

// isPipe says whether a file is a pipe or a socket.
func isPipe(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}
