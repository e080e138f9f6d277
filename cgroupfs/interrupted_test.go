package cgroupfs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
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
	if looks := interruptedAt(t, do, check); looks < 3 {
		t.Errorf("it looked only %d times", looks)
	}
}

// interruptedAt does that, and says how often do has looked.
func interruptedAt(t *testing.T, do func(context.Context) error, check func()) int {
	t.Helper()
	for n := range 1000 {
		err := do(&countdown{t.Context(), n})
		if err == nil {
			return n
		}
		if _, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at %d: %v", n, err)
		}
		check()
	}
	t.Error("it never came to an end")
	return 0
}

// interruptedLater calls do with contexts that are cancelled after more and more
// time, until it is through: what waits has a context of its own, with a deadline,
// which asks no countdown.
func interruptedLater(t *testing.T, do func(context.Context) error, check func()) {
	t.Helper()
	for after := time.Duration(0); after < 10*time.Second; after += after/4 + 20*time.Microsecond {
		ctx, cancel := context.WithCancel(t.Context())
		if after == 0 {
			cancel()
		}
		timer := time.AfterFunc(after, cancel)
		err := do(ctx)
		timer.Stop()
		cancel()
		switch {
		case err == nil && after == 0:
			t.Fatal("cancelled before it began, it was done")
		case err == nil:
			return
		case !errors.Is(err, context.Canceled):
			t.Fatalf("interrupted after %s: %v", after, err)
		}
		check()
	}
	t.Error("it never came to an end")
}

// What only looks ends with its context, too.
func TestInterruptedLooking(t *testing.T) {
	for _, name := range []string{"v1-rhel7", "v2-systemd"} {
		fs, _ := layout(t, name)
		g := groupIn(t, fs, "/system.slice")
		memberships := []Membership{{Path: "/system.slice"}}
		for _, h := range fs.Hierarchies() {
			memberships = append(memberships, Membership{Hierarchy: h.Number, Controllers: h.Controllers, Path: "/system.slice"})
		}
		for what, do := range map[string]func(context.Context) error{
			"stat":      func(ctx context.Context) error { _, err := g.Stat(ctx); return err },
			"walk":      func(ctx context.Context) error { return g.Walk(ctx, func(Summary) error { return nil }) },
			"get":       func(ctx context.Context) error { _, err := g.Get(ctx, "memory.high"); return ignoreGone(err) },
			"get all":   func(ctx context.Context) error { _, err := g.Get(ctx); return err },
			"members":   func(ctx context.Context) error { _, err := g.Members(ctx); return err },
			"limits":    func(ctx context.Context) error { _, err := g.Effective(ctx); return err },
			"limits of": func(ctx context.Context) error { _, err := fs.EffectiveOf(ctx, memberships); return err },
			"info":      func(ctx context.Context) error { _, err := fs.Info(ctx); return err },
			"unit":      func(ctx context.Context) error { _, err := fs.Unit(ctx, "sshd.service"); return ignoreGone(err) },
			"plan": func(ctx context.Context) error {
				_, err := g.Forced().Plan(ctx, Limits{Settings: []keys.Setting{{Key: "memory.max", Value: "100G"}}}, PlanOptions{})
				return err
			},
			"plan to create": func(ctx context.Context) error {
				_, err := groupIn(t, fs, "/new").PlanCreate(ctx, CreateOptions{})
				return err
			},
		} {
			if looks := interruptedAt(t, do, func() {}); looks == 0 {
				t.Errorf("%s on %s does not look whether it is to end", what, name)
			}
		}
	}
}

// Whenever they are interrupted, nothing is half frozen, half killed for good or
// half removed without a word.
func TestInterruptedStates(t *testing.T) {
	fs := openFS(t)
	testkit.RequireRoot(t)
	g := made(t, fs, "freezer")
	below := child(t, g, "below", "freezer")
	p := sleeper(t)
	if err := below.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	thawed := func() {
		t.Helper()
		if frozen, err := g.Frozen(); err != nil || frozen {
			t.Fatalf("left frozen: %v", err)
		}
	}
	interruptedLater(t, g.Freeze, thawed)
	interruptedLater(t, g.Thaw, func() {})
	thawed()
	interruptedLater(t, g.Kill, thawed)
	interruptedLater(t, func(ctx context.Context) error { return g.Remove(ctx, true) }, func() {
		if !exists(t, g) {
			t.Fatal("it was removed, and called interrupted")
		}
	})
	if exists(t, g) {
		t.Error("it is not removed")
	}
}

// Whoever made a group is told so.
func TestCreated(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids")
	g := newGroup(t, fs)
	for _, want := range []bool{true, false} {
		r, err := g.Create(t.Context(), CreateOptions{Controllers: []string{"pids"}})
		if err != nil || r.Created != want {
			t.Fatalf("created: %v, %v, want %v", r.Created, err, want)
		}
	}
	pids := int64(40)
	r, err := g.Set(t.Context(), Limits{PIDs: &pids}, PlanOptions{})
	if err != nil || r.Created || get(t, g, "pids.max") != "40" {
		t.Errorf("%+v, %v", r, err)
	}
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
		if m, err := g.Members(t.Context()); err != nil || len(m.Processes) > 0 {
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
	if m, err := g.Members(t.Context()); err != nil || len(m.Processes) != 2 || !exists(t, empty) {
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
		refusedWith(t, err, unix.EBUSY, g.Path()+" is frozen", "thaw it")
		thaws(t, err, g.Path())
		theirs, err := fs.Memberships(p.PID)
		if err != nil {
			t.Fatal(err)
		}
		thaws(t, fs.FrozenBy(theirs), g.Path())
		p.Kill()
		if err := h.writeFreeze(g.path, false); err != nil {
			t.Fatal(err)
		}
	}
}
