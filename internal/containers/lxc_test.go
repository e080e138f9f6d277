//go:build containers

package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLXC(t *testing.T) {
	needs(t, "lxc-start", "lxc-info", "lxc-attach", "lxc-cgroup", "lxc-stop")
	cleansUp(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "box"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`lxc.rootfs.path = dir:%s
lxc.uts.name = %s
lxc.init.cmd = /bin/init-box
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed sys:ro
lxc.cgroup.memory.limit_in_bytes = %d
lxc.cgroup.pids.max = %d
`, lxcRoot(t), hostname, memoryLimit, pidsLimit)
	if err := os.WriteFile(filepath.Join(dir, "box/config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	lxc := func(command string, args ...string) []string {
		return append([]string{"lxc-" + command, "-P", dir, "-n", "box"}, args...)
	}
	t.Cleanup(func() { try(t, lxc("stop", "--kill")...) })
	run(t, lxc("start", "-d", "-o", filepath.Join(dir, "log"))...)
	answer := func(key string) int64 {
		return int64(number(t, run(t, lxc("cgroup", key)...)))
	}
	b := &box{
		pid:       number(t, run(t, lxc("info", "-p", "-H")...)),
		group:     "/lxc.payload.box",
		memory:    answer("memory.limit_in_bytes"),
		pidsMax:   answer("pids.max"),
		name:      "lxc:box",
		exec:      append(lxc("attach", "--clear-env"), "--"),
		pause:     lxc("freeze"),
		unpause:   lxc("unfreeze"),
		owner:     "lxc container box",
		pauseHint: "lxc-freeze -n box",
		differs:   execDiffers("PATH", "environment", "cgroup", "session"),
		// lxc-attach leaves some of its own open, how many depends on its caller.
		// The fourth of nsx's is the directory that the shell reads.
		varies: map[string]string{"descriptors": "0 1 2 3"},
	}
	b.check(t)
}

// lxcRoot is a root directory of its own: LXC writes into it, and wants one
// program without arguments.
func lxcRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	run(t, "cp", "-a", rootfs, root)
	script := "#!/bin/sh\n" + boxMain[2] + "\n"
	if err := os.WriteFile(filepath.Join(root, "bin/init-box"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}
