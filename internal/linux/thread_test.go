package linux

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// However many ask at once, none gets the process's first thread.
func TestNeverTheFirstThread(t *testing.T) {
	testkit.CheckLeaks(t)
	tids := make(chan int)
	for i := range 200 {
		go OnThread(func() { tids <- unix.Gettid() })
		go OnLentThread(func() bool { tids <- unix.Gettid(); return i%2 == 0 })
	}
	for range 400 {
		if <-tids == os.Getpid() {
			t.Error("on the first thread")
		}
	}
}

// A thread that was spoilt is nobody's any more, and ends after what it has started.
func TestSpoiltThread(t *testing.T) {
	cmd := exec.Command("sleep", "20")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var spoilt int
	var err error
	OnLentThread(func() bool {
		spoilt, err = unix.Gettid(), cmd.Start()
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		OnLentThread(func() bool {
			if unix.Gettid() == spoilt {
				t.Error("it was lent again")
			}
			return false
		})
	}
	time.Sleep(5 * time.Millisecond)
	var status unix.WaitStatus
	if got, err := unix.Wait4(cmd.Process.Pid, &status, unix.WNOHANG, nil); got != 0 || err != nil {
		t.Fatalf("it has ended: %v, %v", status.Signal(), err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); unix.Tgkill(os.Getpid(), spoilt, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the thread is still there")
		}
	}
}

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
