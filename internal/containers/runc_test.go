//go:build containers

package containers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestRunc is the runtime below podman, docker and containerd, by itself.
func TestRunc(t *testing.T) {
	needs(t, "runc")
	cleansUp(t)
	b := startRunc(t, rootfs, boxMain)
	b.check(t)
}

// TestHostTools enters a container that has one program and no shell.
func TestHostTools(t *testing.T) {
	needs(t, "runc")
	cleansUp(t)
	b := startRunc(t, scratch, []string{"/sleep", lifetime})
	boxes = append(boxes, link(t, b.pid, "pid"))
	if r := try(t, b.enter("sh")...); r.Status != 127 {
		t.Errorf("a shell in there: %+v, want status 127", r)
	}
	for _, c := range []struct{ words, want string }{
		{"hostname", hostname + "\n"},
		{"ls $NSX_ROOT", "dev\netc\nproc\nsleep\nsys\ntmp\n"},
		{"cat $NSX_ROOT/proc/1/comm", "sleep\n"},
		{"ps -o comm= -p 1", "sleep\n"},
		{"ls /proc/1/root/", "dev\netc\nproc\nsleep\nsys\ntmp\n"},
	} {
		if got := run(t, b.nsx("enter", "--tools=host", b.target(), "--", "sh", "-c", c.words)...); got != c.want {
			t.Errorf("%s: %q, want %q", c.words, got, c.want)
		}
	}
}

// startRunc starts a container in a group that nobody's name is on.
func startRunc(t *testing.T, root string, words []string) *box {
	t.Helper()
	bundle, state := t.TempDir(), t.TempDir()
	run(t, "sh", "-c", `cd "$1" && runc spec`, "sh", bundle)
	config := editSpec(t, filepath.Join(bundle, "config.json"), root, words)
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	runc := func(args ...string) []string { return append([]string{"runc", "--root", state}, args...) }
	t.Cleanup(func() { try(t, runc("delete", "--force", "nsx")...) })
	// The container would keep our pipes.
	run(t, "sh", "-c", `exec "$@" </dev/null >"$0" 2>&1`, filepath.Join(bundle, "log"),
		"runc", "--root", state, "run", "--detach", "--bundle", bundle, "nsx")
	answer := decode[struct{ Pid int }](t, runc("state", "nsx")...)
	b := &box{
		pid:     answer.Pid,
		pids:    func() []int { return decode[[]int](t, runc("ps", "--format", "json", "nsx")...) },
		group:   runcGroup,
		exec:    runc("exec", "nsx"),
		differs: execDiffers(),
		pause:   runc("pause", "nsx"),
		unpause: runc("resume", "nsx"),
	}
	data, err := os.ReadFile(filepath.Join(state, "nsx/state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var saved struct {
		Config struct {
			Cgroups struct {
				Memory    int64
				PidsLimit int64 `json:"pids_limit"`
			}
		}
	}
	if err := json.Unmarshal(data, &saved); err != nil {
		t.Fatal(err)
	}
	b.memory, b.pidsMax = saved.Config.Cgroups.Memory, saved.Config.Cgroups.PidsLimit
	return b
}

// runcGroup says nothing of a runtime, so that it is frozen without --force.
const runcGroup = "/nsx-test-containers/box"

// editSpec changes runc's example of a container into one that this machine can
// have: without a terminal, and without limits that it has no right to set.
func editSpec(t *testing.T, file, root string, words []string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	process, linux := spec["process"].(map[string]any), spec["linux"].(map[string]any)
	process["terminal"], process["args"] = false, words
	delete(process, "rlimits")
	spec["root"] = map[string]any{"path": root, "readonly": true}
	spec["hostname"] = hostname
	linux["cgroupsPath"] = runcGroup
	resources := linux["resources"].(map[string]any)
	resources["memory"] = map[string]any{"limit": memoryLimit}
	resources["pids"] = map[string]any{"limit": pidsLimit}
	data, err = json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
