//go:build systemd

package systemd

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What is systemd's is changed only by force, and the message names systemd's own
// command for just that.
func TestOwned(t *testing.T) {
	web := service(t, "nsxtest-web.service", limited, "sleep", "900")
	pid := strconv.Itoa(web.pid)
	for _, tc := range []struct {
		use   string
		words []string
	}{
		{"systemctl set-property nsxtest-web.service", []string{"set", web.group, "--memory", "32M"}},
		{"systemctl set-property nsxtest.slice", []string{"set", "/nsxtest.slice", "--memory", "32M"}},
		{"systemd-run --scope", []string{"create", web.group + "/below"}},
		{"systemd-run --scope", []string{"attach", web.group, pid}},
		{"systemctl freeze nsxtest-web.service", []string{"freeze", web.group}},
		{"systemctl kill --signal=KILL nsxtest-web.service", []string{"kill", web.group}},
		{"systemctl stop nsxtest.slice", []string{"rm", "-r", "/nsxtest.slice"}},
	} {
		words := tc.words
		r := try(t, append([]string{"nsx", "cgroup"}, words...)...)
		if r.Status != 1 || !strings.Contains(r.Stderr, "EPERM") || !strings.Contains(r.Stderr, tc.use) {
			t.Errorf("%q: %+v, want a refusal that says %s", words, r, tc.use)
		}
	}
	if now := units(t, web.name)[0]; now.pid != web.pid || values(t, web.group, "memory.max")["memory.max"] != "67108864" {
		t.Error("a refused command changed something")
	}
	run(t, "systemctl", "set-property", "--runtime", web.name, "MemoryMax=32M")
	if got := values(t, web.group, "memory.max")["memory.max"]; got != "33554432" {
		t.Errorf("after the command of the message the limit is %s", got)
	}
	run(t, "nsx", "cgroup", "set", "--force", web.group, "--memory", "48M")
	if got := values(t, web.group, "memory.max")["memory.max"]; got != "50331648" {
		t.Errorf("by force the limit is %s", got)
	}
	// Below a slice there is room for others.
	run(t, "nsx", "cgroup", "create", "/nsxtest.slice/nsx-test-own", "--pids", "5")
	run(t, "nsx", "cgroup", "rm", "/nsxtest.slice/nsx-test-own")
}

// What lies below a unit with Delegate=yes is the unit's own: it leaves its
// group for one below, and another has a limit and a process.
func TestDelegated(t *testing.T) {
	const work = `set -e
group=/system.slice/nsxtest-own.service
nsx cgroup create $group/main
nsx cgroup attach $group/main $$
nsx cgroup create $group/work --pids 5 --memory 64M
nsx cgroup set $group/work --memory 32M
sleep 900 &
nsx cgroup attach $group/work $!
wait`
	script := filepath.Join(t.TempDir(), "work") // systemd would expand $$
	if err := os.WriteFile(script, []byte(work), 0o755); err != nil {
		t.Fatal(err)
	}
	own := service(t, "nsxtest-own.service", []string{"Delegate=yes"}, "sh", script)
	work2 := own.group + "/work"
	waitFor(t, "a process in "+work2, func() bool {
		if units(t, own.name)[0].pid == 0 {
			t.Fatal("it ended")
		}
		return len(groups(t, own.group)[work2].PIDs) == 1
	})
	list := groups(t, own.group)
	if g := list[work2]; g.Owner != "" || g.PIDsLimit == nil || *g.PIDsLimit != 5 {
		t.Errorf("%+v, want 5 processes and no owner", g)
	}
	if main := list[own.group+"/main"]; len(main.PIDs) != 1 || main.PIDs[0] != own.pid || main.Owner != "" {
		t.Errorf("%+v, want process %d", main, own.pid)
	}
	if got := list[own.group].Owner; got != "systemd unit "+own.name {
		t.Errorf("%s belongs to %q", own.group, got)
	}
	if r := try(t, "nsx", "cgroup", "set", own.group, "--pids", "7"); r.Status != 1 {
		t.Errorf("the unit's own limits are systemd's: %+v", r)
	}
	// From outside it is the same.
	run(t, "nsx", "cgroup", "set", work2, "--pids", "6")
	if got := values(t, work2, "pids.max")["pids.max"]; got != "6" {
		t.Errorf("pids.max is %s, want 6", got)
	}
	run(t, "nsx", "cgroup", "kill", work2)
	waitFor(t, "the service's end, which waits for that process", func() bool { return units(t, own.name)[0].pid == 0 })
}
