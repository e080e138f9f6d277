package cgroupfs

import (
	"slices"
	"testing"
)

// Linux before 4.14 has no cgroup.threads, and who captures a tree may leave it out,
// and task/ of a process: the processes are known all the same.
func TestMembersWithoutThreads(t *testing.T) {
	fs := openTree(t, mountV2, map[string]string{
		"a/cgroup.procs": "50\n", "b/cgroup.procs": "",
		"proc/50/stat":   "50 (sleep) S 1 50 50 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 5700 5656576 220 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		"proc/50/status": "Name:\tsleep\nTgid:\t50\nPid:\t50\n", "proc/50/cgroup": "0::/a\n",
	})
	m, err := groupIn(t, fs, "/a").Members(t.Context())
	if err != nil || !slices.Equal(m.Processes, []int{50}) || !slices.Equal(m.Threads, []int{50}) {
		t.Errorf("%+v, %v", m, err)
	}
	p, err := groupIn(t, fs, "/b").PreviewAttach(t.Context(), false, 50)
	if err != nil || len(p.Writes) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}
