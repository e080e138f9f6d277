//go:build systemd

package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limited are a service's limits, two slices deep.
var limited = []string{"Slice=nsxtest-inner.slice", "MemoryMax=64M", "TasksMax=20", "CPUQuota=50%"}

// Every unit that has a cgroup is in nsx's list, with its limits and its name.
func TestAllUnits(t *testing.T) {
	web := service(t, "nsxtest-web.service", limited, "sleep", "900")
	list := groups(t)
	found := 0
	for _, u := range units(t, "*") {
		if u.group == "" || u.name == "-.slice" || !exists(t, u.group) {
			continue // a socket's, say, that nobody is in
		}
		g, ok := list[u.group]
		if !ok {
			t.Errorf("%s is in %s, which nsx does not list", u.name, u.group)
			continue
		}
		found++
		if want := "systemd unit " + u.name; g.Owner != want {
			t.Errorf("%s belongs to %q, want %q", u.group, g.Owner, want)
		}
		checkLimit(t, u, "MemoryMax", g.MemoryLimit)
		checkLimit(t, u, "TasksMax", g.PIDsLimit)
		main := g
		if strings.HasPrefix(u.name, "user@") { // a manager has a group of its own below
			main = list[u.group+"/init.scope"]
		}
		if u.pid != 0 && !slices.Contains(main.PIDs, u.pid) {
			t.Errorf("%s has processes %v without %d", u.group, main.PIDs, u.pid)
		}
	}
	if found < 5 {
		t.Errorf("found only %d units", found)
	}
	if g := list[web.group]; !slices.Equal(g.PIDs, []int{web.pid}) || g.MemoryLimit == nil || *g.MemoryLimit != 64<<20 {
		t.Errorf("%s: %+v, want process %d alone and 64M", web.group, g, web.pid)
	}
	// And the same processes in the same groups as in systemd-cgls.
	for _, u := range units(t, "nsxtest*") {
		var want []int
		for line := range strings.Lines(run(t, "systemd-cgls", "--no-pager", u.group)) {
			if _, after, ok := strings.Cut(line, "─"); ok {
				if pid, err := strconv.Atoi(strings.Fields(after)[0]); err == nil {
					want = append(want, pid)
				}
			}
		}
		var got []int
		for path, g := range list {
			if path == u.group || strings.HasPrefix(path, u.group+"/") {
				got = append(got, g.PIDs...)
			}
		}
		// On v1 a process is in the slice's group where the service has none.
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) || len(want) != 1 {
			t.Errorf("%s has processes %v, systemd-cgls says %v", u.group, got, want)
		}
	}
}

// exists says whether some hierarchy has the group; each is mounted at
// /sys/fs/cgroup or right below.
func exists(t *testing.T, group string) bool {
	t.Helper()
	below, err := filepath.Glob("/sys/fs/cgroup/*" + group)
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat("/sys/fs/cgroup" + group)
	return err == nil || len(below) > 0
}

// checkLimit compares a limit with systemd's, where the group has one.
func checkLimit(t *testing.T, u unit, property string, got *int64) {
	t.Helper()
	want, err := strconv.ParseInt(u.show[property], 10, 64)
	switch {
	case err == nil && (got == nil || *got != want):
		t.Errorf("%s: %s is %v, want %d", u.name, property, number(got), want)
	case u.show[property] == "infinity" && got != nil && *got != -1:
		t.Errorf("%s: %s is %d, want none", u.name, property, *got)
	}
}

