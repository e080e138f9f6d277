package enter

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/testkit"
)

// TestCancelledPlan ends what NewPlan waits for.
func TestCancelledPlan(t *testing.T) {
	testkit.CheckLeaks(t)
	// A cause of the caller's own, which is not context.Canceled.
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	is := func(err error) bool { return errors.Is(err, context.Canceled) && errors.Is(err, io.ErrClosedPipe) }

	p := testkit.Start(t, testkit.Config{New: withUser("mnt", "pid")})
	target := resolve(t, strconv.Itoa(p.PID))
	if plan, err := NewPlan(cancelled, AllOf(target), Options{}); !is(err) {
		t.Errorf("of a process: %v, %v", plan, err)
	}
	if err := Do(cancelled, planFor(t, "self"), func() error { t.Error("it was called"); return nil }); !is(err) {
		t.Errorf("Do: %v", err)
	}
}

// TestCancelledWhileFiltersAreRead has a target that does not stop, which takes a
// second to be seen, and is left as it was.
func TestCancelledWhileFiltersAreRead(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	pid := startFiltered(t, func(prog *launcher.Program) {
		prog.Call("vfork", unix.SYS_CLONE, launcher.Int(unix.CLONE_VFORK|int(unix.SIGCHLD)))
		prog.DieWithParent(unix.SIGKILL)
		prog.Call("sleep", unix.SYS_NANOSLEEP, prog.Words(5, 0), launcher.Int(0))
	}, refusing(unix.SYS_UNAME, unix.EXDEV))
	awaitState(t, pid, 'D')
	target := resolve(t, strconv.Itoa(pid))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	plan, err := NewPlan(ctx, AllOf(target), Options{})
	if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUntraceable) || took > 800*time.Millisecond {
		t.Errorf("%v, %v after %v", plan, err, took)
	}
	// The thread that traced it is at its end.
	for left := 100; ; left-- {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		switch {
		case err == nil && statusOf(string(status), "TracerPid") == "0":
			return
		case err != nil || left == 0:
			t.Fatalf("it is traced: %v\n%s", err, status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestCancelledStart ends a start in the middle: what it made is undone.
func TestCancelledStart(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net", "uts")
	testkit.CheckLeaks(t)
	dir := t.TempDir()
	net, uts := filepath.Join(dir, "net"), filepath.Join(dir, "uts")
	plan, err := NewPlan(t.Context(), nil, Options{Unshare: &Unshare{
		Types: []inspect.Type{inspect.Net, inspect.UTS},
		Bind:  map[inspect.Type]string{inspect.Net: net, inspect.UTS: uts},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	for after := time.Duration(0); after < 20*time.Millisecond; after += 2 * time.Millisecond {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		c := CommandContext(ctx, plan, "sleep", "30")
		err := c.Run()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("after %v: %v", after, err)
		}
		for _, path := range []string{net, uts} {
			_, err := os.Lstat(path)
			switch started := c.ProcessState != nil; {
			case started && err != nil:
				t.Errorf("after %v: it ran, and %v", after, err)
			case started:
				_ = unix.Unmount(path, unix.MNT_DETACH)
				os.Remove(path)
			case err == nil:
				t.Errorf("after %v: %s was left", after, path)
			}
		}
	}
}
