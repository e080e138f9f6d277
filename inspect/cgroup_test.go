package inspect

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"nsx/internal/testkit"
)

// unitTree is a machine with systemd's groups, of which a user has forged one.
func unitTree(t *testing.T) Machine {
	t.Helper()
	const mount = "24 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	extra := map[string]string{"../../sys/fs/cgroup/cgroup.controllers": "memory\n"}
	for _, dir := range []string{"system.slice/web.service/worker", "system.slice/idle.service", "user.slice/user-1000.slice/user@1000.service/forged.service"} {
		extra["../../sys/fs/cgroup/"+dir+"/cgroup.procs"] = ""
	}
	root := filepath.Dir(testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1, Mountinfo: mount, Cgroup: "0::/init.scope\n", Extra: extra},
		testkit.FakeProcess{PID: 5, StartTicks: 900, Cgroup: "0::/system.slice/web.service\n"},
		testkit.FakeProcess{PID: 6, StartTicks: 800, Cgroup: "0::/system.slice/web.service/worker\n"},
		testkit.FakeProcess{PID: 7, Cgroup: "0::/system.slice/web.service2\n"},
		testkit.FakeProcess{PID: 8, Cgroup: "0::/user.slice/user-1000.slice/user@1000.service/forged.service\n"}))
	m, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestUnit: a unit is the processes of its group and of those below it, and the
// oldest of them where one is needed.
func TestUnit(t *testing.T) {
	testkit.CheckLeaks(t)
	m := unitTree(t)
	for _, word := range []string{"web.service", "unit:web", "unit:web.service"} {
		_, match, err := m.Find(t.Context(), []string{word}, Options{ProcessesOnly: true})
		if err != nil || !slices.Equal(match.PIDs, []int{5, 6}) {
			t.Errorf("%s: %+v, %v", word, match, err)
		}
		target, err := m.Resolve(t.Context(), word)
		if err != nil || target.PID != 6 {
			t.Errorf("%s: %+v, %v", word, target, err)
		}
		if err == nil {
			target.Close()
		}
	}
	for _, word := range []string{"forged.service", "unit:nosuch", "session:3", "idle.service"} {
		if _, match, err := m.Find(t.Context(), []string{word}, Options{ProcessesOnly: true}); !errors.Is(err, ErrGone) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v", word, match, err)
		}
		if target, err := m.Resolve(t.Context(), word); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %+v, %v", word, target, err)
		}
	}
}

func TestGroup(t *testing.T) {
	testkit.CheckLeaks(t)
	m := unitTree(t)
	for word, want := range map[string]string{
		"/": "/", "/demo": "/demo", "cgroup:/demo": "/demo", "cgroup:/sys/fs/cgroup/x": "/sys/fs/cgroup/x",
		"5": "/system.slice/web.service", "pid:6/6": "/system.slice/web.service/worker", "init": "/init.scope",
		"web.service": "/system.slice/web.service", "unit:idle": "/system.slice/idle.service",
	} {
		if group, err := m.Group(t.Context(), word); err != nil || group.Path() != want {
			t.Errorf("%s: %v, %v", word, group, err)
		}
	}
	for word, want := range map[string]error{
		"": ErrUsage, "demo": ErrUsage, "net:[4026531840]": ErrUsage, "/a/../b": ErrUsage, "cgroup:/a//b": ErrUsage, "ct:web": ErrGone,
		"9": ErrGone, "nosuch.service": ErrGone,
	} {
		if group, err := m.Group(t.Context(), word); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v", word, group, err)
		}
	}
	groups, list, err := m.Memberships(t.Context(), "6")
	if err != nil || len(list) != 1 || list[0].Path != "/system.slice/web.service/worker" || !groups.Hierarchies()[0].Holds(list[0]) {
		t.Errorf("%+v, %v", list, err)
	}
}