func number(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// A service with limits in a slice in a slice.
func TestService(t *testing.T) {
	web := service(t, "nsxtest-web.service", limited, "sleep", "900")
	if want := "/nsxtest.slice/nsxtest-inner.slice/nsxtest-web.service"; web.group != want {
		t.Fatalf("%s is in %s, want %s", web.name, web.group, want)
	}
	run(t, "systemctl", "set-property", "--runtime", "nsxtest.slice", "MemoryMax=32M")
	pid := strconv.Itoa(web.pid)

	ps := decode[struct {
		Processes []struct {
			PID     int
			Cgroups []struct {
				Controllers []string
				Path        string
			}
		}
	}](t, "ps", pid)
	if len(ps.Processes) != 1 || ps.Processes[0].PID != web.pid {
		t.Fatalf("processes %+v, want %d", ps.Processes, web.pid)
	}
	for _, g := range ps.Processes[0].Cgroups {
		ruled := len(g.Controllers) == 0 // v2
		for _, name := range []string{"memory", "pids", "cpu", "name=systemd"} {
			ruled = ruled || slices.Contains(g.Controllers, name)
		}
		if ruled && g.Path != web.group {
			t.Errorf("it is in %s of %v, want %s", g.Path, g.Controllers, web.group)
		}
	}

	want := map[string]string{"memory.max": web.show["MemoryMax"], "pids.max": web.show["TasksMax"], "cpu.max": "50000 100000"}
	if web.show["CPUQuotaPerSecUSec"] != "500ms" {
		t.Errorf("systemd made %s of CPUQuota=50%%", web.show["CPUQuotaPerSecUSec"])
	}
	for key, got := range values(t, web.group, "memory.max", "pids.max", "cpu.max") {
		if got != want[key] {
			t.Errorf("%s is %q, want %q", key, got, want[key])
		}
	}

	stat := decode[struct {
		Populated *bool
		Memory    struct {
			Limit *int64 `json:"limit_bytes"`
		}
		PIDs struct {
			Current int64
			Limit   *int64
		}
	}](t, "cgroup", "stat", web.group)
	checkLimit(t, web, "MemoryMax", stat.Memory.Limit)
	checkLimit(t, web, "TasksMax", stat.PIDs.Limit)
	if strconv.FormatInt(stat.PIDs.Current, 10) != web.show["TasksCurrent"] {
		t.Errorf("%d tasks, systemd counts %s", stat.PIDs.Current, web.show["TasksCurrent"])
	}

	// The outer slice is the tighter one.
	type limit struct {
		Resource, Group string
		Limit           *float64
	}
	limits := decode[struct{ Limits []limit }](t, "cgroup", "limits", pid)
	i := slices.IndexFunc(limits.Limits, func(l limit) bool { return l.Resource == "memory" })
	if i < 0 {
		t.Fatalf("no limit of memory: %+v", limits)
	}
	if l := limits.Limits[i]; l.Group != "/nsxtest.slice" || l.Limit == nil || *l.Limit != 32<<20 {
		t.Errorf("memory is bound by %+v, want 32M of /nsxtest.slice", l)
	} else if says := units(t, web.name)[0].show["EffectiveMemoryMax"]; says != "" && says != "33554432" { // since 256
		t.Errorf("systemd says that %s binds", says)
	}
	run(t, "systemctl", "set-property", "--runtime", "nsxtest.slice", "MemoryMax=infinity")
}

// A scope has processes that systemd did not start.
func TestScope(t *testing.T) {
	cmd := exec.Command("systemd-run", "--quiet", "--scope", "--unit=nsxtest-job.scope", "-p", "TasksMax=9", "sleep", "900")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var job unit
	waitFor(t, "the scope", func() bool {
		job = units(t, "nsxtest-job.scope")[0]
		return job.group != ""
	})
	g := groups(t, job.group)[job.group]
	if !slices.Equal(g.PIDs, []int{cmd.Process.Pid}) || g.Owner != "systemd unit nsxtest-job.scope" {
		t.Errorf("%s: %+v, want process %d alone", job.group, g, cmd.Process.Pid)
	}
	checkLimit(t, job, "TasksMax", g.PIDsLimit)
	if r := try(t, "nsx", "cgroup", "kill", job.group); r.Status != 1 || !strings.Contains(r.Stderr, "systemd unit nsxtest-job.scope") {
		t.Errorf("kill: %+v, want a refusal", r)
	}
	run(t, "nsx", "cgroup", "kill", "--force", job.group)
	waitFor(t, "its end", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}
