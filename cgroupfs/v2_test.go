package cgroupfs

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// Controllers are enabled down the tree, and v1's spelling is taken.
func TestPureV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "cpu", "memory", "pids")
	top := newGroup(t, fs)
	g, err := fs.Group(top.Path() + "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Create(t.Context(), CreateOptions{Controllers: []string{"cpu", "memory", "pids"}}); err != nil {
		t.Fatal(err)
	}
	report := set(t, g, "memory.limit_in_bytes=64M", "memory.memsw.limit_in_bytes=96M", "cpu.shares=2048", "cpu.cfs_quota_us=50000", "memory.high=4097")
	if list := report.Adjusted(); len(list) != 1 || list[0].Change != "rounded" {
		t.Errorf("adjusted %v", list)
	}
	for key, want := range map[string]string{
		"memory.max": "67108864", "memory.swap.max": "33554432", "memory.memsw.limit_in_bytes": "100663296",
		"cpu.weight": "200", "cpu.shares": "2048", "cpu.max": "50000 100000", "cpu.cfs_quota_us": "50000", "memory.high": "4096",
	} {
		if got := get(t, g, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	set(t, g, "memory.high=max", "cpu.cfs_period_us=20000")
	if got := get(t, g, "cpu.max"); got != "50000 20000" {
		t.Errorf("cpu.max %q", got)
	}
	t.Run("burst", func(t *testing.T) {
		testkit.RequireKernel(t, 5, 14)
		set(t, g, "cpu.max.burst=1000")
		_, err := trySet(t, g, "cpu.max.burst=60000")
		refusedWith(t, err, unix.EINVAL, "larger than the quota")
	})
	p := sleeper(t)
	refusedWith(t, g.Parent().Attach(t.Context(), p.PID), unix.EBUSY, "are enabled for its children", g.Path())
}

// v2 would kill where v1 says EBUSY.
func TestMemoryBelowUseKillsOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "memory")
	g := made(t, fs, "memory")
	cmd := holdMemory(t, g)
	_, err := trySet(t, g, "memory.max=4M")
	refusedFor(t, err, unix.EBUSY, ErrWouldKill, "memory.current", "memory.high first")
	if got := get(t, g, "memory.max"); got != "max" {
		t.Errorf("memory.max is %s", got)
	}
	set(t, g.Forced(), "memory.max=4M", "memory.swap.max=0")
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it was not killed: %v", err)
	}
}

// holdMemory starts a process in the group that keeps 20 MB.
func holdMemory(t *testing.T, g *Group) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `x=$(head -c 20000000 /dev/zero | tr '\0' x); echo ready; while :; do sleep 1; done; echo "$x"`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// A group without the controllers has what those above it have, on this kernel.
func TestLimitsOfAncestorsOnV2(t *testing.T) {
	testkit.RequireOnlyCgroup2(t)
	fs := openFS(t)
	needs(t, fs, "cpuset", "pids", "memory", "cpu")
	g := made(t, fs, "cpuset", "pids", "memory", "cpu")
	set(t, g, "cpuset.cpus=0", "pids.max=40", "memory.max=64M", "cpu.max=50000 100000")
	below := child(t, child(t, g, "a"), "b")
	wantBound(t, below, "cpuset.cpus", "0 by "+g.Path())
	wantBound(t, below, "cpu", "0.5 by "+g.Path())
	wantBound(t, below, "pids", "0 of 40 by "+g.Path())
	b, err := below.Effective(t.Context())
	if err != nil || !b.Complete {
		t.Errorf("%+v, %v", b.Unreadable, err)
	}
	s, err := g.Stat(t.Context())
	if err != nil || !s.Complete || s.Memory == nil || s.Memory.Local == nil || number(s.Memory.LowBytes) != 0 || number(s.PIDs.Limit) != 40 {
		t.Errorf("%+v, %v", s, err)
	}
	if limit, _ := s.CPU.LimitCPUs.Get(); limit != 0.5 || number(s.CPU.Weight) != 100 {
		t.Errorf("%+v", s.CPU)
	}
}
