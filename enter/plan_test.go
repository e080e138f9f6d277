package enter

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/testkit"
)

var bg = context.Background()

func TestPlanSkipsWhatIsOurOwn(t *testing.T) {
	p := planFor(t, "self")
	if len(p.Joins) != 0 || len(p.Skipped) != inspect.NumTypes {
		t.Fatalf("joins %v, skips %v", p.Joins, p.Skipped)
	}
	for _, s := range p.Skipped {
		own, err := testkit.OwnNS(s.ID.Type.String())
		if err != nil || s.ID.Inode != own || s.Reason != "it is our own" || s.From == "" {
			t.Errorf("%+v, want %d (%v)", s, own, err)
		}
	}
}

func TestPlanOrder(t *testing.T) {
	testkit.RequireNS(t, append(names(joinable), "user")...)
	p := testkit.Start(t, testkit.Config{New: append(names(joinable), "user")})
	plan := planFor(t, strconv.Itoa(p.PID))
	var got []inspect.Type
	for _, j := range plan.Joins {
		got = append(got, j.ID.Type)
		if j.ID.Inode != p.NS(j.ID.Type.String()) {
			t.Errorf("%+v is not the target's", j)
		}
	}
	if len(got) != 7 || got[0] != inspect.User || got[6] != inspect.Mnt {
		t.Errorf("order %v: want user first, mnt last", got)
	}
	if !plan.WillJoin(inspect.Net) || plan.WillJoin(inspect.Time) {
		t.Errorf("Has is wrong about %v", got)
	}
}

// A later request for a type replaces an earlier one, whose namespace need not
// even be there.
func TestPlanLaterRequestsReplace(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	a := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	b := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	var targets []*inspect.Target
	for _, p := range []*testkit.Proc{a, b} {
		target, err := inspect.Resolve(bg, strconv.Itoa(p.PID))
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		targets = append(targets, target)
	}
	want := b.NS("net")
	a.Kill()
	plan, err := NewPlan(bg, []Request{{inspect.Net, targets[0]}, {inspect.Net, targets[1]}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if len(plan.Joins) != 1 || plan.Joins[0].ID.Inode != want {
		t.Errorf("%+v, want %d", plan.Joins, want)
	}
}

// A plan keeps what it needs: its target may be closed, and die.
func TestPlanOutlivesItsTarget(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	p := testkit.Start(t, testkit.Config{New: []string{"net"}})
	want := p.NS("net")
	plan := planFor(t, strconv.Itoa(p.PID))
	p.Kill()
	err := Do(bg, plan, func() error {
		got, err := threadNS(inspect.Net)
		if err == nil && got != want {
			t.Errorf("in net:[%d], want [%d]", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPlanClose(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt", "net")
	testkit.CheckLeaks(t)
	p := testkit.Start(t, testkit.Config{New: []string{"mnt", "net"}})
	plan := planFor(t, strconv.Itoa(p.PID))
	for range 2 {
		if err := plan.Close(); err != nil {
			t.Error(err)
		}
	}
	err := Do(bg, plan, func() error { t.Error("fn was called"); return nil })
	if err == nil {
		t.Error("a closed plan was carried out")
	}
}

// What fails half-way leaves no descriptor behind, and says what it was.
func TestPlanErrors(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, c := range []struct {
		name string
		// make brings a target into its state.
		make   func(t *testing.T) *inspect.Target
		errno  unix.Errno
		reason error
		says   string
	}{
		{"dead", func(t *testing.T) *inspect.Target {
			p := testkit.Start(t, testkit.Config{})
			target := resolve(t, strconv.Itoa(p.PID))
			p.Kill()
			return target
		}, 0, ErrGone, "it has exited"},
		{"zombie", func(t *testing.T) *inspect.Target {
			return resolve(t, strconv.Itoa(testkit.Start(t, testkit.Config{Mode: testkit.Zombie}).PID))
		}, unix.ENOENT, ErrGone, "it is a zombie"},
		{"no right", func(t *testing.T) *inspect.Target {
			testkit.RequireUser(t)
			return resolve(t, "1")
		}, unix.EACCES, ErrPermission, "the right to trace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.CheckLeaks(t)
			target := c.make(t)
			plan, err := NewPlan(bg, AllOf(target), Options{})
			if err == nil {
				plan.Close()
				t.Fatal("there is a plan")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			// ESRCH or ENOENT for what is dead.
			if !errors.Is(err, c.reason) || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Errorf("%v is not %v and %v", err, c.reason, c.errno)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%T is no *Error", err)
			}
		})
	}
}

func resolve(t *testing.T, word string) *inspect.Target {
	t.Helper()
	target, err := inspect.Resolve(bg, word)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}
