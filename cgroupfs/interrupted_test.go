package cgroupfs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// countdown is a context that is cancelled when it has been asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// interruptions calls do with contexts that end at each moment that it looks at
// one, and check after each, until do is through.
func interruptions(t *testing.T, do func(context.Context) error, check func()) {
	t.Helper()
	for n := range 100 {
		err := do(&countdown{t.Context(), n})
		if err == nil {
			if n < 3 {
				t.Errorf("it looked only %d times", n)
			}
			return
		}
		if _, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at %d: %v", n, err)
		}
		check()
	}
	t.Error("it never came to an end")
}

// What is interrupted leaves what was there before.
func TestInterrupted(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids")
	g := newGroup(t, fs)
	pids := int64(40)
	create := func(ctx context.Context) error {
		_, err := g.Create(ctx, CreateOptions{Limits: Limits{PIDs: &pids}})
		return err
	}
	interruptions(t, create, func() {
		if exists(t, g) {
			t.Fatal("create left a group behind")
		}
	})
	h := hierarchyOf(t, fs, "pids")
	plan := g.newPlan()
	plan.write(&h, g.path, "pids.max", "30")
	plan.write(&h, g.path, "pids.max", "20")
	set := func(ctx context.Context) error {
		_, err := plan.Apply(ctx)
		return err
	}
	interruptions(t, set, func() {
		if now := get(t, g, "pids.max"); now != "40" {
			t.Fatalf("set left %s", now)
		}
	})
	one, two := sleeper(t), sleeper(t)
	attach := func(ctx context.Context) error { return g.Attach(ctx, one.PID, two.PID) }
	interruptions(t, attach, func() {
		if m, err := g.Members(); err != nil || len(m.Processes) > 0 {
			t.Fatalf("attach left %v inside, %v", m.Processes, err)
		}
	})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	empty := made(t, fs)
	for name, do := range map[string]func(context.Context) error{
		"remove": func(ctx context.Context) error { return empty.Remove(ctx, false) },
		"kill":   g.Kill, "freeze": g.Freeze,
	} {
		if err := do(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled before it began: %v", name, err)
		}
	}
	if m, err := g.Members(); err != nil || len(m.Processes) != 2 || !exists(t, empty) {
		t.Errorf("what was cancelled before it began was done: %+v, %v", m, err)
	}
}

// Freeze and Kill end with their context, and leave nothing frozen.
func TestInterruptedWaiting(t *testing.T) {
	fs := openFS(t)
	testkit.RequireRoot(t)
	for _, h := range fs.Hierarchies() {
		if h.Version == 1 && !slices.Contains(h.Controllers, "freezer") {
			continue
		}
		p := testkit.RequireStuck(t, testkit.Config{})
		g := newGroup(t, fs)
		if err := h.mkdir(g.path); err != nil {
			t.Fatal(err)
		}
		if err := g.Attach(t.Context(), p.PID); err != nil {
			t.Fatal(err)
		}
		for name, do := range map[string]func(context.Context) error{"freeze": g.Freeze, "kill": g.Kill} {
			late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if err := do(late); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("%s in %s is late: %v", name, h, err)
			}
			cancel()
			reason := errors.New("no more of it")
			ended, end := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { end(reason) })
			if err := do(ended); !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
				t.Errorf("%s in %s is cancelled: %v", name, h, err)
			}
			if frozen, err := h.selfFrozen(g.path); err != nil || frozen {
				t.Errorf("%s in %s left it freezing: %v", name, h, err)
			}
		}
		p.Kill()
	}
}

// A group that is told to freeze and cannot, for a process is in the kernel, stops
// whoever comes into it all the same.
func TestStartWhileFreezing(t *testing.T) {
	fs := openFS(t)
	testkit.RequireRoot(t)
	for _, h := range fs.Hierarchies() {
		if h.Version == 1 && !slices.Contains(h.Controllers, "freezer") {
			continue
		}
		p := testkit.RequireStuck(t, testkit.Config{})
		g := newGroup(t, fs)
		if err := h.mkdir(g.path); err != nil {
			t.Fatal(err)
		}
		if err := g.Attach(t.Context(), p.PID); err != nil {
			t.Fatal(err)
		}
		if err := h.writeFreeze(g.path, true); err != nil {
			t.Fatal(err)
		}
		if frozen, err := h.frozen(g.path); frozen || err != nil {
			t.Errorf("%s: the process was to keep it from being frozen: %v, %v", h, frozen, err)
		}
		e, err := g.Open()
		if err == nil {
			e.Close()
		}
		refusedWith(t, err, unix.EBUSY, g.Path()+" is frozen", "nsx cgroup thaw "+g.Path())
		theirs, err := fs.Memberships(p.PID)
		if by, thaw := fs.FrozenBy(theirs); err != nil || by != g.Path() || thaw != "nsx cgroup thaw "+g.Path() {
			t.Errorf("%s: frozen by %q, thawed by %q, %v", h, by, thaw, err)
		}
		p.Kill()
		if err := h.writeFreeze(g.path, false); err != nil {
			t.Fatal(err)
		}
	}
}
