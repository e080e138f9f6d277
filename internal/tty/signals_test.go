package tty

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// A command that ended by its own ^Z has left no session that we would have to
// stop for. See also TestStopKeyIsTheCommands, which needs luck to show that.
func TestInOtherSession(t *testing.T) {
	testkit.CheckLeaks(t)
	p := start([]string{"sleep", "60"}, [3]*os.File{}, &syscall.SysProcAttr{})
	if inOtherSession(p.Pid) {
		t.Error("a child is in our session")
	}
	kill(p.Pid, unix.SIGKILL)
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if inOtherSession(p.Pid) {
		t.Error("what has ended is in no session")
	}
	p = start([]string{"sleep", "60"}, [3]*os.File{}, &syscall.SysProcAttr{Setsid: true})
	if !inOtherSession(p.Pid) {
		t.Error("it has a session of its own")
	}
	kill(p.Pid, unix.SIGKILL)
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestSignalsBetweenCommands: what came while no command was there to get it.
func TestSignalsBetweenCommands(t *testing.T) {
	testkit.CheckLeaks(t)
	s := Catch()
	defer s.Stop()
	raise := func(sig syscall.Signal) {
		t.Helper()
		if err := unix.Kill(unix.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); len(s.c) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%v was not caught", sig)
			}
		}
	}
	if sig := s.Ended(); sig != 0 {
		t.Errorf("%v out of nothing", sig)
	}
	raise(unix.SIGUSR1)
	if sig := s.Ended(); sig != 0 || len(s.c) != 0 {
		t.Errorf("%v after SIGUSR1, which would be the next command's", sig)
	}
	raise(unix.SIGHUP)
	if sig := s.Ended(); sig != unix.SIGHUP {
		t.Errorf("%v, want SIGHUP", sig)
	}
	raise(unix.SIGTERM)
	if sig := s.Ended(); sig != unix.SIGHUP {
		t.Errorf("%v, want the first one, SIGHUP", sig)
	}

	// The command gets it, and we know.
	s = Catch()
	defer s.Stop()
	got := make(chan syscall.Signal, 1)
	end := s.handle(func(sig syscall.Signal, _ bool) { got <- sig })
	if err := unix.Kill(unix.Getpid(), unix.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if sig := <-got; sig != unix.SIGQUIT {
		t.Errorf("the command got %v", sig)
	}
	end()
	if sig := s.Ended(); sig != unix.SIGQUIT {
		t.Errorf("%v, want SIGQUIT", sig)
	}
}
