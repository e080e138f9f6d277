package cgroupfs

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

func TestSetReadsBack(t *testing.T) {
	fs := openFS(t)
	for _, c := range []string{"cpu", "memory", "pids"} {
		testkit.RequireCgroup1(t, c)
	}
	g := made(t, fs, "cpu", "memory", "pids")
	cpu, _ := keys.ParseCPUs("1.5")
	memory, swap, pids := int64(64<<20), int64(0), int64(10)
	p, err := g.Plan(t.Context(), Limits{CPU: &cpu, Memory: &memory, Swap: &swap, PIDs: &pids}, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.String(), g.Path()+"/memory.limit_in_bytes ← 67108864\n") {
		t.Errorf("plan:\n%s", p)
	}
	if got := get(t, g, "memory.max"); got != "max" {
		t.Errorf("planning wrote: %s", got)
	}
	report, err := p.Apply(t.Context())
	if err != nil || len(report.Adjusted()) > 0 || len(report.Steps) != len(p.Steps) {
		t.Fatalf("%v, %v", report, err)
	}
	for key, want := range map[string]string{
		"cpu.max": "150000 100000", "cpu.cfs_quota_us": "150000", "memory.max": "67108864",
		"memory.memsw.limit_in_bytes": "67108864", "memory.swap.max": "0", "pids.max": "10",
	} {
		if got := get(t, g, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	// Only memory.max: the swap allowance stays, in either direction.
	for _, size := range []string{"128M", "32M", "max"} {
		set(t, g, "memory.max="+size)
	}
	if got := get(t, g, "memory.memsw.limit_in_bytes"); got != "9223372036854771712" {
		t.Errorf("memsw %s", got)
	}
}

func TestSetReportsWhatTheKernelChanges(t *testing.T) {
	fs := openFS(t)
	for _, c := range []string{"cpu", "memory", "cpuset"} {
		testkit.RequireCgroup1(t, c)
	}
	g := made(t, fs, "cpu", "memory", "cpuset")
	for _, tc := range []struct{ setting, change, now string }{
		{"memory.limit_in_bytes=1048577", "rounded", "1048576"},
		{"cpu.shares=0", "clamped", "2"},
		{"cpu.shares=300000", "clamped", "262144"},
		{"cpuset.cpus=0,1", "", "0-1"},
		{"memory.limit_in_bytes=-1", "", "9223372036854771712"},
		{"cpu.cfs_quota_us=-1", "", "-1"},
	} {
		report := set(t, g, tc.setting)
		if got := report.Steps[len(report.Steps)-1]; got.Change != tc.change || got.Now != tc.now {
			t.Errorf("%s: %q, now %q; want %q, %q", tc.setting, got.Change, got.Now, tc.change, tc.now)
		}
	}
	// Linux 5.10 obeys this one, 6.1 takes it and does nothing.
	report := set(t, g, "memory.kmem.limit_in_bytes=1M")
	got := report.Steps[len(report.Steps)-1]
	ignored := got.Change == "ignored" && got.Now == "9223372036854771712"
	obeyed := got.Change == "" && got.Now == "1048576"
	if !ignored && !obeyed {
		t.Errorf("%q, now %q", got.Change, got.Now)
	}
}

func TestSetRefusals(t *testing.T) {
	fs := openFS(t)
	for _, c := range []string{"cpu", "memory", "devices", "blkio"} {
		testkit.RequireCgroup1(t, c)
	}
	v2Of(t, fs)
	g := made(t, fs, "cpu", "memory", "devices")
	below := child(t, g, "below", "cpu", "devices")
	set(t, g, "cpu.max=50000 100000")
	_, err := trySet(t, below, "cpu.max=60000 100000")
	refusedWith(t, err, unix.EINVAL, "0.6 CPUs", g.Path()+" above it has 0.5")
	set(t, below, "cpu.max=40000 100000")
	_, err = trySet(t, g, "cpu.cfs_quota_us=30000")
	refusedWith(t, err, unix.EINVAL, "0.3 CPUs", below.Path()+" below it has 0.4")
	t.Run("burst", func(t *testing.T) {
		testkit.RequireKernel(t, 5, 14)
		_, err := trySet(t, g, "cpu.max.burst=60000")
		refusedWith(t, err, unix.EINVAL, "larger than the quota, 50000")
	})
	t.Run("idle", func(t *testing.T) {
		testkit.RequireKernel(t, 5, 15)
		set(t, below, "cpu.idle=1")
		_, err := trySet(t, below, "cpu.weight=200")
		refusedWith(t, err, unix.EINVAL, "cpu.idle is 1")
	})
	if h := hierarchyOf(t, fs, "cpu"); h.has(g.path, "cpu.rt_runtime_us") { // CONFIG_RT_GROUP_SCHED
		_, err = trySet(t, g, "cpu.rt_runtime_us=2000000")
		refusedWith(t, err, unix.EINVAL, "realtime time is shared out")
	}

	set(t, g, "memory.limit_in_bytes=64M", "memory.memsw.limit_in_bytes=64M")
	_, err = trySet(t, g, "memory.limit_in_bytes=128M")
	refusedWith(t, err, unix.EINVAL, "memory.memsw.limit_in_bytes is 64M")
	_, err = trySet(t, g, "memory.memsw.limit_in_bytes=32M")
	refusedWith(t, err, unix.EINVAL, "memory.limit_in_bytes is 64M")
	// Both at once are put in order, up and down.
	set(t, g, "memory.limit_in_bytes=128M", "memory.memsw.limit_in_bytes=256M")
	set(t, g, "memory.memsw.limit_in_bytes=32M", "memory.limit_in_bytes=16M")

	_, err = trySet(t, g, "memory.maxx=1")
	refusedWith(t, err, unix.ENOENT, "no file of that name")
	_, err = trySet(t, g, "memory.limit_in_byte=1")
	refusedWith(t, err, unix.ENOENT, "did you mean memory.limit_in_bytes?")
	_, err = trySet(t, g, "blkio.throttle.read_bps_device=254:0 1M")
	refusedWith(t, err, unix.ENOENT, "not in v1 blkio")
	helps(t, err, VerbCreate, g.Path(), "blkio")
	_, err = trySet(t, g, "memory.soft_limit_in_bytes=1M")
	if err != nil {
		t.Error(err)
	}
	for _, key := range []string{"cgroup.procs", "tasks", "release_agent", "cgroup.kill"} {
		_, err = trySet(t, g, key+"=1")
		refusedWith(t, err, unix.EPERM, "no limit")
	}

	set(t, g, "devices.deny=c 1:7 rwm")
	_, err = trySet(t, below, "devices.allow=c 1:7 rwm")
	refusedWith(t, err, unix.EPERM, "the group above allows everything but")
	_, err = trySet(t, g, "devices.allow=nonsense")
	refusedWith(t, err, unix.EINVAL, "TYPE MAJOR:MINOR")
	_, err = trySet(t, g, "devices.deny=a")
	refusedWith(t, err, unix.EINVAL, "has groups below")
}

// A later write that fails puts the earlier ones back.
func TestSetUndone(t *testing.T) {
	fs := openFS(t)
	for _, c := range []string{"cpu", "memory", "pids", "cpuset"} {
		testkit.RequireCgroup1(t, c)
	}
	g := made(t, fs, "cpu", "memory", "pids", "cpuset")
	set(t, g, "cpu.max=20000 50000", "memory.max=32M", "pids.max=5", "cpuset.cpus=0")
	before, err := g.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limitsOf := func(values []KeyValue) (list []string) {
		for _, v := range values {
			if strings.Contains(v.Key, "limit_in") || strings.Contains(v.Key, "cfs_") || v.Key == "pids.max" || v.Key == "cpuset.cpus" {
				list = append(list, v.File+"="+v.Value)
			}
		}
		return list
	}
	_, err = trySet(t, g, "cpu.max=10000 20000", "memory.max=64M", "memory.swap.max=1G", "pids.max=max", "cpuset.cpus=0-1", "cpuset.mems=900")
	refusedWith(t, err, unix.EINVAL, "cpuset.mems")
	after, err := g.Get(t.Context())
	if err != nil || !slices.Equal(limitsOf(before), limitsOf(after)) {
		t.Errorf("%v\nbefore %q\nafter  %q", err, limitsOf(before), limitsOf(after))
	}
}

func TestHugetlbOnV2(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	testkit.Require(t, slices.Contains(v2.Controllers, "hugetlb"), "needs hugetlb on v2")
	g := made(t, fs)
	// Unless somebody else has it enabled at the root.
	if !strings.Contains(get(t, g, "cgroup.controllers"), "hugetlb") {
		_, err := trySet(t, g, "hugetlb.2MB.max=64M")
		refusedFor(t, err, unix.ENOENT, ErrNotEnabled, "hugetlb is not enabled for the children of /")
		helps(t, err, VerbCreate, g.Path(), "hugetlb")
	}
	create(t, g, "hugetlb")
	set(t, g, "hugetlb.2MB.limit_in_bytes=64M")
	if got := get(t, g, "hugetlb.2MB.max"); got != "67108864" {
		t.Errorf("hugetlb.2MB.max %s", got)
	}
}

func TestOwners(t *testing.T) {
	fs := openFS(t)
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, tc := range []struct{ path, kind, name, command string }{
		{"/", "root", "", ""},
		{"/demo", "", "", ""},
		{"/system.slice/nginx.service", "systemd", "nginx.service", "systemctl set-property nginx.service"},
		{"/system.slice", "systemd", "system.slice", "systemctl set-property system.slice"},
		{"/init.scope", "systemd", "init.scope", "systemctl"},
		{"/system.slice/demo", "", "", ""},
		{"/machine.slice/x.service/payload", "systemd", "x.service", "systemctl"},
		{"/user.slice/user-1.slice/user@1.service/app.slice/a.scope", "systemd", "a.scope", "systemctl --user"},
		{"/docker/" + hex, "docker", hex, "docker update --memory … --cpus … 0123456789ab"},
		{"/system.slice/docker-" + hex + ".scope", "docker", hex, "docker update"},
		{"/machine.slice/libpod-" + hex + ".scope/container", "podman", hex, "podman update"},
		{"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + hex + ".scope", "containerd", hex, "crictl update"},
		{"/kubepods/burstable/pod1", "kubernetes", "kubepods", "kubectl"},
		{"/lxc.payload.web/x", "lxc", "web", "lxc-cgroup -n web"},
	} {
		g := &Group{fs: fs, path: tc.path}
		o := g.Owner()
		if o.Kind != tc.kind || o.Name != tc.name || !strings.HasPrefix(o.Command, tc.command) {
			t.Errorf("%s: %+v", tc.path, o)
		}
		err := g.guard("change "+tc.path, VerbSet)
		if tc.kind == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refusedFor(t, err, unix.EPERM, ErrOwned, tc.command)
		if err := g.Forced().guard("x", VerbSet); err != nil {
			t.Error(err)
		}
	}
}

// What lies below a delegated unit is anybody's; the unit itself stays systemd's,
// and so does one that is not delegated, with all below.
func TestDelegatedUnit(t *testing.T) {
	fs := openFS(t)
	unit := child(t, made(t, fs), "own.service")
	below, err := fs.Group(unit.path + "/work")
	if err != nil {
		t.Fatal(err)
	}
	_, err = below.Create(t.Context(), CreateOptions{})
	refusedFor(t, err, unix.EPERM, ErrOwned, "systemd unit own.service")
	for _, h := range fs.with(unit.path) {
		if err := unix.Setxattr(h.Dir(unit.path), "trusted.delegate", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	create(t, below)
	refusedWith(t, unit.guard("change it", VerbSet), unix.EPERM, "systemd unit own.service")
	if o := below.Owner(); o.Kind != "" {
		t.Errorf("below it %+v", o)
	}
}

// systemd makes its units in no hierarchy that can freeze, on v1. To advise to make
// it there is wrong while freezing is refused anyway.
func TestFreezeMindsTheOwnerFirst(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "pids")
	unit, err := fs.Group(newGroup(t, fs).path + "/own.service")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := fs.controller("pids")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(pids.Dir(unit.path), 0o755); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, unit.Freeze(t.Context()), unix.EPERM, "systemctl freeze own.service")
	refusedWith(t, unit.Forced().Freeze(t.Context()), unix.EOPNOTSUPP, "make it there too")
}

// A paused container goes on by its runtime's own word.
func TestFrozenGroupsOfOthers(t *testing.T) {
	fs := openFS(t)
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, tc := range []struct{ path, freeze, thaw string }{
		{"/libpod_parent/libpod-" + hex, "podman pause 0123456789ab", "podman unpause 0123456789ab"},
		{"/docker/" + hex, "docker pause 0123456789ab", "docker unpause 0123456789ab"},
		{"/system.slice/nginx.service", "systemctl freeze nginx.service", "systemctl thaw nginx.service"},
		{"/kubepods.slice/cri-containerd-" + hex + ".scope", "tasks pause " + hex, "tasks resume " + hex},
		{"/lxc.payload.web", "lxc-freeze -n web", "lxc-unfreeze -n web"},
		{"/kubepods/burstable/pod1", "it belongs to kubernetes", ""},
	} {
		g := &Group{fs: fs, path: tc.path}
		refusedWith(t, g.guard("freeze "+tc.path, VerbFreeze), unix.EPERM, tc.freeze)
		refusedWith(t, g.guard("thaw "+tc.path, VerbThaw), unix.EPERM, tc.thaw)
		e := &Error{}
		fs.thawing(e, "thaw it", tc.path)
		if !strings.HasSuffix(e.Command, tc.thaw) || e.Remedy.Forced != (tc.thaw != "") || (e.Owner.Kind != "") != (tc.thaw != "") {
			t.Errorf("%s: %+v, want %q", tc.path, e, tc.thaw)
		}
		thaws(t, e, tc.path)
	}
	e := &Error{}
	if fs.thawing(e, "thaw it", "/demo"); e.Next != "thaw it" || e.Remedy.Forced || e.Command != "" {
		t.Errorf("a group of nobody's: %+v", e)
	}
}

func TestOwnGroupIsGuarded(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "pids")
	g := made(t, fs, "pids")
	e, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	// A sleeper stands in for the caller; the caller itself stays out.
	if o := g.Owner(); o.Kind != "" {
		t.Errorf("owner %+v", o)
	}
	memberships, err := fs.Memberships(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range memberships {
		if m.Path != "/" {
			own := &Group{fs: fs, path: m.Path}
			refusedWith(t, own.guard("kill "+m.Path, VerbKill), unix.EPERM, "the caller's own group")
			return
		}
	}
}

// A busy loop held at a fifth of a CPU uses that much.
func TestBusyLoopIsHeld(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "cpu", "cpuacct")
	g := newGroup(t, fs)
	fifth, _ := keys.ParseCPUs("0.2")
	if _, err := g.Create(t.Context(), CreateOptions{Controllers: []string{"cpuacct"}, Limits: Limits{CPU: &fifth}}); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "loop")
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	before, err := g.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	time.Sleep(2 * time.Second)
	after, _ := g.Stat(t.Context())
	for number(after.CPU.Throttled) == 0 && time.Since(begin) < 20*time.Second {
		time.Sleep(100 * time.Millisecond) // others take so much that it seldom comes to that
		after, _ = g.Stat(t.Context())
	}
	used := float64(number(after.CPU.UsageUsec)-number(before.CPU.UsageUsec)) / float64(time.Since(begin).Microseconds())
	t.Logf("used %.3f CPUs, throttled %d of %d periods", used, number(after.CPU.Throttled), number(after.CPU.Periods))
	// Other work on the machine may take from it, nothing may add to it. But the
	// time of an emulated processor goes on while it waits for a real one.
	most := 0.23
	if os.Getenv(testkit.SlowEnv) != "" {
		most = 0.5
	}
	if used > most || used == 0 || number(after.CPU.Throttled) == 0 {
		t.Errorf("used %.3f CPUs", used)
	}
	wantBound(t, g, "cpu", "0.2 by "+g.Path())
	if err := g.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

func TestAllocationIsKilled(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "memory")
	g := newGroup(t, fs)
	memory, swap := int64(64<<20), int64(0)
	if _, err := g.Create(t.Context(), CreateOptions{Limits: Limits{Memory: &memory, Swap: &swap}}); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "allocate")
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it was not killed: %v", cmd.ProcessState)
	}
	s, err := g.Stat(t.Context())
	if err != nil || s.Memory == nil || number(s.Memory.OOMKills) < 1 || number(s.Memory.LimitBytes) != memory || number(s.Memory.SwapLimitBytes) != 0 {
		t.Errorf("stat %+v, %v", s.Memory, err)
	}
}

