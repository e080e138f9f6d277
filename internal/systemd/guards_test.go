//go:build systemd

package systemd

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

// systemd takes away what others enable in its slices, and the limits below with
// it: so nsx enables nothing there on the way, except by force, and then says so.
func TestSliceOnTheWay(t *testing.T) {
	testkit.RequireOnlyCgroup2(t) // v1 has nothing to enable
	service(t, "nsxtest-web.service", limited, "sleep", "900")
	const job = "/nsxtest.slice/nsx-test-job"
	words := []string{"nsx", "cgroup", "create", job, "--cpuset-cpus", "0"}
	r := try(t, words...)
	if r.Status != 1 || !strings.Contains(r.Stderr, "EPERM") || !strings.Contains(r.Stderr, "cpuset for the children of /nsxtest.slice") ||
		!strings.Contains(r.Stderr, "use systemd-run --scope") {
		t.Errorf("%+v, want a refusal that names systemd-run", r)
	}
	if exists(t, job) {
		t.Error("it was made all the same")
	}
	r = try(t, append(words, "--force")...)
	if r.Status != 0 || !strings.Contains(r.Stderr, "daemon-reload") {
		t.Errorf("%+v, want a note of what systemd does", r)
	}
	if got := values(t, job, "cpuset.cpus")["cpuset.cpus"]; got != "0" {
		t.Errorf("by force cpuset.cpus is %q", got)
	}
	run(t, "nsx", "cgroup", "rm", job)
}

// A process does not leave its unit, and the unit's limits, by attach.
func TestLeavesNoUnit(t *testing.T) {
	web := service(t, "nsxtest-web.service", limited, "sleep", "900")
	const outside = "/nsx-test-outside"
	run(t, "nsx", "cgroup", "create", outside, "--controllers", "pids")
	t.Cleanup(func() {
		_ = try(t, "nsx", "cgroup", "kill", "--force", outside)
		run(t, "nsx", "cgroup", "rm", outside)
	})
	pid := strconv.Itoa(web.pid)
	before, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	r := try(t, "nsx", "cgroup", "attach", outside, pid)
	if r.Status != 1 || !strings.Contains(r.Stderr, "EPERM") || !strings.Contains(r.Stderr, "systemd unit nsxtest-web.service") {
		t.Errorf("%+v, want a refusal that names the unit", r)
	}
	if now, _ := os.ReadFile("/proc/" + pid + "/cgroup"); string(now) != string(before) {
		t.Errorf("a refused attach moved it: %s", now)
	}
	r = try(t, "nsx", "cgroup", "attach", "--force", outside, pid)
	if r.Status != 0 || !strings.Contains(r.Stderr, "nsxtest-web.service") {
		t.Errorf("%+v, want a note of what systemd thinks", r)
	}
}

// Each command that a refusal names does what was asked for.
func TestCommandsOfTheOwner(t *testing.T) {
	testkit.RequireOnlyCgroup2(t) // systemd freezes on v2 alone
	web := service(t, "nsxtest-web.service", limited, "sleep", "900")
	named := func(words ...string) []string {
		t.Helper()
		r := try(t, append([]string{"nsx", "cgroup"}, words...)...)
		_, use, ok := strings.Cut(r.Stderr, "; use ")
		use, _, ok2 := strings.Cut(use, ", or force it")
		if r.Status != 1 || !ok || !ok2 {
			t.Fatalf("%q: %+v, want a refusal that names a command", words, r)
		}
		return strings.Fields(use)
	}
	frozen := func() bool {
		t.Helper()
		return *decode[struct{ Frozen *bool }](t, "cgroup", "stat", web.group).Frozen
	}
	run(t, named("freeze", web.group)...)
	waitFor(t, "the unit to freeze", frozen)
	run(t, named("thaw", web.group)...)
	waitFor(t, "the unit to thaw", func() bool { return !frozen() })
	run(t, named("kill", web.group)...)
	waitFor(t, "the unit's end", func() bool { return units(t, web.name)[0].pid == 0 })

	web = service(t, "nsxtest-again.service", limited, "sleep", "900")
	run(t, named("rm", web.group)...)
	waitFor(t, "the group's end", func() bool { return !exists(t, web.group) })
}
