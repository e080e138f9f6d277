package cgroupfs

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// deepen makes a branch below the group, by one name at a time, that no path
// reaches, and puts a process into its last group.
func deepen(t *testing.T, h Hierarchy, g *Group, depth int, pid int) {
	t.Helper()
	dir, err := h.openat(g.path, "", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		name := strings.Repeat("d", 250)
		if err := unix.Mkdirat(int(dir.Fd()), name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := openBeneath(int(dir.Fd()), name, unix.O_PATH|unix.O_DIRECTORY)
		dir.Close()
		if err != nil {
			t.Fatal(err)
		}
		dir = next
	}
	defer dir.Close()
	s := spot{dir: int(dir.Fd())}
	if err := s.write("cgroup.procs", pidString(pid)); err != nil {
		t.Fatal(err)
	}
}

// A tree deeper than PATH_MAX, which any user with a delegated group can make, is
// in nobody's way.
func TestDeeperThanPathMax(t *testing.T) {
	testkit.CheckLeaks(t)
	fs := openFS(t)
	testkit.RequireRoot(t)
	var tested int
	for _, h := range fs.Hierarchies() {
		if h.Version == 1 && !slices.Contains(h.Controllers, "freezer") {
			continue
		}
		tested++
		g := newGroup(t, fs)
		for _, path := range []string{g.path, g.path + "/z"} {
			if err := h.mkdir(path); err != nil {
				t.Fatal(err)
			}
		}
		p := sleeper(t)
		deepen(t, h, g, 20, p.PID)
		var seen []string
		var missing []Unreadable
		err := g.Walk(t.Context(), func(s Summary) error {
			seen = append(seen, s.Group.Path())
			missing = append(missing, s.Unreadable...)
			return nil
		})
		if err != nil || len(seen) < 15 || !slices.Contains(seen, g.path+"/z") {
			t.Errorf("%s: walk saw %d groups, %v", h, len(seen), err)
		}
		if len(missing) != 1 || !errors.Is(missing[0], unix.ENAMETOOLONG) || !strings.Contains(missing[0].Reason, "4 groups below") {
			t.Errorf("%s: walk says of what it left out %v", h, missing)
		}
		if err := g.Freeze(t.Context()); err != nil {
			t.Error(err)
		}
		if err := g.Thaw(t.Context()); err != nil {
			t.Error(err)
		}
		if s, err := g.Stat(t.Context()); err != nil || s.Populated == nil || !*s.Populated {
			t.Errorf("%s: %+v, %v", h, s, err)
		}
		refusedWith(t, g.Remove(t.Context(), true), unix.EBUSY, pidString(p.PID))
		if err := g.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Remove(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if tested == 0 {
		t.Error("no hierarchy was tested")
	}
}

// One descriptor at a time is enough.
func TestDescendKeepsNothingOpen(t *testing.T) {
	fs := openFS(t)
	g := made(t, fs)
	h := g.in()[0]
	path := g.path
	for range 40 {
		path += "/x"
		for _, name := range []string{path, path + "-y"} {
			if err := h.mkdir(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before, most, n := open(), 0, 0
	err := h.descend(t.Context(), g.path, func(*spot) error {
		most = max(most, open())
		n++
		return nil
	})
	if err != nil || n != 81 || most > before+3 || open() != before {
		t.Errorf("%d groups, %d descriptors, at most %d, then %d: %v", n, before, most, open(), err)
	}
}
