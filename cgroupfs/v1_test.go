package cgroupfs

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// pureV1 is this machine as if v2 were not mounted.
func pureV1(t *testing.T) *FS {
	t.Helper()
	testkit.RequireCgroup1(t, "freezer")
	testkit.RequireCgroup1(t, "pids")
	fs := openFS(t)
	fs.hierarchies = slices.DeleteFunc(fs.hierarchies, func(h Hierarchy) bool { return h.Version == 2 })
	return fs
}

func TestPureV1(t *testing.T) {
	fs := pureV1(t)
	if fs.Mode() != "v1" {
		t.Fatal(fs.Mode())
	}
	g := made(t, fs)
	if list := g.Hierarchies(); len(list) != 1 || list[0].label() != "freezer" {
		t.Fatalf("made in %v", list)
	}
	below := child(t, g, "below")
	p := sleeper(t)
	if err := below.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.State(); s != 'D' {
		t.Errorf("state %c", s)
	}
	// The kernel says yes to that, and nothing comes of it.
	refusedWith(t, below.Thaw(t.Context()), unix.EBUSY, g.Path()+" above it is frozen")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := below.Kill(ctx)
	refusedWith(t, err, unix.ETIMEDOUT, pidString(p.PID))
	thaws(t, err, g.Path())
	err = below.Start(helperCommand(t, "sleep"))
	refusedWith(t, err, unix.EBUSY, "thaw it")
	thaws(t, err, g.Path())
	if strings.Contains(below.Start(helperCommand(t, "sleep")).Error(), "thaw "+below.Path()) {
		t.Error("the wrong group is named")
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if frozen, err := below.Frozen(); frozen || err != nil {
		t.Errorf("left frozen: %v, %v", frozen, err)
	}
	s, err := g.Stat(t.Context())
	if err != nil || s.Frozen == nil || *s.Frozen || s.Pressure != nil {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = trySet(t, g, "cgroup.max.depth=1")
	refusedWith(t, err, unix.EOPNOTSUPP, "v1 does not bound the tree")
}

func TestPureV1KillWhileForking(t *testing.T) {
	fs := pureV1(t)
	killForking(t, fs, "pids")
	killForking(t, fs, "pids", "cpu")
}

func TestPureV1StartBeyondPidsMax(t *testing.T) {
	g := newGroup(t, pureV1(t))
	none := int64(0)
	if _, err := g.Create(t.Context(), CreateOptions{Limits: Limits{PIDs: &none}}); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, g.Start(helperCommand(t, "sleep")), unix.EAGAIN, "of at most 0 processes")
}

// Memory in use below which v1 does not go.
func TestMemoryBelowUse(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "memory")
	g := made(t, fs, "memory")
	cmd := holdMemory(t, g)
	_, err := trySet(t, g, "memory.max=4M")
	refusedWith(t, err, unix.EBUSY, "memory.usage_in_bytes", "stays as it was")
	if got := get(t, g, "memory.max"); got != "max" {
		t.Errorf("memory.max is %s", got)
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

// A group without realtime takes no realtime process (RT_GROUP_SCHED).
func TestRealtime(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "cpu")
	g := made(t, fs, "cpu")
	v, err := g.Get(t.Context(), "cpu.rt_runtime_us")
	testkit.Require(t, err == nil && v[0].Value == "0", "needs a kernel with RT_GROUP_SCHED")
	p := sleeper(t)
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	err = unix.SchedSetAttr(p.PID, attr, 0)
	testkit.Require(t, err == nil, "needs the right to set a realtime policy: %v", err)
	refusedWith(t, g.Attach(t.Context(), p.PID), unix.EINVAL, "realtime policy", "cpu.rt_runtime_us is 0")
	if at := membershipIn(t, fs, p.PID, *fs.v2()); at == g.Path() {
		t.Error("half of it moved")
	}
}

func TestWeightGoesToBFQ(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "blkio")
	g := made(t, fs, "blkio")
	h := hierarchyOf(t, fs, "blkio")
	testkit.Require(t, h.has(g.path, "blkio.bfq.weight") && !h.has(g.path, "blkio.weight"), "needs a blkio hierarchy with BFQ's weight alone")
	p, err := g.Plan(t.Context(), Limits{Settings: []keys.Setting{{Key: "io.weight", Value: "10000"}}}, PlanOptions{})
	if err != nil || !strings.HasSuffix(p.String(), "blkio.bfq.weight ← 1000") {
		t.Fatalf("%s, %v", p, err)
	}
	if report, err := p.Apply(t.Context()); err != nil || len(report.Adjusted()) > 0 {
		t.Errorf("%v, %v", report, err)
	}
}

func TestControllers(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "memory")
	if h, err := fs.Controller("memory"); err != nil || h.Version != 1 || h.Number == 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := fs.Controller("io"); err != nil || !slices.Contains(h.Controllers, "blkio") {
		t.Errorf("%+v, %v", h, err)
	}
	few := &FS{root: "/", hierarchies: fs.hierarchies[:1]}
	for name, words := range map[string][]string{"net_cls": {"v1 only", "nftables"}, "devices": {"as BPF programs, on v2"}, "rdma": {"no mounted hierarchy has it"}} {
		_, err := few.Controller(name)
		if !slices.Contains(few.Controllers(), name) {
			refusedWith(t, err, unix.ENOENT, words...)
		}
	}
	_, err := few.Controller("nonsense")
	refusedWith(t, err, unix.EINVAL, "none of that name")
	info, err := fs.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode != fs.Mode() || len(info.Controllers) != len(fs.Controllers()) {
		t.Errorf("%+v", info)
	}
}
