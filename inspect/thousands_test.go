package inspect

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// TestThirtyThousand scans more processes than kernel.pid_max has numbers for by
// default. It is for a machine of the lab that has the memory, and of which
// nothing else is wanted:
//
//	make lab KERNEL=7.2 LAYOUT=v2 PACKAGES=inspect RUN=TestThirtyThousand MEMORY=8192 LIMIT=15m
func TestThirtyThousand(t *testing.T) {
	testkit.RequireLab(t)
	testkit.CheckLeaks(t)
	const n = 30000
	raise(t, "/proc/sys/kernel/pid_max", 65536)
	raise(t, "/proc/sys/kernel/threads-max", 65536)
	crowd := testkit.Crowd(t, testkit.CrowdConfig{N: n, Every: 100, New: []string{"uts", "ipc"}, Comm: "many", Forks: true})
	pids := crowd.PIDs()
	if len(pids) != n {
		t.Fatalf("the crowd has %d processes", len(pids))
	}
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"namespaces", Options{}},
		{"all but holders", Options{Relations: true, Binds: true, Cgroups: true, Sets: true, Threads: true, ForChildren: true, Details: AllDetails, CmdlineTimeout: time.Minute}},
	} {
		runtime.GC()
		_ = peakMemory(t)
		start := time.Now()
		s := scan(t, c.o)
		took, peak := time.Since(start), peakMemory(t)
		t.Logf("%d processes, %s: %.1f s, %d MiB at the peak", len(s.Processes), c.name, took.Seconds(), peak>>10)
		missing := 0
		for _, pid := range pids {
			if p := s.Process(pid); p == nil || p.Comm != "many" || p.NS[UTS] == 0 {
				missing++
			}
		}
		if missing > 0 || !s.Complete {
			t.Errorf("%s: %d of %d are missing; %q", c.name, missing, n, s.Gaps())
		}
		sets := 0
		for i := range s.Namespaces {
			if ns := &s.Namespaces[i]; ns.Type == UTS && len(ns.PIDs) == 100 && ns.Leader.Comm == "many" {
				sets++
			}
		}
		if sets != n/100 {
			t.Errorf("%s: %d UTS namespaces of 100 processes, want %d", c.name, sets, n/100)
		}
		if peak > 512<<10 {
			t.Errorf("%s: %d KiB at the peak", c.name, peak)
		}
	}
}

// raise writes a larger number into a setting of the kernel's, until the test ends.
func raise(t *testing.T, path string, to int) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Append(nil, to), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, old, 0); err != nil {
			t.Error(err)
		}
	})
}

// peakMemory is the most memory in KiB that this process had since the last
// time; proc(5), clear_refs.
func peakMemory(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return kib
}
