package tty

import (
	"os"

	"golang.org/x/sys/unix"
)

// hearsKeyboard says whether the controlling terminal sends the signals of the
// keyboard (^C, ^\, ^Z) to the process pid and to us alike: its foreground
// process group is ours, and pid is in it.
func hearsKeyboard(pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && group == unix.Getpgrp() && foreground() == group
}

// suspend stops this program, and returns when it has been continued. A command
// with a process group of its own, such as an interactive shell, has the
// terminal again if it had it before and we have it now.
func suspend(command int) {
	before := foreground()
	stopSelf()
	group, err := unix.Getpgid(command)
	if err == nil && group == before && foreground() == unix.Getpgrp() {
		_ = onTerminal(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) })
	}
}

// foreground is the foreground process group of our controlling terminal, or 0
// if we have none.
func foreground() (group int) {
	_ = onTerminal(func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return group
}

// onTerminal calls fn with our controlling terminal.
func onTerminal(fn func(fd int) error) error {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer terminal.Close()
	return control(terminal, fn)
}

// isJob says whether somebody may be there to continue us after a stop: we have
// a terminal, and our parent, a shell or what a shell has started, is in our
// session. Elsewhere, a stop would be for ever.
func isJob() bool {
	parent, err := unix.Getsid(unix.Getppid())
	if err != nil || unix.Getppid() == 0 {
		return false
	}
	own, err := unix.Getsid(0)
	return err == nil && parent == own && foreground() != 0
}

// inOtherSession says whether a process is in another session than this one. One
// that has ended is in none.
func inOtherSession(pid int) bool {
	theirs, err := unix.Getsid(pid)
	own, ownErr := unix.Getsid(0)
	return err == nil && ownErr == nil && theirs != own
}

// control calls fn with a file's descriptor. Unlike Fd, it leaves the file's
// blocking mode alone.
func control(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = fn(int(fd)) }); err != nil {
		return err
	}
	return result
}
