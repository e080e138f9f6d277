package cgroupfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// v1 says / of who has exited, which is not where it was: v2 alone knows.
func TestGroupsOfTheExitedAreNotKnown(t *testing.T) {
	mounts := mountV1("memory", "pids")
	tree := map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "7000", "pids/cgroup.procs": "", "proc/9/cgroup": "2:memory:/\n1:pids:/\n"}
	fs := openTree(t, mounts, tree)
	list, err := fs.Memberships(9)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := fs.GroupOf(list); err != nil || g.Path() != "/" {
		t.Errorf("%v, %v", g, err)
	}
	_, err = fs.GroupOf(OfExited(list))
	refusedFor(t, err, unix.ESRCH, ErrGone, "it has exited (a zombie)")
	_, err = fs.EffectiveOf(t.Context(), OfExited(list))
	refusedFor(t, err, unix.ESRCH, ErrGone, "it has exited (a zombie)")
	if list[0].Exited {
		t.Error("the caller's own list was changed")
	}
	tree["unified/a/cgroup.procs"] = ""
	fs = openTree(t, mounts+"39 24 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", tree)
	list = OfExited(append(list, Membership{Controllers: []string{}, Path: "/a"}))
	if g, err := fs.GroupOf(list); err != nil || g.Path() != "/a" {
		t.Errorf("%v, %v", g, err)
	}
	b, err := fs.EffectiveOf(t.Context(), list)
	if err != nil || b.Complete {
		t.Errorf("%+v, %v", b, err)
	}
	for _, e := range b.Limits {
		if _, used := e.Usage.Get(); e.Version == 1 && (e.Known || used) {
			t.Errorf("%+v", e)
		}
	}
}
