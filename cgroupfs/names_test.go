package cgroupfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What could be a control file is no group, and a file is none.
func TestNamesOfControlFiles(t *testing.T) {
	for _, word := range []string{"/cgroup.procs", "/tasks", "/a/cgroup.kill/b", "/notify_on_release", "/release_agent", "/a//b", "//a"} {
		_, err := ParseGroupPath(word)
		refusedWith(t, err, unix.EINVAL)
	}
	for _, word := range []string{"/tasks.d", "/cpu", "/a/", "/memory.slice"} {
		if _, err := ParseGroupPath(word); err != nil {
			t.Error(err)
		}
	}
	fs := openFS(t)
	g := made(t, fs)
	_, err := (&Group{fs: fs, path: g.path + "/cpu.max"}).PlanCreate(t.Context(), CreateOptions{})
	refusedWith(t, err, unix.EINVAL, "control file", "_cpu.max")
	if file := (&Group{fs: fs, path: g.path + "/cgroup.procs"}); exists(t, file) {
		t.Error("a control file counts as a group")
	}
}

// A group's own name may end as the kernel marks those that were removed.
func TestGroupNamedDeleted(t *testing.T) {
	fs := openFS(t)
	g := child(t, made(t, fs), "x (deleted)")
	p := sleeper(t)
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	list, err := fs.Memberships(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Deleted {
			t.Errorf("%+v counts as removed", m)
		}
	}
	e, err := fs.OpenOf(list)
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
}