func TestForkBeyondPidsMax(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids")
	g := newGroup(t, fs)
	limit := int64(14)
	if _, err := g.Create(t.Context(), CreateOptions{Limits: Limits{PIDs: &limit}}); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "fork")
	out := new(strings.Builder)
	cmd.Stdout = out
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !strings.Contains(out.String(), "true") {
		t.Errorf("no fork failed with EAGAIN: %q", out)
	}
	s, err := g.Stat(t.Context())
	if err != nil || s.PIDs == nil || number(s.PIDs.MaxEvents) < 1 || number(s.PIDs.Limit) != limit {
		t.Errorf("stat %+v, %v", s.PIDs, err)
	}
	set(t, g, "pids.max=0")
	refusedWith(t, g.Start(helperCommand(t, "sleep")), unix.EAGAIN, "of at most 0 processes")
}

// Nothing that forks escapes.
func TestKillWhileForking(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	killForking(t, fs, "pids")
	killForking(t, fs, "pids", "freezer")
}

func killForking(t *testing.T, fs *FS, controllers ...string) {
	t.Helper()
	g := newGroup(t, fs)
	limit := int64(60)
	if _, err := g.Create(t.Context(), CreateOptions{Controllers: controllers, Limits: Limits{PIDs: &limit}}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "f() { for i in 1 2 3; do (f) & done; sleep 0.01; }; while :; do f; done")
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	members, err := g.Members(t.Context())
	if err != nil || len(members.Processes) != 0 {
		t.Errorf("left: %+v, %v", members, err)
	}
	_ = cmd.Wait()
	if err := g.Remove(t.Context(), true); err != nil {
		t.Error(err)
	}
}

