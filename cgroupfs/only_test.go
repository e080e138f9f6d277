package cgroupfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// TestOnlyOneHierarchy: however a hierarchy is named, groups are in that alone.
func TestOnlyOneHierarchy(t *testing.T) {
	all := &FS{root: t.TempDir(), hierarchies: []Hierarchy{
		{Version: 1, Controllers: []string{"cpu", "cpuacct"}, Mount: "/c/cpu", MountRoot: "/"},
		{Version: 1, Controllers: []string{}, Name: "systemd", Mount: "/c/systemd", MountRoot: "/"},
		{Version: 2, Controllers: []string{"io", "memory"}, Mount: "/c/unified", MountRoot: "/"},
	}}
	for word, want := range map[string]string{
		"cpu": "cpu,cpuacct", "cpuacct,cpu": "cpu,cpuacct", "/c/cpu/": "cpu,cpuacct",
		"name=systemd": "name=systemd", "systemd": "name=systemd",
		"v2": "v2", "memory": "v2", "blkio": "v2", "/c/unified": "v2",
	} {
		fs, err := all.Only(word)
		if err != nil || len(fs.Hierarchies()) != 1 || fs.HierarchyNames()[0] != want {
			t.Errorf("%q: %v %v, want %s", word, fs, err, want)
			continue
		}
		if again, err := fs.Only("v2"); err != nil || again.HierarchyNames()[0] != "v2" {
			t.Errorf("%q, then v2: %v", word, err)
		}
	}
	for word, want := range map[string]error{
		"": unix.EINVAL, "cpu,memory": unix.EINVAL, "nonsense": unix.EINVAL, "/c": unix.EINVAL,
		"pids": unix.ENOENT, "name=elogind": unix.ENOENT,
	} {
		if fs, err := all.Only(word); !errors.Is(err, want) {
			t.Errorf("%q: %v %v, want %v", word, fs, err, want)
		}
	}
	fs, err := all.Only("cpu")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Controller("memory"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("memory beside cpu: %v", err)
	}
	if group, err := fs.Group("/c/unified/demo"); err != nil || group.Path() != "/demo" {
		t.Errorf("a path below another hierarchy's mount point: %v %v", group, err)
	}
}

// TestOnlyKnowsOwners: systemd leaves its mark on a delegated unit in its own hierarchy,
// and that counts for what is done in another one alone.
func TestOnlyKnowsOwners(t *testing.T) {
	root := t.TempDir()
	table := "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n31 1 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
	for file, text := range map[string]string{
		"proc/1/mountinfo": table,
		"sys/fs/cgroup/unified/system.slice/x.service/a/cgroup.procs": "",
		"sys/fs/cgroup/pids/system.slice/x.service/a/cgroup.procs":    "",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := unix.Setxattr(filepath.Join(root, "sys/fs/cgroup/unified/system.slice/x.service"), "user.delegate", []byte("1"), 0)
	testkit.Require(t, !errors.Is(err, unix.ENOTSUP), "needs extended attributes in %s", root)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, only := range []string{"v2", "pids"} {
		fs, err := fs.Only(only)
		if err != nil {
			t.Fatal(err)
		}
		if o := (&Group{fs: fs, path: "/system.slice/x.service/a"}).Owner(); o.Kind != "" {
			t.Errorf("%s: below a delegated unit: %s", only, o)
		}
		if o := (&Group{fs: fs, path: "/system.slice/x.service"}).Owner(); o.Kind != "systemd" {
			t.Errorf("%s: the unit itself: %s", only, o)
		}
	}
}
