package cgroupfs

import (
	"slices"
	"strings"
	"testing"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// What a real kernel makes of values on v2 is said in the same word each time.
func TestSameWordsOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "cpu", "memory", "pids", "hugetlb")
	g := made(t, fs, "cpu", "memory", "pids", "hugetlb")
	for _, tc := range []struct{ setting, change, now string }{
		{"memory.max=1000000000", "rounded", "999997440"},
		{"memory.max=1G", "", "1073741824"},
		{"memory.high=4097", "rounded", "4096"},
		{"memory.low=4097", "rounded", "4096"},
		{"hugetlb.2MB.max=3M", "rounded", "2097152"},
		{"cpu.weight=1", "", "1"},
		{"cpu.max=50000", "", "50000 100000"},
		{"cpu.shares=2", "", "1"}, // noted when it is translated
		{"pids.max=max", "", "max"},
		{"memory.swap.max=0", "", "0"},
		{"memory.oom.group=1", "", "1"},
	} {
		for _, try := range []string{"first", "second"} {
			report := set(t, g, tc.setting)
			step := report.Steps[len(report.Steps)-1]
			if step.Change != tc.change || strings.TrimSpace(step.Now) != tc.now {
				t.Errorf("%s, the %s time: %q, now %q; want %q, %q", tc.setting, try, step.Change, step.Now, tc.change, tc.now)
			}
		}
	}
}

// A partition that a write of its CPUs makes invalid, and limits that go with their
// files, are told.
func TestEffectsOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	testkit.RequireKernel(t, 6, 1)
	fs := openFS(t)
	needs(t, fs, "cpuset", "memory")
	root, err := fs.Group("/")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Require(t, get(t, root, "cpuset.cpus.effective") != "0", "needs a second processor")
	g := made(t, fs, "cpuset")
	set(t, g, "cpuset.cpus=1", "cpuset.cpus.partition=root")
	sister := newGroup(t, fs)
	if _, err := sister.Create(t.Context(), CreateOptions{Controllers: []string{"cpuset"}}); err != nil {
		t.Fatal(err)
	}
	report := set(t, g, "cpuset.cpus=0-1") // none would be left to the others
	var effects []string
	for _, s := range report.Steps {
		effects = append(effects, s.Effects...)
	}
	now := get(t, g, "cpuset.cpus.partition")
	if said := slices.ContainsFunc(effects, func(e string) bool { return strings.Contains(e, "is now "+now) }); said != strings.Contains(now, "invalid") {
		t.Errorf("the partition is %q, and said is %q", now, effects)
	}
	if !strings.Contains(now, "invalid") {
		t.Errorf("the partition is %q: the test shows nothing", now)
	}

	limited := made(t, fs, "memory")
	set(t, limited, "memory.max=100M")
	report = set(t, limited, "cgroup.type=threaded")
	if list := report.Steps[0].Effects; !slices.ContainsFunc(list, func(e string) bool { return strings.Contains(e, "memory.max is gone, and with it the limit 104857600") }) {
		t.Errorf("threaded: %q", list)
	}
}

// Memory that is protected below a group that protects less.
func TestProtectionOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "memory")
	g := made(t, fs, "memory")
	below := child(t, g, "below")
	if _, err := below.Create(t.Context(), CreateOptions{Controllers: []string{"memory"}}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ above, note string }{
		{"0", "memory.low of " + g.Path() + " is 0, so nothing is protected here"},
		{"30M", "memory.low of " + g.Path() + " is 30M, so no more than that is protected here"},
		{"50M", ""},
		{"max", ""},
	} {
		set(t, g, "memory.low="+tc.above)
		p, err := below.Plan(t.Context(), Limits{Settings: []keys.Setting{{Key: "memory.low", Value: "50M"}}}, PlanOptions{})
		if notes := ""; err == nil {
			notes = strings.Join(p.Notes, "; ")
			if (notes == "") != (tc.note == "") || !strings.Contains(notes, tc.note) {
				t.Errorf("above %s: %q, want %q", tc.above, notes, tc.note)
			}
		} else {
			t.Error(err)
		}
	}
}

// Where BFQ has weights of its own, those are written as well.
func TestWeightsOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "io")
	g := made(t, fs, "io")
	h := fs.v2()
	testkit.Require(t, h.has(g.Path(), "io.bfq.weight"), "needs BFQ in the kernel")
	set(t, g, "io.weight=500")
	if text, err := h.read(g.Path(), "io.bfq.weight"); err != nil || text != "default 136" && text != "136" {
		t.Errorf("io.bfq.weight is %q, %v", text, err)
	}
	if text, err := h.read(g.Path(), "io.weight"); err == nil {
		if text != "default 500" {
			t.Errorf("io.weight is %q", text)
		}
	} else if !isGone(err) { // a kernel without iocost has none
		t.Error(err)
	}
	if got := get(t, g, "io.weight"); !strings.HasPrefix(got, "default 500") && !strings.HasPrefix(got, "default 496") {
		t.Errorf("read back: %q", got)
	}
	set(t, g, "io.bfq.weight=7")
	if got := get(t, g, "blkio.bfq.weight"); got != "7" {
		t.Errorf("blkio.bfq.weight is %q", got)
	}
}