// A command is born in every hierarchy, and the caller's threads stay out.
func TestStart(t *testing.T) {
	testkit.CheckLeaks(t)
	fs := openFS(t)
	for _, c := range []string{"memory", "pids", "devices"} {
		testkit.RequireCgroup1(t, c)
	}
	g := made(t, fs, "memory", "pids", "devices")
	set(t, g, "devices.deny=c 1:3 rwm") // not even /dev/null
	out := new(strings.Builder)
	cmd := exec.Command("/bin/cat", "/proc/self/cgroup")
	cmd.Stdout = out
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	memberships, err := ParseMemberships([]byte(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range g.Hierarchies() {
		i := slices.IndexFunc(memberships, func(m Membership) bool { return h.Holds(m) })
		if i < 0 || memberships[i].Path != g.Path() {
			t.Errorf("%s: %+v", h, memberships)
		}
	}
	members, err := g.Members(t.Context())
	if err != nil || len(members.Threads) != 0 {
		t.Errorf("left inside: %+v, %v", members, err)
	}
	err = g.Start(exec.Command("/no/such/program"))
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing program: %v", err)
	}
	p := sleeper(t)
	if err := g.Attach(t.Context(), p.PID); err != nil {
		t.Fatal(err)
	}
	at, err := fs.Memberships(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	e, err := fs.OpenOf(at)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	sleep := helperCommand(t, "sleep")
	if err := e.Start(sleep); err != nil {
		t.Fatal(err)
	}
	now, err := fs.Memberships(sleep.Process.Pid)
	if err != nil || fmt.Sprint(now) != fmt.Sprint(at) {
		t.Errorf("%v, want %v, %v", now, at, err)
	}
	_ = sleep.Process.Kill()
	_ = sleep.Wait()
}
