package cgroupfs

import (
	"maps"
	"slices"
	"testing"
)

// The limit that stops a group is the one with the least left, whose number may
// be the largest.
func TestLeastHeadroomBinds(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"the ancestor is full", map[string]string{"a/memory.max": "1000", "a/memory.current": "990", "a/b/memory.max": "500", "a/b/memory.current": "100"}, "990 of 1000 by /a"},
		{"the ancestor has room", map[string]string{"a/memory.max": "1000", "a/memory.current": "300", "a/b/memory.max": "500", "a/b/memory.current": "100"}, "100 of 500 by /a/b"},
		{"the same is left", map[string]string{"a/memory.max": "500", "a/memory.current": "100", "a/b/memory.max": "500", "a/b/memory.current": "100"}, "100 of 500 by /a/b"},
		{"both are overdrawn", map[string]string{"a/memory.max": "10", "a/memory.current": "100", "a/b/memory.max": "50", "a/b/memory.current": "100"}, "100 of 50 by /a/b"},
		{"nothing is allowed", map[string]string{"a/memory.max": "0", "a/memory.current": "0", "a/b/memory.max": "max", "a/b/memory.current": "0"}, "0 of 0 by /a"},
		{"use is not told", map[string]string{"a/memory.max": "1000", "a/b/memory.max": "500", "a/b/memory.current": "100"}, "100 of 500 by /a/b"},
		{"huge", map[string]string{"a/memory.max": "9223372036854771712", "a/b/memory.max": "18446744073709551615", "a/b/memory.current": "5"}, "none"},
	} {
		fs := openTree(t, mountV2, c.files)
		wantBound(t, groupIn(t, fs, "/a/b"), "memory", c.want)
	}
	fs := openTree(t, mountV2, map[string]string{"a/memory.max": "1000", "a/memory.current": "990", "a/b/memory.max": "max", "a/b/memory.current": "100"})
	b, err := groupIn(t, fs, "/a/b").Effective(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left, ok := b.Limits[0].Headroom.Get(); !ok || left != 10 {
		t.Errorf("%+v", b.Limits[0])
	}
}

// Below a v1 group with use_hierarchy 0 its limit and those above do not count.
func TestUseHierarchySwitchesLimitsOff(t *testing.T) {
	tree := map[string]string{"memory/memory.use_hierarchy": "0\n"}
	for at, limit := range map[string]string{"a": "1000", "a/b": "2000", "a/b/c": "3000"} {
		tree["memory/"+at+"/memory.limit_in_bytes"] = limit
		tree["memory/"+at+"/memory.usage_in_bytes"] = "100"
		tree["memory/"+at+"/memory.memsw.limit_in_bytes"] = limit
		tree["memory/"+at+"/memory.memsw.usage_in_bytes"] = "100"
	}
	for _, c := range []struct{ a, b, want string }{
		{"1", "1", "100 of 1000 by /a"},
		{"0", "1", "100 of 2000 by /a/b"},
		{"1", "0", "100 of 3000 by /a/b/c"},
		{"0", "0", "100 of 3000 by /a/b/c"},
		{"", "", "100 of 1000 by /a"}, // kernels that have no such file any more
	} {
		tree := maps.Clone(tree)
		if c.a != "" {
			tree["memory/a/memory.use_hierarchy"], tree["memory/a/b/memory.use_hierarchy"] = c.a+"\n", c.b+"\n"
		}
		g := groupIn(t, openTree(t, mountV1("memory"), tree), "/a/b/c")
		wantBound(t, g, "memory", c.want)
		wantBound(t, g, "memory+swap", c.want)
	}
}

