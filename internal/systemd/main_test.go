//go:build systemd

package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// patience bounds each command. The machine is emulated.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	testkit.Hook()
	if comm, _ := os.ReadFile("/proc/1/comm"); string(comm) != "systemd\n" {
		fmt.Fprintf(os.Stderr, "process 1 is %q, not systemd: see docs/lab.md\n", comm)
		os.Exit(1)
	}
	os.Exit(testkit.Main(m))
}

// try runs a command and says how it ended.
func try(t *testing.T, argv ...string) testkit.Result {
	t.Helper()
	return testkit.Try(t, patience, argv...)
}

// run runs a command that has to succeed, and returns what it prints.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	return strings.TrimSuffix(testkit.Run(t, patience, argv...), "\n")
}

// decode runs nsx, which has to succeed and print JSON.
func decode[T any](t *testing.T, words ...string) T {
	t.Helper()
	return testkit.Decode[T](t, patience, append([]string{"nsx", "-o", "json"}, words...)...)
}

// unit is one of systemd's, and what it says of it.
type unit struct {
	name, group string
	pid         int // the main process; 0 if it has none
	show        map[string]string
}

// properties are those that nsx is held against.
const properties = "Id,ControlGroup,MainPID,MemoryMax,TasksMax,TasksCurrent,CPUQuotaPerSecUSec,EffectiveMemoryMax"

// units asks systemd; "*" is all that are loaded.
func units(t *testing.T, pattern string) (list []unit) {
	t.Helper()
	out := run(t, "systemctl", "show", pattern, "-p", properties)
	for block := range strings.SplitSeq(out, "\n\n") {
		u := unit{show: map[string]string{}}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			u.show[key] = value
		}
		u.name, u.group = u.show["Id"], u.show["ControlGroup"]
		u.pid, _ = strconv.Atoi(u.show["MainPID"])
		list = append(list, u)
	}
	return list
}

// service starts one with the properties, and stops it when the test ends.
func service(t *testing.T, name string, properties []string, argv ...string) unit {
	t.Helper()
	// Of type exec it has executed its program when systemd-run ends.
	words := []string{"systemd-run", "--quiet", "--collect", "--unit=" + name, "-p", "Type=exec", "-p", "RuntimeMaxSec=900"}
	for _, p := range properties {
		words = append(words, "-p", p)
	}
	run(t, append(append(words, "--"), argv...)...)
	t.Cleanup(func() {
		_ = exec.Command("systemctl", "stop", name).Run()
		if t.Failed() {
			out, _ := exec.Command("journalctl", "--no-pager", "-n", "20", "-u", name).CombinedOutput()
			t.Logf("%s says %s", name, out)
		}
	})
	u := units(t, name)[0]
	if u.pid == 0 || u.group == "" {
		t.Fatalf("%s does not run", name)
	}
	return u
}

// group is one of nsx cgroup ls.
type group struct {
	Path        string
	PIDs        []int
	MemoryLimit *int64 `json:"memory_limit_bytes"`
	PIDsLimit   *int64 `json:"pids_limit"`
	Owner       string
}

func groups(t *testing.T, words ...string) map[string]group {
	t.Helper()
	doc := decode[struct{ Groups []group }](t, append([]string{"cgroup", "ls"}, words...)...)
	m := map[string]group{}
	for _, g := range doc.Groups {
		m[g.Path] = g
	}
	return m
}

// values is nsx cgroup get.
func values(t *testing.T, group string, keys ...string) map[string]string {
	t.Helper()
	doc := decode[struct {
		Values []struct{ Key, Value string }
	}](t, append([]string{"cgroup", "get", group}, keys...)...)
	m := map[string]string{}
	for _, v := range doc.Values {
		m[v.Key] = v.Value
	}
	return m
}

// waitFor waits for a state.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.WaitFor(t, patience, what, ok)
}
