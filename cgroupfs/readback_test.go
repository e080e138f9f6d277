package cgroupfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// What the kernel made of a value is said in the same word each time.
func TestSameWordsTheSecondTime(t *testing.T) {
	fs := openFS(t)
	for _, c := range []string{"cpu", "memory"} {
		testkit.RequireCgroup1(t, c)
	}
	g := made(t, fs, "cpu", "memory")
	for _, tc := range []struct{ raw, change string }{
		{"memory.limit_in_bytes=1000000", "rounded"},
		{"memory.limit_in_bytes=1M", ""},
		{"cpu.shares=1", "clamped"},
		{"memory.max_usage_in_bytes=0", ""},
		{"memory.failcnt=0", ""},
	} {
		setting, err := keys.ParseSetting(tc.raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, try := range []string{"first", "second"} {
			p, err := g.Plan(t.Context(), Limits{Raw: []keys.Setting{setting}}, PlanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			report, err := p.Apply(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Steps[len(report.Steps)-1]; got.Change != tc.change {
				t.Errorf("%s, the %s time: %q, want %q", tc.raw, try, got.Change, tc.change)
			}
		}
	}
	before := get(t, g, "memory.limit_in_bytes")
	if _, err := g.Plan(t.Context(), Limits{Raw: []keys.Setting{{Key: "memory.limit_in_bytes", Value: ""}}}, PlanOptions{}); err == nil {
		t.Error("an empty value is taken")
	}
	if now := get(t, g, "memory.limit_in_bytes"); now != before {
		t.Errorf("it set %s", now)
	}
}

func TestReadBack(t *testing.T) {
	for _, tc := range []struct{ file, value, text, change string }{
		{"io.cost.qos", "254:0 enable=1", "7:0 enable=0\n254:0 enable=1 ctrl=auto rpct=0.00 min=1.00\n", ""},
		{"io.cost.qos", "254:0 enable=1 rpct=95", "254:0 enable=1 ctrl=user rpct=95.00\n", ""},
		{"io.cost.qos", "254:0 enable=1", "254:0 enable=0 ctrl=auto\n", "changed"},
		{"io.cost.model", "254:0 ctrl=user rbps=1000", "254:0 ctrl=user model=linear rbps=1000 rseqiops=5\n", ""},
		{"io.latency", "254:0 target=100", "254:0 target=100\n", ""},
		{"blkio.throttle.read_bps_device", "254:0 1000", "254:0 1000\n", ""},
		{"cpu.uclamp.max", "80.5", "80.50", ""},
		{"hugetlb.2MB.max", "4M", "4194304", ""},
		{"hugetlb.2MB.max", "3M", "2097152", "rounded"},
		{"hugetlb.1GB.limit_in_bytes", "3G", "2147483648", "clamped"},
		{"memory.max", "1000000", "999424", "rounded"},
		{"cgroup.clone_children", "2", "1", "clamped"},
		{"memory.swappiness", "201", "200", "clamped"},
		{"pids.max", "8192", "4096", "clamped"},
		{"memory.limit_in_bytes", "0x100000", "1048576", ""},
		{"memory.limit_in_bytes", "04000001", "1048576", "rounded"},
		{"cpu.shares", "0X400", "1024", ""},
		{"cpu.shares", "0x1", "2", "clamped"},
		{"memory.limit_in_bytes", "0b11", "1048576", "changed"},
		{"memory.swap.high", "64M", "67108864", ""},
		{"memory.peak", "0", "12288", "ignored"},
		{"memory.kmem.limit_in_bytes", "1M", "9223372036854771712", "ignored"},
		{"cpu.weight", "20000", "10000", "clamped"},
		{"pids.max", "max", "max", ""},
	} {
		s := Step{File: tc.file, Value: tc.value}
		if got := s.compare(s.mine(tc.text)); got != tc.change {
			t.Errorf("%s ← %s, then %q: %q, want %q", tc.file, tc.value, tc.text, got, tc.change)
		}
	}
}

// What a write changed elsewhere is looked at, and protection that is none is said.
func TestEffectsElsewhere(t *testing.T) {
	root := t.TempDir()
	put := func(file, text string) {
		t.Helper()
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	put("proc/1/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	put("sys/fs/cgroup/cgroup.controllers", "cpuset memory\n")
	for _, group := range []string{"part", "sister"} {
		put("sys/fs/cgroup/"+group+"/cpuset.cpus.partition", "isolated\n")
		put("sys/fs/cgroup/"+group+"/memory.max", "104857600\n")
		put("sys/fs/cgroup/"+group+"/memory.high", "max\n")
		put("sys/fs/cgroup/"+group+"/memory.low", "0\n")
	}
	put("sys/fs/cgroup/part/below/memory.low", "0\n")
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	cpus := Step{File: "cpuset.cpus", group: "/part", h: fs.v2()}
	before := cpus.besides()
	put("sys/fs/cgroup/part/cpuset.cpus.partition", "isolated invalid (Parent unable to distribute cpu downstream)\n")
	put("sys/fs/cgroup/sister/cpuset.cpus.partition", "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n")
	if got := cpus.effects(before); len(got) != 2 || !strings.Contains(got[0], "part/cpuset.cpus.partition is now isolated invalid (Parent") {
		t.Errorf("partitions: %q", got)
	}
	if got := cpus.effects(cpus.besides()); len(got) != 0 {
		t.Errorf("what was so before is no effect: %q", got)
	}
	threaded := Step{File: "cgroup.type", group: "/part", h: fs.v2()}
	before = threaded.besides()
	for _, file := range []string{"memory.max", "memory.high", "memory.low"} {
		if err := os.Remove(filepath.Join(root, "sys/fs/cgroup/part", file)); err != nil {
			t.Fatal(err)
		}
	}
	if got := threaded.effects(before); len(got) != 1 || !strings.Contains(got[0], "memory.max is gone, and with it the limit 104857600") {
		t.Errorf("threaded: %q", got)
	}
	below := &Group{fs: fs, path: "/part/below"}
	low := int64(50 << 20)
	p, err := below.Plan(t.Context(), Limits{MemoryLow: &low}, PlanOptions{})
	if err != nil || !strings.Contains(strings.Join(p.Notes, ";"), "memory.low of /part is 0, so nothing is protected here") {
		t.Errorf("%+v, %v", p, err)
	}
	put("sys/fs/cgroup/part/memory.low", "31457280\n")
	if p, err = below.Plan(t.Context(), Limits{MemoryLow: &low}, PlanOptions{}); err != nil || !strings.Contains(strings.Join(p.Notes, ";"), "memory.low of /part is 30M, so no more than that is protected here") {
		t.Errorf("%+v, %v", p, err)
	}
	put("sys/fs/cgroup/part/memory.low", "max\n")
	if p, err = below.Plan(t.Context(), Limits{MemoryLow: &low}, PlanOptions{}); err != nil || len(p.Notes) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
