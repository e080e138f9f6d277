package testkit

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStuck(t *testing.T) {
	CheckLeaks(t)
	RequireRoot(t) // /dev/fuse may be root's alone
	p := RequireStuck(t, Config{New: withUser()})
	if p.State() != 'D' {
		t.Errorf("state %c", p.State())
	}
	p.NS("net") // all that needs no memory of it can be read
	for _, name := range []string{"environ", "maps"} {
		if !ReadBlocks(t, p.Path(name), 100*time.Millisecond) {
			t.Errorf("%s can be read", name)
		}
	}
	for _, name := range []string{"stat", "status", "comm", "cgroup", "mountinfo"} {
		if ReadBlocks(t, p.Path(name), 10*time.Second) {
			t.Errorf("%s cannot be read", name)
		}
	}
	p.Kill()
	if _, err := os.Lstat(p.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Kill: %v", err)
	}
}

// Nobody may be left in state D when a test is killed.
func TestStuckEndsWithItsParent(t *testing.T) {
	CheckLeaks(t)
	RequireRoot(t) // /dev/fuse may be root's alone
	p := RequireStuck(t, Config{New: withUser()})
	if err := unix.Kill(p.Levels[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Process 1 reaps it in its own time: allow for that.
	if state, err := stateOf(p.Path("stat")); err == nil && state != 'Z' {
		if err := waitState(p.Path("stat"), 'Z'); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			t.Error(err)
		}
	}
}
