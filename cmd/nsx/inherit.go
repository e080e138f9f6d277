package main

import (
	"os/signal"
	"syscall"

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
