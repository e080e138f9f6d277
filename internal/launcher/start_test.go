package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// sleep makes the helper wait.
func sleep(p *Program, d time.Duration) {
	p.Call("sleep", unix.SYS_NANOSLEEP, p.Words(uint64(d/time.Second), uint64(d%time.Second)), Int(0))
}

// slow is a program that takes a minute, in a child if forked.
func slow(forked bool) *Program {
	p := &Program{}
	if forked {
		p.Fork()
	}
	sleep(p, time.Minute)
	p.Exec("/bin/true", "")
	return p
}

func TestCancel(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		a := Attr{Way: way, Argv: []string{"true"}}
		for _, forked := range []bool{false, true} {
			why := errors.New("changed my mind")
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
			if _, err := Start(ctx, slow(forked), a); !errors.Is(err, why) {
				t.Errorf("%v", err)
			}
			if _, err := Start(ctx, slow(forked), a); !errors.Is(err, why) {
				t.Errorf("before the start: %v", err)
			}
		}
	})
}

func TestHelperDies(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		for _, forked := range []bool{false, true} {
			var p Program
			if forked {
				p.Fork()
			}
			pid := p.Slot(0)
			p.Call("getpid", unix.SYS_GETPID).Into(pid)
			p.Call("kill", unix.SYS_KILL, pid.Value(), Int(unix.SIGKILL))
			p.Exec("/bin/true", "")
			err := refused(t, &p, Attr{Way: way})
			var died *DiedError
			if !errors.As(err, &died) || died.Status.Signal() != unix.SIGKILL {
				t.Errorf("forked %v: %v", forked, err)
			}
		}
		// Killed behind its back, before the fork it was to do.
		var p Program
		p.Parent("kill it", func(pid int) error { return unix.Kill(pid, unix.SIGTERM) })
		sleep(&p, time.Minute)
		p.Fork()
		p.Exec("/bin/true", "")
		if err := refused(t, &p, Attr{Way: way}); !strings.HasPrefix(err.Error(), "killed by SIGTERM") {
			t.Error(err)
		}
	})
}

func TestFork(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Fork()
		a := shell(&p, "echo $PPID $$; exit 3")
		a.Way = way
		text, state := output(t, &p, a)
		if want := fmt.Sprintf("%d %d\n", os.Getpid(), state.Pid()); text != want || exitStatus(state) != 3 {
			t.Errorf("%q, want %q; %v", text, want, state)
		}
		p = Program{}
		p.Fork()
		p.Exec("/nonexistent", "")
		failsAt(t, &p, Attr{Way: way}, "exec /nonexistent", unix.ENOENT)
	})
	defer func() {
		if recover() == nil {
			t.Error("forked twice")
		}
	}()
	var p Program
	p.Fork()
	p.Fork()
}

func TestParent(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		for range testkit.Rounds(20, 20) {
			var p Program
			var pids []int
			note := func(pid int) error {
				comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
				if len(comm) == 0 {
					t.Errorf("no process %d", pid)
				}
				pids = append(pids, pid)
				return err
			}
			p.Parent("first", note)
			p.Parent("second", note)
			p.Fork()
			p.Parent("third", note)
			a := shell(&p, "echo $$")
			a.Way = way
			text, state := output(t, &p, a)
			if len(pids) != 3 || pids[0] != pids[1] || pids[2] != state.Pid() || pids[0] == pids[2] || text != fmt.Sprintln(pids[2]) {
				t.Fatalf("%v, %q, %d", pids, text, state.Pid())
			}
		}
		for _, forked := range []bool{false, true} {
			why := errors.New("refused")
			var p Program
			if forked {
				p.Fork()
			}
			p.Parent("refuse", func(int) error { return why })
			p.Exec("/bin/true", "")
			if err := refused(t, &p, Attr{Way: way}); !errors.Is(err, why) {
				t.Error(err)
			}
		}
	})
}

// TestSignalsOfHelper looks at the helper before it executes anything: no
// handler of Go's may run in it, and no keyboard may stop it.
func TestSignalsOfHelper(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Parent("look", func(pid int) error {
			for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
				if err := unix.Kill(pid, sig); err != nil {
					return err
				}
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			for _, want := range []string{"SigCgt:\t0000000000380000\n", "Threads:\t1\n"} {
				if !strings.Contains(string(status), want) {
					t.Errorf("no %q in %s", want, status)
				}
			}
			return err
		})
		output(t, &p, Attr{Way: way}) // it would not end if it was stopped
	})
}

// TestStopsOfCommand: the command is stopped as this program would be.
func TestStopsOfCommand(t *testing.T) {
	testkit.CheckLeaks(t)
	const stops = 0x380000
	for prelude, want := range map[string][2]uint64{"": {0, 0}, "trap '' TSTP;": {0x80000, 0}} {
		text, err := role("stops", prelude).Output()
		lines := 0
		for line := range strings.Lines(string(text)) {
			var got [2]uint64
			if _, err := fmt.Sscanf(line, "SigIgn: %x SigCgt: %x", &got[0], &got[1]); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			// libc and whoever started us may have ignored others.
			if got[0]&stops != want[0] || got[1]&stops != want[1] {
				t.Errorf("%q: %q, want %x", prelude, line, want)
			}
			lines++
		}
		if err != nil || lines != 3 {
			t.Errorf("%q: %q, %v", prelude, text, err)
		}
	}
}

// stopsRole prints the signals that a command ignores and catches.
func stopsRole() int {
	for _, way := range []Way{Memfd, Clone, Vfork} {
		var p Program
		p.Exec("sed", DefaultPath)
		proc, err := Start(context.Background(), &p, Attr{
			Argv: []string{"sed", "-n", "/SigIgn/{N;s/\\n/ /;p}", "/proc/self/status"}, Files: stdio(), Way: way,
		})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		_, _ = proc.Wait()
	}
	return 0
}

func TestCgroup(t *testing.T) {
	testkit.RequireRoot(t)
	mount := testkit.RequireCgroup2(t)
	path := filepath.Join(mount, fmt.Sprintf("nsx-test-launcher-%d", os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Fork()
		a := shell(&p, "grep ^0:: /proc/self/cgroup")
		a.Way, a.Cgroup = way, dir
		if text, _ := output(t, &p, a); !strings.HasSuffix(text, filepath.Base(path)+"\n") {
			t.Errorf("%q", text)
		}
		root, err := os.Open("/")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		a.Cgroup = root
		if err := refused(t, &p, a); !errors.Is(err, unix.EBADF) {
			t.Errorf("no cgroup directory: %v", err)
		}
	})
}
