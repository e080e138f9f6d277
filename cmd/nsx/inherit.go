package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/enter"
	"nsx/internal/inherited"
)

// inherit is what commands inherit of what nsx was started with; nil if that is
// not known.
func inherit() *enter.Inherited {
	s, known := inherited.Known()
	if !known {
		return nil
	}
	return &enter.Inherited{Ignored: s.Ignored, Blocked: s.Blocked, NoFile: s.NoFile}
}

// keepIgnored has nsx itself ignore what it was started with as ignored, which
// Go's runtime does for SIGHUP and SIGINT alone: nobody expects an end by a
// SIGTERM that the caller has turned off. But nsx hears of the ends of its
// children, and the runtime needs SIGURG.
func keepIgnored() {
	s, _ := inherited.Known()
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if s.Ignored>>(sig-1)&1 == 1 && sig != syscall.SIGCHLD && sig != syscall.SIGURG {
			signal.Ignore(sig)
		}
	}
}

// keepClosed makes those of the standard streams that nsx was started without as
// good as closed again: reading and writing is an error (EBADF), for the commands
// that inherit them too. Go's runtime has opened /dev/null for both in their place,
// where output would be lost without a word.
func keepClosed() error {
	s, _ := inherited.Known()
	for fd, direction := range []int{unix.O_WRONLY, unix.O_RDONLY, unix.O_RDONLY} {
		if s.Closed>>fd&1 == 0 {
			continue
		}
		null, err := unix.Open(os.DevNull, direction|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", os.DevNull, err)
		}
		err = unix.Dup3(null, fd, 0)
		unix.Close(null)
		if err != nil {
			return fmt.Errorf("dup3: %w", err)
		}
	}
	return nil
}
