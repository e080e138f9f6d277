package linux

import "golang.org/x/sys/unix"

// PtyPeer opens the slave of the pseudoterminal whose master fd is, with flags
// of open(2): TIOCGPTPEER of ioctl_tty(2). Linux 4.13.
func PtyPeer(fd, flags int) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, uintptr(flags))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
