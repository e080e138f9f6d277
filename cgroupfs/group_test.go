package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

func TestCreateAttachRemove(t *testing.T) {
	testkit.CheckLeaks(t)
	fs := openFS(t)
	for _, c := range []string{"memory", "pids", "cpuset"} {
		testkit.RequireCgroup1(t, c)
	}
	v2 := v2Of(t, fs)
	g := newGroup(t, fs)
	deep, err := fs.Group(g.Path() + "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	report, err := deep.Create(t.Context(), CreateOptions{Controllers: []string{"memory", "pids", "cpuset"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Adjusted()) > 0 {
		t.Errorf("adjusted: %v", report.Adjusted())
	}
	var labels []string
	for _, h := range deep.Hierarchies() {
		labels = append(labels, h.label())
	}
	slices.Sort(labels)
	if !slices.Equal(labels, []string{"", "cpuset", "memory", "pids"}) {
		t.Errorf("made in %q", labels)
	}
	if cpus := get(t, deep, "cpuset.cpus"); cpus == "" {
		t.Error("the cpuset is empty: nobody can be attached")
	}
	again, err := deep.PlanCreate(t.Context(), CreateOptions{Controllers: []string{"memory"}})
	if err != nil || len(again.Steps) != 0 {
		t.Errorf("a group that is there needs %v, %v", again.Steps, err)
	}

	p := sleeper(t)
	if err := deep.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	for _, h := range deep.Hierarchies() {
		if at := membershipIn(t, fs, p.PID, h); at != deep.Path() {
			t.Errorf("in %s it is in %s", h, at)
		}
	}
	members, err := deep.Members(t.Context())
	if err != nil || !slices.Equal(members.Processes, []int{p.PID}) || len(members.Elsewhere) != 0 {
		t.Errorf("members %+v, %v", members, err)
	}
	rawWrite(t, v2, &Group{fs: fs, path: "/"}, "cgroup.procs", pidString(p.PID))
	members, _ = deep.Members(t.Context())
	if !slices.Equal(members.Elsewhere, []int{p.PID}) {
		t.Errorf("elsewhere: %v", members.Elsewhere)
	}

	children, err := g.Children()
	if err != nil || len(children) != 1 || children[0].Path() != g.Path()+"/a" {
		t.Errorf("children %v, %v", children, err)
	}
	refusedFor(t, g.Remove(context.Background(), false), unix.EBUSY, ErrNotEmpty, "it has 1 group below it: a")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	refusedWith(t, g.Remove(ctx, true), unix.EBUSY, "1 process is inside", pidString(p.PID))
	if !exists(t, deep) {
		t.Error("half of it was removed")
	}
	p.Kill()
	if err := g.Remove(context.Background(), true); err != nil {
		t.Error(err)
	}
	if exists(t, g) {
		t.Error("it is still there")
	}
	refusedWith(t, g.Remove(context.Background(), true), unix.ENOENT, "no hierarchy has")
}

func TestCreateUndone(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "memory")
	g := newGroup(t, fs)
	low, high := int64(1<<20), int64(1<<20)
	// The second limit cannot be: v1 has no memory.high.
	_, err := g.Create(t.Context(), CreateOptions{Limits: Limits{Memory: &low, MemoryHigh: &high}})
	refusedWith(t, err, unix.EOPNOTSUPP, "memory.high", "soft_limit")
	if exists(t, g) {
		t.Error("the plan was not made before")
	}
	// What the kernel alone can refuse.
	report, err := g.Create(t.Context(), CreateOptions{Limits: Limits{Memory: &low, Raw: []keys.Setting{{Key: "memory.swappiness", Value: "1000"}}}})
	refusedWith(t, err, unix.EINVAL, "memory.swappiness")
	if exists(t, g) || len(report.Steps) != 0 {
		t.Errorf("not undone: %v", report)
	}
}

func TestAttachRefusals(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	g := made(t, fs)
	refusedWith(t, g.Attach(t.Context(), 0), unix.EINVAL, "from 1 up")
	refusedWith(t, g.Attach(t.Context(), -1), unix.EINVAL)
	p := sleeper(t)
	p.Kill()
	refusedWith(t, g.Attach(t.Context(), p.PID), unix.ESRCH, "no such process")
	refusedWith(t, g.Attach(t.Context(), 2), unix.EPERM, "kernel thread")

	zombie := testkit.Start(t, testkit.Config{Mode: testkit.Zombie})
	refusedWith(t, g.Attach(t.Context(), zombie.PID), unix.ESRCH, "zombie")

	live := sleeper(t)
	for _, tid := range live.TIDs() {
		if tid != live.PID {
			refusedWith(t, g.Attach(t.Context(), tid), unix.EINVAL, "is a thread of "+pidString(live.PID))
			break
		}
	}
	gone, err := fs.Group(g.Path() + "/never")
	if err != nil {
		t.Fatal(err)
	}
	refusedWith(t, gone.Attach(t.Context(), live.PID), unix.ENOENT, "no hierarchy has a group")
}

