package linux

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// OnThread starts f on a thread that ends with it, so that f may change what belongs
// to a thread.
//
// It is never the process's first thread, which cannot end alone, and what it is in
// is the process's to everybody else. And it is none that has started a process: Go
// gives a new goroutine the thread that an old one has just left, and that thread's
// end would be taken for the parent's (PR_SET_PDEATHSIG, also that of os/exec).
func OnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if !isParent() {
			f() // never unlocked: the thread ends with the goroutine
			return
		}
		// We hold this one until another goroutine has got another one.
		taken := make(chan struct{})
		OnThread(func() { close(taken); f() })
		<-taken
		runtime.UnlockOSThread()
	}()
}

// OnLentThread runs f on a thread that others may have used and will use again, but not
// on the process's first. If f says that it could not undo what it has done to the
// thread, no other goroutine gets it: it ends, though not before all processes have that
// it has started, which would take its end for their parent's.
func OnLentThread(f func() (spoilt bool)) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			OnLentThread(f) // while we hold this one, it is another
			runtime.UnlockOSThread()
			close(done)
			return
		}
		spoilt := f()
		close(done)
		if !spoilt {
			runtime.UnlockOSThread()
			return
		}
		for some, known := children(); some || !known; some, known = children() {
			time.Sleep(time.Second)
		}
	}()
	<-done
}

// isParent says whether the calling thread is the process's first, or the parent of
// processes.
func isParent() bool {
	some, _ := children()
	return some || unix.Gettid() == os.Getpid()
}

// children says whether the calling thread is the parent of processes, which kernels
// with CONFIG_PROC_CHILDREN tell (proc_pid_children(5)).
func children() (some, known bool) {
	text, err := os.ReadFile("/proc/thread-self/children")
	return strings.TrimSpace(string(text)) != "", err == nil
}
