package linux

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a thread has started that others have used since does not end with the
// threads that are ended on purpose.
func TestThreadsOfChildrenLast(t *testing.T) {
	for range 20 {
		cmd := exec.Command("sleep", "20")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		var parent int
		started := make(chan error)
		go func() { // whose thread is free again at once
			runtime.LockOSThread()
			parent = unix.Gettid()
			err := cmd.Start()
			runtime.UnlockOSThread()
			started <- err
		}()
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		for range 20 {
			done := make(chan struct{})
			OnThread(func() {
				if unix.Gettid() == parent || unix.Gettid() == unix.Getpid() {
					t.Errorf("thread %d, which started a process, is to end", unix.Gettid())
				}
				close(done)
			})
			<-done
		}
		time.Sleep(5 * time.Millisecond)
		var status unix.WaitStatus
		if got, err := unix.Wait4(cmd.Process.Pid, &status, unix.WNOHANG, nil); got != 0 || err != nil {
			t.Fatalf("it has ended: %v, %v", status.Signal(), err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