// One that cannot be moved takes those before it back.
func TestAttachUndone(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	g := made(t, fs)
	p, gone := sleeper(t), sleeper(t)
	gone.Kill()
	before := membershipIn(t, fs, p.PID, v2)
	refusedWith(t, g.Attach(t.Context(), p.PID, gone.PID), unix.ESRCH)
	if at := membershipIn(t, fs, p.PID, v2); at != before {
		t.Errorf("it stays in %s", at)
	}
}

func TestAttachDeadLeader(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	g := made(t, fs)
	p := testkit.Start(t, testkit.Config{Mode: testkit.DeadLeader})
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	if at := membershipIn(t, fs, p.Thread, v2); at != g.Path() {
		t.Errorf("its thread is in %s", at)
	}
	members, err := g.Members(t.Context())
	if err != nil || !slices.Contains(members.Processes, p.PID) {
		t.Errorf("members %+v, %v", members, err)
	}
	// cgroup.kill overlooks it.
	if err := g.Kill(context.Background()); err != nil {
		t.Fatal(err)
	}
	// A thread leaves its cgroup early in its exit, and /proc at the end of it.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var left []int
	err = until(ctx, func() (_ bool, err error) {
		left, err = fs.threads(p.PID)
		return len(left) == 0, err
	})
	if err != nil {
		t.Errorf("threads %v live on: %v", left, err)
	}
}

func TestAttachThreads(t *testing.T) {
	fs := openFS(t)
	cpu := testkit.RequireCgroup1(t, "cpu")
	g := newGroup(t, fs)
	h := hierarchyOf(t, fs, "cpu")
	if h.Mount != cpu {
		t.Fatal(h)
	}
	// In v1's hierarchy alone: v2 takes single threads only in threaded groups.
	if err := h.mkdir(g.path); err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, testkit.Config{Mode: testkit.ThreadElsewhere, Apart: []string{"uts"}})
	if err := g.AttachThreads(t.Context(), p.Thread); err != nil {
		t.Fatal(err)
	}
	if at := membershipIn(t, fs, p.Thread, h); at != g.Path() {
		t.Errorf("the thread is in %s", at)
	}
	if at := membershipIn(t, fs, p.PID, h); at == g.Path() {
		t.Error("its process was moved too")
	}
}

func TestEmptyCpuset(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "cpuset")
	g := newGroup(t, fs)
	h := hierarchyOf(t, fs, "cpuset")
	if err := h.mkdir(g.path); err != nil {
		t.Fatal(err)
	}
	p := sleeper(t)
	empty := g.Attach(t.Context(), p.PID)
	refusedWith(t, empty, unix.ENOSPC, "cpuset is empty")
	helps(t, empty, VerbSet, g.Path(), "cpuset.cpus=0-")
	set(t, g, "cpuset.cpus=0", "cpuset.mems=0")
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	_, err := trySet(t, g, "cpuset.cpus=")
	refusedWith(t, err, unix.ENOSPC, "1 process is in the group", pidString(p.PID))
	_, err = trySet(t, g, "cpuset.cpus=4000")
	refusedWith(t, err, unix.ERANGE, "the machine has only")
	_, err = trySet(t, g, "cpuset.mems=900")
	refusedWith(t, err, unix.EINVAL, "the machine has only")

	below := child(t, g, "below", "cpuset")
	_, err = trySet(t, below, "cpuset.cpus=1")
	refusedWith(t, err, unix.EACCES, `the group above has only "0"`)
	set(t, g, "cpuset.cpus=0-1")
	set(t, below, "cpuset.cpus=0,1")
	_, err = trySet(t, g, "cpuset.cpus=0")
	refusedWith(t, err, unix.EBUSY, "a child has more", "/below has 0-1")
}

