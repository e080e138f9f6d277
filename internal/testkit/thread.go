package testkit

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread starts f on a thread of its own, which ends with it, so that f may
// change what belongs to a thread. It is never the process's first thread,
// whose namespaces are those of the process to everybody else.
func OnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			f() // never unlocked: the thread ends with the goroutine
			return
		}
		// We hold the first thread until another goroutine has got another one.
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			f()
		}()
		<-locked
		runtime.UnlockOSThread()
	}()
}