// A disk is throttled by the least on the way up on v2, and on v1 by the group's
// own throttles alone.
func TestThrottlesOfDisksBind(t *testing.T) {
	type row struct{ resource, disk, bound, unit string }
	rows := func(fs *FS, group string) (list []row) {
		t.Helper()
		b, err := groupIn(t, fs, group).Effective(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Limits {
			if e.Resource[:2] == "io" {
				r := row{e.Resource, "", bound(e), e.Unit}
				if e.Device != nil {
					r.disk = e.Device.String()
				}
				list = append(list, r)
			}
		}
		return list
	}
	v2 := openTree(t, mountV2, map[string]string{
		"cgroup.controllers": "io\n",
		"a/io.max":           "8:0 rbps=1000 wbps=max riops=max wiops=50\n8:16 rbps=max wbps=70 riops=max wiops=max\n",
		"a/b/io.max":         "8:0 rbps=2000 wbps=300 riops=max wiops=20 idle=5\n",
		"a/b/c/cgroup.procs": "", "other/io.max": "\n",
		"sys/dev/block/8:16 -> ../../block/sdb": "",
	})
	want := []row{
		{"io.rbps", "8:0", "1000 by /a", "bytes_per_second"},
		{"io.wbps", "8:0", "300 by /a/b", "bytes_per_second"},
		{"io.wiops", "8:0", "20 by /a/b", "operations_per_second"},
		{"io.wbps", "sdb", "70 by /a", "bytes_per_second"},
	}
	if got := rows(v2, "/a/b/c"); !slices.Equal(got, want) {
		t.Errorf("v2: %q, want %q", got, want)
	}
	if got := rows(v2, "/other"); !slices.Equal(got, []row{{"io", "", "none", "bytes_per_second"}}) {
		t.Errorf("v2: %q", got)
	}
	v1 := openTree(t, mountV1("blkio"), map[string]string{
		"blkio/a/blkio.throttle.read_bps_device": "8:0 1000\n", "blkio/a/b/blkio.throttle.read_bps_device": "",
		"blkio/a/b/blkio.throttle.write_iops_device": "8:16 7\n8:0 9\n",
	})
	want = []row{{"io.wiops", "8:0", "9 by /a/b", "operations_per_second"}, {"io.wiops", "8:16", "7 by /a/b", "operations_per_second"}}
	if got := rows(v1, "/a/b"); !slices.Equal(got, want) {
		t.Errorf("v1: %q, want %q", got, want)
	}
	if got := rows(v1, "/a"); !slices.Equal(got, []row{{"io.rbps", "8:0", "1000 by /a", "bytes_per_second"}}) {
		t.Errorf("v1: %q", got)
	}
}

// A group without the controller has the CPUs of the nearest one that has it.
func TestCpusetOfAnAncestor(t *testing.T) {
	fs := openTree(t, mountV2, map[string]string{
		"cgroup.controllers": "cpuset\n", "cpuset.cpus.effective": "0-3\n", "cpuset.mems.effective": "0\n",
		"demo/cpuset.cpus": "0\n", "demo/cpuset.cpus.effective": "0\n", "demo/cpuset.mems.effective": "0\n",
		"demo/a/cpuset.cpus.effective": "0\n", "demo/a/b/cgroup.procs": "", "free/cgroup.procs": "",
		"none/cpuset.cpus.effective": "\n",
	})
	wantBound(t, groupIn(t, fs, "/demo/a/b"), "cpuset.cpus", "0 by /demo")
	wantBound(t, groupIn(t, fs, "/demo/a/b"), "cpuset.mems", "0 by /")
	wantBound(t, groupIn(t, fs, "/free"), "cpuset.cpus", "0-3 by /")
	wantBound(t, groupIn(t, fs, "/none"), "cpuset.cpus", " by /none")
	old := openTree(t, mountV1("cpuset"), map[string]string{"cpuset/cpuset.cpus": "0-3\n", "cpuset/a/cpuset.cpus": "1\n"}) // Linux 3.10
	wantBound(t, groupIn(t, old, "/a"), "cpuset.cpus", "1 by /a")
}

// Rare resources have a row where they are limited, huge pages also where there
// are some.
func TestRareLimits(t *testing.T) {
	tree := map[string]string{
		"cgroup.controllers": "memory hugetlb misc rdma dmem\n",
		"a/memory.max":       "max\n", "a/memory.swap.high": "max\n", "a/memory.zswap.max": "100\n", "a/memory.zswap.current": "1\n",
		"a/hugetlb.2MB.max": "max\n", "a/hugetlb.2MB.current": "0\n", "a/hugetlb.1GB.max": "max\n", "a/hugetlb.1GB.current": "0\n",
		"a/hugetlb.2MB.rsvd.max": "max\n", "a/misc.max": "sev 5\nsev_es max\n",
		"a/rdma.max": "mlx4_0 hca_handle=2 hca_object=max\n", "a/dmem.max": "drm/0000:03:00.0/vram0 4096\n",
	}
	got, b := boundsOf(t, groupIn(t, openTree(t, mountV2, tree), "/a"))
	want := map[string]string{
		"memory": "none", "zswap": "1 of 100 by /a", "misc.sev": "5 by /a", "rdma.mlx4_0.hca_handle": "2 by /a", "dmem.drm/0000:03:00.0/vram0": "4096 by /a",
	}
	if !maps.Equal(got, want) || !b.Complete {
		t.Errorf("%q, %v", got, b.Unreadable)
	}
	tree["a/hugetlb.1GB.max"] = "1073741824\n"
	tree["sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"] = "7\n"
	tree["sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"] = "0\n"
	got, _ = boundsOf(t, groupIn(t, openTree(t, mountV2, tree), "/a"))
	if got["hugetlb.2MB"] != "none" || got["hugetlb.1GB"] != "0 of 1073741824 by /a" || got["hugetlb.2MB.rsvd"] != "" {
		t.Errorf("%q", got)
	}
}

// What protects a group's memory is bounded by those above, and where the file system
// says so, by them alone.
func TestProtectionOfAncestors(t *testing.T) {
	const recursive = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n29 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
	for _, c := range []struct{ mounts, a, b, want string }{
		{mountV2, "0", "50", "7 of 0 by /a"},
		{mountV2, "30", "50", "7 of 30 by /a"},
		{mountV2, "50", "30", "7 of 30 by /a/b"},
		{mountV2, "max", "max", "none"},
		{mountV2, "max", "30", "7 of 30 by /a/b"},
		{mountV2, "0", "0", ""},
		{recursive, "30", "0", "7 of 30 by /a"},
		{recursive, "0", "50", "7 of 0 by /a"},
		{recursive, "0", "0", ""},
	} {
		tree := map[string]string{
			"a/memory.low": c.a, "a/b/memory.low": c.b, "a/memory.min": "0", "a/b/memory.min": "0", "a/memory.current": "9", "a/b/memory.current": "7",
		}
		g := groupIn(t, openTree(t, c.mounts, tree), "/a/b")
		wantBound(t, g, "memory.low", c.want)
		wantBound(t, g, "memory.min", "")
	}
	closed := map[string]string{"a/memory.low/": "", "a/b/memory.low": "30", "a/b/memory.current": "7"}
	wantBound(t, groupIn(t, openTree(t, mountV2, closed), "/a/b"), "memory.low", "at most 7 of 30 by /a/b")
}

// Quotas compare as CPUs, whatever the period.
func TestQuotaOfTheLeastCPUs(t *testing.T) {
	fs := openTree(t, mountV2, map[string]string{"a/cpu.max": "50000 50000\n", "a/b/cpu.max": "100000 200000\n", "a/b/c/cpu.max": "max 1000\n"})
	wantBound(t, groupIn(t, fs, "/a/b/c"), "cpu", "0.5 by /a/b")
	v1 := openTree(t, mountV1("cpu"), map[string]string{
		"cpu/a/cpu.cfs_quota_us": "50000\n", "cpu/a/cpu.cfs_period_us": "20000\n", "cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n",
		"cpu/c/cpu.cfs_quota_us": "50000\n", "cpu/c/cpu.cfs_period_us": "0\n", "cpu/d/cpu.shares": "1024\n",
	})
	wantBound(t, groupIn(t, v1, "/a/b"), "cpu", "2.5 by /a")
	wantBound(t, groupIn(t, v1, "/c"), "cpu", "?")
	wantBound(t, groupIn(t, v1, "/d"), "cpu", "none") // no CONFIG_CFS_BANDWIDTH
}

// The kernel's mark of a removed group may be a group's own name.
func TestLimitsOfAGroupNamedDeleted(t *testing.T) {
	tree := map[string]string{"proc/1/cgroup": "0::/a/x (deleted)\n", "a/pids.max": "90\n", "a/pids.current": "1\n", "a/x (deleted)/pids.max": "50\n", "a/x (deleted)/pids.current": "1\n"}
	if got := limitsOf(t, openTree(t, mountV2, tree), 1)["pids"]; got != "1 of 50 by /a/x (deleted)" {
		t.Error(got)
	}
	delete(tree, "a/x (deleted)/pids.max")
	delete(tree, "a/x (deleted)/pids.current")
	if got := limitsOf(t, openTree(t, mountV2, tree), 1)["pids"]; got != "1 of 90 by /a" {
		t.Error(got)
	}
}

// What is used above a group that a hierarchy lacks is not the group's: who is in it
// may be anywhere there.
func TestUseOfAMissingGroupIsNotThatAbove(t *testing.T) {
	tree := map[string]string{
		"pids/a/b/pids.max": "max", "pids/a/b/pids.current": "3", "memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "7000",
		"memory/full/memory.limit_in_bytes": "500", "memory/full/memory.usage_in_bytes": "100", "pids/full/x/pids.max": "max", "pids/full/x/pids.current": "4",
	}
	for at, want := range map[string]string{"/a/b": "none", "/full/x": "100 of 500 by /full"} {
		b, err := groupIn(t, openTree(t, mountV1("pids", "memory"), tree), at).Effective(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(b.Limits, func(e Effective) bool { return e.Resource == "memory" })
		if e := b.Limits[i]; bound(e) != want || want == "none" && (!e.Usage.IsNone() || !e.Headroom.IsNone()) {
			t.Errorf("%s: %s, used %+v", at, bound(e), e.Usage)
		}
		i = slices.IndexFunc(b.Limits, func(e Effective) bool { return e.Resource == "pids" })
		if _, ok := b.Limits[i].Usage.Get(); !ok {
			t.Errorf("%s: its own use is not known", at)
		}
	}
}