func TestFreezeThaw(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	for _, controllers := range [][]string{nil, {"freezer"}} {
		g := made(t, fs, controllers...)
		below := child(t, g, "below", controllers...)
		p := sleeper(t)
		if err := below.Attach(t.Context(), p.PID); err != nil {
			t.Fatal(err)
		}
		if err := g.Freeze(context.Background()); err != nil {
			t.Fatal(err)
		}
		if frozen, err := below.Frozen(); !frozen || err != nil {
			t.Errorf("below: %v, %v", frozen, err)
		}
		if err := below.Thaw(context.Background()); err == nil {
			t.Error("thawed below a frozen group")
		} else {
			refusedWith(t, err, unix.EBUSY, g.Path()+" above it is frozen", "thaw that one")
			thaws(t, err, g.Path())
		}
		refusedWith(t, g.Start(helperCommand(t, "sleep")), unix.EBUSY, "frozen", "thaw")
		if err := g.Thaw(context.Background()); err != nil {
			t.Fatal(err)
		}
		if frozen, err := below.Frozen(); frozen || err != nil {
			t.Errorf("after: %v, %v", frozen, err)
		}
		// Killing works on frozen ones, v1's too.
		if err := g.Freeze(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := g.Kill(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	root, _ := fs.Group("/")
	refusedWith(t, root.Forced().Freeze(context.Background()), unix.EOPNOTSUPP, "root")
	refusedWith(t, root.Forced().Kill(context.Background()), unix.EPERM, "every process")
}

// TestStatOfEitherFreezer: container runtimes pause by v1's freezer where there
// is one, and v2 knows nothing of it.
func TestStatOfEitherFreezer(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	testkit.RequireCgroup1(t, "freezer")
	g := made(t, fs, "freezer")
	for _, h := range g.Hierarchies() {
		if err := h.writeFreeze(g.Path(), true); err != nil {
			t.Fatal(err)
		}
		if s, err := g.Stat(t.Context()); err != nil || s.Frozen == nil || !*s.Frozen {
			t.Errorf("frozen by %s: %+v, %v", h.label(), s, err)
		}
		if err := h.writeFreeze(g.Path(), false); err != nil {
			t.Fatal(err)
		}
		if s, err := g.Stat(t.Context()); err != nil || s.Frozen == nil || *s.Frozen {
			t.Errorf("thawed by %s: %+v, %v", h.label(), s, err)
		}
	}
}

func TestFreezeNeverCompletes(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	testkit.RequireRoot(t)
	p := testkit.RequireStuck(t, testkit.Config{})
	g := made(t, fs)
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	refusedWith(t, g.Freeze(ctx), unix.ETIMEDOUT, pidString(p.PID), "state D", "thawed again")
	if text := get(t, g, "cgroup.freeze"); text != "0" {
		t.Errorf("left freezing: %s", text)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	refusedWith(t, g.Kill(ctx), unix.ETIMEDOUT, pidString(p.PID))
	p.Kill()
}

func TestNoInternalProcesses(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	testkit.Require(t, slices.Contains(v2.Controllers, "hugetlb"), "needs hugetlb on v2")
	g := made(t, fs, "hugetlb")
	p := sleeper(t)
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	below := &Group{fs: fs, path: g.path + "/below"}
	_, err := below.Create(t.Context(), CreateOptions{Controllers: []string{"hugetlb"}})
	refusedWith(t, err, unix.EBUSY, "1 process is in the group itself", pidString(p.PID))
	helps(t, err, VerbCreate, g.Path()+"/leaf", "")
	if exists(t, below) {
		t.Error("not undone")
	}
	rawWrite(t, v2, &Group{fs: fs, path: "/"}, "cgroup.procs", pidString(p.PID))
	create(t, below, "hugetlb")
	refusedWith(t, g.Attach(t.Context(), p.PID), unix.EBUSY, "hugetlb", "attach to a child of it, such as "+below.Path())
	refusedWith(t, g.Start(helperCommand(t, "sleep")), unix.EBUSY, "hugetlb", below.Path())
}

func TestThreadedDomains(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	g := made(t, fs)
	threaded, invalid := child(t, g, "threaded"), child(t, g, "invalid")
	rawWrite(t, v2, threaded, "cgroup.type", "threaded")
	p := sleeper(t)
	refusedWith(t, invalid.Attach(t.Context(), p.PID), unix.EOPNOTSUPP, "invalid is domain invalid")
	refusedWith(t, invalid.Start(helperCommand(t, "sleep")), unix.EOPNOTSUPP, "domain invalid")
	_, err := trySet(t, threaded, "cgroup.type=domain")
	refusedWith(t, err, unix.EINVAL, "threaded")
	if slices.Contains(v2.Controllers, "hugetlb") {
		// The root of threaded groups has only controllers that know threads.
		_, err = child(t, g, "third").Create(t.Context(), CreateOptions{Controllers: []string{"hugetlb"}})
		refusedWith(t, err, unix.EOPNOTSUPP, "hugetlb cannot control threads", g.Path()+" is domain threaded")
	}
	// A threaded group is killed by signals.
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	if err := threaded.AttachThreads(t.Context(), p.TIDs()...); err != nil {
		t.Fatal(err)
	}
	members, err := threaded.Members(t.Context())
	if err != nil || !slices.Equal(members.Processes, []int{p.PID}) {
		t.Errorf("members %+v, %v", members, err)
	}
	if err := threaded.Kill(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestTreeBounds(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	g := made(t, fs)
	set(t, g, "cgroup.max.depth=1")
	deep := &Group{fs: fs, path: g.path + "/a/b"}
	_, err := deep.Create(t.Context(), CreateOptions{})
	refusedWith(t, err, unix.EAGAIN, "cgroup.max.depth is 1", "2 below it")
	helps(t, err, VerbSet, g.Path(), "cgroup.max.depth=max")
	if children, _ := g.Children(); len(children) != 0 {
		t.Error("not undone")
	}
	set(t, g, "cgroup.max.depth=max", "cgroup.max.descendants=1")
	child(t, g, "one")
	_, err = (&Group{fs: fs, path: g.path + "/two"}).Create(t.Context(), CreateOptions{})
	refusedWith(t, err, unix.EAGAIN, "cgroup.max.descendants is 1", "1 group is below it")
	helps(t, err, VerbSet, g.Path(), "cgroup.max.descendants=max")
}

func TestEnableRefusals(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	testkit.RequireCgroup1(t, "memory")
	g := made(t, fs)
	plan := g.newPlan()
	plan.write(&v2, g.path, "cgroup.subtree_control", "+memory")
	_, err := plan.Apply(t.Context())
	refusedWith(t, err, unix.ENOENT, "memory is bound to v1 at /sys/fs/cgroup/memory")
	plan = g.newPlan()
	plan.write(&v2, g.path, "cgroup.subtree_control", "+nonsense")
	_, err = plan.Apply(t.Context())
	refusedWith(t, err, unix.EINVAL, "knows no controller of that name")
	// Unless somebody else has it enabled at the root.
	if slices.Contains(v2.Controllers, "hugetlb") && !strings.Contains(get(t, g, "cgroup.controllers"), "hugetlb") {
		plan = g.newPlan()
		plan.write(&v2, g.path, "cgroup.subtree_control", "+hugetlb")
		_, err = plan.Apply(t.Context())
		refusedWith(t, err, unix.ENOENT, "not offered hugetlb", "children of /")
	}
	_, err = g.Create(t.Context(), CreateOptions{Controllers: []string{"nonsense"}})
	refusedWith(t, err, unix.EINVAL, "none of that name", "offered: ")
}

func TestVanishedGroup(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	g := made(t, fs)
	n := "1"
	plan, err := g.Plan(t.Context(), Limits{Settings: []keys.Setting{{Key: "cgroup.max.depth", Value: n}}}, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := g.Remove(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	_, err = plan.Apply(t.Context())
	refusedWith(t, err, unix.ENOENT, "the group is gone")
	err = e.Start(helperCommand(t, "sleep"))
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
		t.Errorf("started in a removed group: %v", err)
	}
}

// A list of a thousand groups takes no second.
func TestWalkOfManyGroups(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids")
	g := made(t, fs, "pids")
	most := testkit.Rounds(1000, 1000)
	for i := range most {
		for _, h := range g.Hierarchies() {
			if err := h.mkdir(fmt.Sprintf("%s/%d", g.path, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	seen := 0
	if err := g.Walk(t.Context(), func(Summary) error { seen++; return nil }); err != nil || seen != most+1 {
		t.Errorf("%d groups, %v", seen, err)
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	// Processor time: others may want the machine too.
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	t.Logf("%v", used)
	if used > time.Second && !testing.Short() {
		t.Errorf("it took %v", used)
	}
	stop := errors.New("stop")
	if err := g.Walk(t.Context(), func(Summary) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// The number of a process group outlives its leader, and pidfd_open(2) has other
// errors for it than for a number that nobody has.
func TestKillOfReapedLeader(t *testing.T) {
	fs := openFS(t)
	if err := fs.kill(&fs.hierarchies[0], testkit.ReapedLeader(t), "/", nil); err != nil {
		t.Error(err)
	}
}

// Kill uses cgroup.kill where the kernel has it. The way without that file, of
// older kernels, would thaw the group.
func TestKillByFile(t *testing.T) {
	testkit.RequireKernel(t, 5, 14)
	fs := openFS(t)
	h := v2Of(t, fs)
	g := made(t, fs)
	p := sleeper(t)
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if frozen, err := h.selfFrozen(g.Path()); err != nil || !frozen {
		t.Errorf("it was thawed: %v, %v", frozen, err)
	}
}
