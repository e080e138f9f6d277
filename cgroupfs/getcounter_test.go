package cgroupfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGetCountersOnV2: v1's names of what can only be read, and of what v2 counts
// in another way.
func TestGetCountersOnV2(t *testing.T) {
	fs, root := layout(t, "v2-systemd")
	const group = "/system.slice/nginx.service"
	dir := filepath.Join(root, "sys/fs/cgroup", group)
	for file, text := range map[string]string{
		"memory.current": "1000\n", "memory.swap.current": "24\n", "memory.events.local": "low 0\nhigh 0\nmax 17\noom 1\n",
		"cpu.stat": "usage_usec 12\nuser_usec 7\nsystem_usec 5\n", "hugetlb.2MB.current": "4194304\n",
		"hugetlb.2MB.events.local": "max 3\n", "cpuset.cpus.effective": "0-3\n", "cpuset.mems.effective": "0\n",
		"cgroup.threads": "901\n902\n", "memory.peak": "2000\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{
		"memory.usage_in_bytes": "1000", "memory.max_usage_in_bytes": "2000", "memory.memsw.usage_in_bytes": "1024",
		"memory.failcnt": "17", "hugetlb.2MB.usage_in_bytes": "4194304", "hugetlb.2MB.failcnt": "3",
		"cpuset.effective_cpus": "0-3", "cpuset.effective_mems": "0", "tasks": "901\n902",
		"cpuacct.usage": "12000", "cpuacct.usage_user": "7000", "cpuacct.usage_sys": "5000",
	} {
		if got, err := groupIn(t, fs, group).Get(t.Context(), key); err != nil || len(got) != 1 || got[0].Value != want || got[0].Key != key {
			t.Errorf("%s: %+v, %v; want %s", key, got, err, want)
		}
	}
	if got, err := groupIn(t, fs, group).Get(t.Context(), "memory.memsw.failcnt"); err == nil {
		t.Errorf("memory.memsw.failcnt: %+v, want an error", got)
	}
}
