package keys

import (
	"errors"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func settingsOf(t *testing.T, parts string) (list []Setting) {
	t.Helper()
	for word := range strings.SplitSeq(parts, "; ") {
		s, err := ParseSetting(word)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func joined(tr Translation) string {
	var parts []string
	for _, s := range tr.Settings {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, "; ")
}

func TestTranslate(t *testing.T) {
	for _, tc := range []struct{ v1, v2 string }{ // exact, both ways
		{"cpu.shares=1024", "cpu.weight=100"},
		{"cpu.shares=102400", "cpu.weight=10000"},
		{"cpu.shares=256", "cpu.weight=25"},
		{"cpu.cfs_period_us=100000; cpu.cfs_quota_us=-1", "cpu.max=max 100000"},
		{"cpu.cfs_period_us=50000; cpu.cfs_quota_us=1000", "cpu.max=1000 50000"},
		{"cpu.cfs_quota_us=20000", "cpu.max=20000"},
		{"cpu.cfs_burst_us=0", "cpu.max.burst=0"},
		{"cpu.idle=1", "cpu.idle=1"},
		{"memory.limit_in_bytes=0", "memory.max=0"},
		{"memory.limit_in_bytes=-1", "memory.max=max"},
		{"memory.limit_in_bytes=4096; memory.memsw.limit_in_bytes=4096", "memory.max=4096; memory.swap.max=0"},
		{"memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=300", "memory.max=100; memory.swap.max=200"},
		{"memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=-1", "memory.max=100; memory.swap.max=max"},
		{"memory.memsw.limit_in_bytes=-1", "memory.swap.max=max"},
		{"pids.max=0", "pids.max=0"},
		{"pids.max=max", "pids.max=max"},
		{"cpuset.cpus=0-1; cpuset.mems=0", "cpuset.cpus=0-1; cpuset.mems=0"},
		{"hugetlb.2MB.limit_in_bytes=2097152", "hugetlb.2MB.max=2097152"},
		{"hugetlb.1GB.rsvd.limit_in_bytes=-1", "hugetlb.1GB.rsvd.max=max"},
		{"blkio.weight=10", "io.weight=1"},
		{"blkio.weight=1000", "io.weight=10000"},
		{"blkio.bfq.weight=1", "io.bfq.weight=1"},
		{"blkio.weight_device=8:0 1000", "io.weight=8:0 10000"},
		{"blkio.throttle.read_bps_device=8:0 1048576; blkio.throttle.write_iops_device=8:0 0", "io.max=8:0 rbps=1048576 wiops=max"},
		{"freezer.state=FROZEN", "cgroup.freeze=1"},
		{"cpuset.cpu_exclusive=1", "cpuset.cpus.partition=root"},
	} {
		tr, err := Translate(TranslateOptions{To: 2}, settingsOf(t, tc.v1)...)
		if got := joined(tr); err != nil || got != tc.v2 {
			t.Errorf("%s to v2: %s, %v; want %s", tc.v1, got, err, tc.v2)
		}
		tr, err = Translate(TranslateOptions{To: 1}, settingsOf(t, tc.v2)...)
		if got := joined(tr); err != nil || got != tc.v1 {
			t.Errorf("%s to v1: %s, %v; want %s", tc.v2, got, err, tc.v1)
		}
	}
}

func TestTranslateOneWay(t *testing.T) {
	for _, tc := range []struct {
		to         int
		formula    Formula
		from, want string
		notes      int
	}{
		{2, "", "cpu.shares=0", "cpu.weight=1", 2},
		{2, "", "cpu.shares=2", "cpu.weight=1", 1},
		{2, "", "cpu.shares=512", "cpu.weight=50", 1},
		{2, "", "cpu.shares=262144", "cpu.weight=10000", 1},
		{2, "", "cpu.shares=9223372036854775807", "cpu.weight=10000", 2},
		{1, "", "cpu.weight=1", "cpu.shares=10", 1},
		{1, "", "cpu.weight=10000", "cpu.shares=102400", 1},
		{2, "oci", "cpu.shares=2", "cpu.weight=1", 1},
		{2, "oci", "cpu.shares=3", "cpu.weight=2", 1},
		{2, "oci", "cpu.shares=512", "cpu.weight=59", 1},
		{2, "oci", "cpu.shares=1024", "cpu.weight=100", 1},
		{2, "oci", "cpu.shares=260000", "cpu.weight=9929", 1},
		{2, "oci", "cpu.shares=262144", "cpu.weight=10000", 1},
		{1, "oci", "cpu.weight=1", "cpu.shares=2", 1},
		{1, "oci", "cpu.weight=10000", "cpu.shares=262115", 1},
		{2, "oci-old", "cpu.shares=1024", "cpu.weight=39", 1},
		{1, "oci-old", "cpu.weight=10000", "cpu.shares=262144", 1},
		{2, "", "memory.limit_in_bytes=9223372036854771712", "memory.max=max", 0},
		{2, "", "memory.limit_in_bytes=1.5G", "memory.max=1610612736", 0},
		{2, "", "blkio.weight=100", "io.weight=19", 1},
		{2, "", "blkio.weight=500", "io.weight=100", 1},
		{1, "", "io.weight=100", "blkio.weight=500", 1},
		{1, "", "io.weight=default 100", "blkio.weight=500", 1},
		{2, "oci", "blkio.weight=500", "io.weight=4950", 1},
		{1, "oci-old", "io.weight=100", "blkio.weight=19", 1},
		{1, "", "memory.max=16E", "", -1},
		// What asks for nothing writes nothing.
		{1, "", "memory.high=max", "", 1},
		{1, "", "memory.low=0; memory.min=0; pids.max=5", "pids.max=5", 2},
		{1, "", "memory.oom.group=0; cgroup.max.depth=max; memory.swap.high=-1", "", 3},
		{2, "", "memory.soft_limit_in_bytes=9223372036854771712; cgroup.clone_children=1", "", 2},
		{1, "", "memory.high=0", "", -1},
		{2, "", "memory.reclaim=1.5M", "memory.reclaim=1572864", 0},
		{2, "", "memory.reclaim=1Gi swappiness=10", "memory.reclaim=1073741824 swappiness=10", 0},
		{2, "", "memory.reclaim=max", "", -1},
		{2, "", "io.latency=7:1 target=10", "io.latency=7:1 target=10", 0},
		{2, "", "cpuset.cpus=all", "cpuset.cpus=all", 0},
		{2, "", "cpuset.cpus=1 0", "cpuset.cpus=0-1", 0},
		{1, "", "memory.limit_in_bytes=100M; memory.memsw.limit_in_bytes=50M", "", -1},
		{1, "", "cpuset.cpus=1,0", "cpuset.cpus=0-1", 0},
		{0, "", "memory.max=1K", "memory.limit_in_bytes=1024", 0},
		{0, "", "memory.limit_in_bytes=1K", "memory.max=1024", 0},
		{0, "", "pids.max=-1", "pids.max=max", 0},
		{1, "", "memory.limit_in_bytes=1M", "memory.limit_in_bytes=1048576", 0},
	} {
		tr, err := Translate(TranslateOptions{To: tc.to, Formula: tc.formula}, settingsOf(t, tc.from)...)
		if tc.notes < 0 {
			if err == nil {
				t.Errorf("%s: %s, want an error", tc.from, joined(tr))
			}
			continue
		}
		if got := joined(tr); err != nil || got != tc.want || len(tr.Notes) != tc.notes {
			t.Errorf("%s to v%d %s: %s %q, %v; want %s", tc.from, tc.to, tc.formula, got, tr.Notes, err, tc.want)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for _, tc := range []struct {
		to         int
		from, says string
		errno      unix.Errno
	}{
		{2, "memory.soft_limit_in_bytes=1M", "choose: memory.low", unix.EOPNOTSUPP},
		{1, "memory.high=1M", "throttling", unix.EOPNOTSUPP},
		{1, "memory.low=1M", "soft_limit", unix.EOPNOTSUPP},
		{2, "memory.memsw.limit_in_bytes=1M", "give memory.limit_in_bytes too", unix.EINVAL},
		{2, "memory.limit_in_bytes=2M; memory.memsw.limit_in_bytes=1M", "cannot be below", unix.EINVAL},
		{2, "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=1M", "cannot be below", unix.EINVAL},
		{1, "memory.swap.max=1M", "give memory.max too", unix.EINVAL},
		{1, "memory.max=max; memory.swap.max=1M", "cannot limit swap alone", unix.EOPNOTSUPP},
		{1, "memory.max=5E; memory.swap.max=5E", "more than 8 EiB", unix.ERANGE},
		{2, "cpu.cfs_period_us=50000", "give cpu.cfs_quota_us too", unix.EINVAL},
		{2, "cpu.cfs_quota_us=999", "smallest", unix.EINVAL},
		{2, "cpu.cfs_period_us=1000001; cpu.cfs_quota_us=1000", "1000 to 1000000", unix.EINVAL},
		{2, "cpu.rt_runtime_us=1", "realtime", unix.EOPNOTSUPP},
		{1, "cpu.weight=0", "1 to 10000", unix.EINVAL},
		{1, "cpu.weight=10001", "1 to 10000", unix.EINVAL},
		{2, "blkio.weight=9", "10 to 1000", unix.EINVAL},
		{2, "blkio.weight=1001", "10 to 1000", unix.EINVAL},
		{2, "net_cls.classid=1", "nftables", unix.EOPNOTSUPP},
		{1, "cpuset.cpus.partition=isolated", "cannot isolate", unix.EOPNOTSUPP},
		{1, "io.max=8:0 rbps=0", "refused by v2", unix.ERANGE},
		{2, "memory.limit_in_bytes=1; memory.max=2", "the same thing", unix.EINVAL},
		{2, "pids.max=4194305", "4194304", unix.EINVAL},
		{2, "pids.max=1K", "number", unix.EINVAL},
		{2, "memory.unknown=1", "not known", unix.EOPNOTSUPP},
		{2, "cgroup.procs=1", "attach", unix.EPERM},
		{0, "memory.max=1; memory.limit_in_bytes=1", "say to which", unix.EINVAL},
	} {
		tr, err := Translate(TranslateOptions{To: tc.to}, settingsOf(t, tc.from)...)
		if err == nil {
			t.Errorf("%s: %s, want an error", tc.from, joined(tr))
			continue
		}
		if !errors.Is(err, tc.errno) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %s, and %q", tc.from, err, tc.errno, tc.says)
		}
	}
}

// Siblings keep their ratio, which no other formula does.
func TestRatioKeepsRatios(t *testing.T) {
	tr := &translator{to: 1}
	for w := int64(1); w <= 5000; w++ {
		a, b := tr.sharesOf(w), tr.sharesOf(2*w)
		if math.Abs(float64(b)-2*float64(a)) > 2 {
			t.Fatalf("weights 1:2 are shares %d:%d", a, b)
		}
	}
}

func TestWeightsComeBack(t *testing.T) {
	for _, f := range []Formula{FormulaRatio, FormulaOCI, FormulaOCIOld} {
		tr := &translator{formula: f}
		for w := int64(1); w <= 10000; w++ {
			back := tr.weightOf(tr.sharesOf(w))
			if d := back - w; d < -1 || d > 1 {
				t.Fatalf("%s: weight %d is shares %d, back %d", f, w, tr.sharesOf(w), back)
			}
		}
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add("memory.limit_in_bytes=1G", 2)
	f.Add("io.max=8:0 rbps=1", 1)
	f.Fuzz(func(t *testing.T, word string, to int) {
		s, err := ParseSetting(word)
		if err != nil || strings.Contains(s.Value, "/") {
			return
		}
		tr, err := Translate(TranslateOptions{To: to}, s)
		if err == nil && len(tr.Settings) == 0 {
			t.Errorf("%q vanished", word)
		}
	})
}
