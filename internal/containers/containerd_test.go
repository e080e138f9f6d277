//go:build containers

package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// containerdConf is a daemon without kubernetes' plugin, which wants a network.
const containerdConf = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = %q
`

// containerdSays is what ctr containers info says.
type containerdSays struct {
	Spec struct {
		Linux struct {
			CgroupsPath string
			Resources   struct {
				Memory struct{ Limit int64 }
				Pids   struct{ Limit int64 }
			}
		}
	}
}

func TestContainerd(t *testing.T) {
	needs(t, "containerd", "ctr", "runc")
	cleansUp(t)
	dir, ctr := startContainerd(t)
	run(t, "sh", "-c", `cd "$1" && runc spec`, "sh", dir)
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, editSpec(t, config, rootfs, boxMain), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		try(t, ctr("tasks", "delete", "--force", "box")...)
		try(t, ctr("containers", "delete", "box")...)
	})
	run(t, ctr("run", "--detach", "--null-io", "--runc-root", filepath.Join(dir, "runc"), "--config", config, "box")...)
	says := decode[containerdSays](t, ctr("containers", "info", "box")...).Spec.Linux
	b := &box{
		pid:     containerdTask(t, ctr),
		pids:    func() []int { return firstNumbers(run(t, ctr("tasks", "ps", "box")...)) },
		group:   says.CgroupsPath,
		memory:  says.Resources.Memory.Limit,
		pidsMax: says.Resources.Pids.Limit,
		name:    "containerd:box",
		exec:    ctr("tasks", "exec", "--exec-id", "nsx", "--fifo-dir", filepath.Join(dir, "fifo"), "box"),
		pause:   ctr("tasks", "pause", "box"),
		unpause: ctr("tasks", "resume", "box"),
		differs: execDiffers("oom_score_adj"),
	}
	b.check(t)
}

// startContainerd starts a daemon with all its files in a directory of the
// test's, and returns that and what makes the client's command lines.
func startContainerd(t *testing.T) (dir string, ctr func(...string) []string) {
	t.Helper()
	dir = t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	conf := fmt.Sprintf(containerdConf, in("root"), in("state"), in("socket"))
	if err := os.WriteFile(in("config.toml"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(in("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// timeout, so that it ends even if the test is killed.
	daemon := exec.Command("timeout", "--kill-after=20", lifetime, "containerd", "--config", in("config.toml"))
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of containerd's log:\n%s", try(t, "tail", "-n", "20", in("log")).Stdout)
		}
		if err := daemon.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = daemon.Wait() // 124, since timeout passes the signal on
	})
	ctr = func(args ...string) []string {
		return append([]string{"ctr", "--address", in("socket"), "--namespace", "nsx-test"}, args...)
	}
	waitFor(t, "containerd", func() bool { return try(t, ctr("version")...).Status == 0 })
	return dir, ctr
}

// containerdTask is the first process, by a table of TASK, PID and STATUS.
func containerdTask(t *testing.T, ctr func(...string) []string) int {
	t.Helper()
	out := run(t, ctr("tasks", "list")...)
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "box" && f[2] == "RUNNING" {
			return number(t, f[1])
		}
	}
	t.Fatalf("no task runs: %s", out)
	return 0
}

// firstNumbers reads a table's first column without its heading.
func firstNumbers(table string) []int {
	var list []int
	for line := range strings.Lines(table) {
		list = append(list, numbers(strings.Fields(line + " ?")[0])...)
	}
	return list
}
