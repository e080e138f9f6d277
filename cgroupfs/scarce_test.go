package cgroupfs

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Out of descriptors nothing that is there counts as absent, and nothing that is
// not known as done.
func TestOutOfDescriptors(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids", "cpuset")
	g := made(t, fs, "pids", "cpuset")
	p := sleeper(t)
	pids := int64(50)
	below := child(t, g, "below", "pids", "cpuset")
	absent := &Group{fs: fs, path: g.path + "/new"}
	creation := CreateOptions{Controllers: []string{"cpuset"}, Limits: Limits{PIDs: &pids}}
	whole, err := absent.PlanCreate(t.Context(), creation)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"exists", func() error {
			there, err := g.Exists()
			if err == nil && !there {
				t.Error("it does not exist")
			}
			return err
		}},
		{"limits", func() error { _, err := g.Plan(t.Context(), Limits{PIDs: &pids}, PlanOptions{}); return err }},
		{"create", func() error {
			plan, err := absent.PlanCreate(t.Context(), creation)
			if err == nil && len(plan.Steps) != len(whole.Steps) {
				t.Errorf("%v, want %v", plan.Steps, whole.Steps)
			}
			return err
		}},
		{"attach", func() error {
			if err := g.Attach(t.Context(), p.PID); err != nil {
				return err
			}
			return undoAttach(t, fs, p.PID)
		}},
		{"members", func() error { _, err := g.Members(t.Context()); return err }},
		{"freeze", func() error { return g.Freeze(context.Background()) }},
		{"thaw", func() error { return g.Thaw(context.Background()) }},
		{"kill", func() error { return below.Kill(context.Background()) }},
		{"enter", func() error {
			e, err := g.Open()
			if err == nil {
				e.Close()
			}
			return err
		}},
		{"remove", func() error { return below.Remove(context.Background(), true) }},
	} {
		refusals := 0
		for more := 0; ; more++ {
			err := withDescriptors(t, more, step.do)
			if err == nil {
				break
			}
			if refusals++; !errors.Is(err, unix.EMFILE) {
				t.Errorf("%s with %d descriptors more: %v", step.name, more, err)
			}
			if more > 20 {
				t.Fatalf("%s needs more than that", step.name)
			}
		}
		if refusals == 0 {
			t.Errorf("%s was never refused", step.name)
		}
	}
	if exists(t, below) {
		t.Error("what was removed is there")
	}
}

// undoAttach puts a process back to where it was.
func undoAttach(t *testing.T, fs *FS, pid int) error {
	t.Helper()
	root := &Group{fs: fs, path: "/", force: true}
	return root.Attach(t.Context(), pid)
}

// withDescriptors calls do, which can open so many files more at a time.
func withDescriptors(t *testing.T, more int, do func() error) error {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// The lowest number that is free is the next to be opened.
	next, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(next)
	limit := unix.Rlimit{Cur: uint64(next + more), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	return do()
}
