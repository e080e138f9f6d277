package linux

import (
	"os"
	"runtime"
	"strings"

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

// isParent says whether the calling thread is the process's first, or the parent of
// processes (proc_pid_children(5), of kernels with CONFIG_PROC_CHILDREN).
func isParent() bool {
	if unix.Gettid() == os.Getpid() {
		return true
	}
	children, err := os.ReadFile("/proc/thread-self/children")
	return err == nil && strings.TrimSpace(string(children)) != ""
}
