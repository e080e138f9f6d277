package enter

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"nsx/inspect"
	"nsx/internal/testkit"
)

// checkInside runs a command in all namespaces of a fixture and compares.
func checkInside(t *testing.T, p *testkit.Proc, plan *Plan) {
	t.Helper()
	var script strings.Builder
	var want strings.Builder
	for _, typ := range inspect.Types {
		script.WriteString("readlink /proc/self/ns/" + typ.String() + "; ")
		want.WriteString(inspect.ID{Type: typ, Inode: p.NS(typ.String())}.String() + "\n")
	}
	// The fixture's /proc may be another PID namespace's, where a command has
	// no /proc/self: it is the numbers that count.
	c := Command(plan, "sh", "-c", "mount -t proc proc /proc; "+script.String()+"id -u")
	got, err := output(t, c)
	if err != nil || got != want.String()+"0\n" {
		t.Errorf("%v, got\n%swant\n%s0", err, got, want.String())
	}
}

// A rootless container, with all eight types, its owner an ordinary user:
// entered whole by root, and (as an ordinary user) by its owner.
func TestRootless(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	c := testkit.Config{New: testkit.AllNS}
	if os.Geteuid() == 0 {
		c.UID = 1000
	}
	p := testkit.Start(t, c)
	checkInside(t, p, planFor(t, strconv.Itoa(p.PID)))
}

// User namespaces in user namespaces: the innermost, whole.
func TestNested(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	p := testkit.Start(t, testkit.Config{New: testkit.AllNS, Depth: 3})
	checkInside(t, p, planFor(t, strconv.Itoa(p.PID)))
}

// Namespaces by their files, which are joined one by one in three passes.
func TestByFiles(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	p := testkit.Start(t, testkit.Config{New: testkit.AllNS})
	var requests []Request
	for _, typ := range inspect.Types {
		target, err := inspect.Resolve(t.Context(), p.Path("ns", typ.String()))
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		requests = append(requests, Request{typ, target})
	}
	plan, err := NewPlan(t.Context(), requests, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if pidfd, _ := plan.oneProcess(); pidfd != nil {
		t.Error("namespace files have a pidfd")
	}
	checkInside(t, p, plan)
}

// From two processes: each type from its own.
func TestFromTwo(t *testing.T) {
	testkit.RequireRoot(t) // others have rights in one user namespace at a time
	testkit.RequireNS(t, "net", "uts")
	a := testkit.Start(t, testkit.Config{New: []string{"net"}})
	b := testkit.Start(t, testkit.Config{New: []string{"uts"}})
	var requests []Request
	for _, r := range []struct {
		p   *testkit.Proc
		typ inspect.Type
	}{{a, inspect.Net}, {b, inspect.UTS}} {
		target, err := inspect.Resolve(t.Context(), strconv.Itoa(r.p.PID))
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		requests = append(requests, Request{r.typ, target})
	}
	plan, err := NewPlan(t.Context(), requests, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	got, err := output(t, Command(plan, "readlink", "/proc/self/ns/net", "/proc/self/ns/uts"))
	want := inspect.ID{Type: inspect.Net, Inode: a.NS("net")}.String() + "\n" + inspect.ID{Type: inspect.UTS, Inode: b.NS("uts")}.String() + "\n"
	if err != nil || got != want {
		t.Errorf("%v, got %q, want %q", err, got, want)
	}
}
