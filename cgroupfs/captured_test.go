package cgroupfs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// layout opens testdata/NAME.txtar, a machine of another kind.
func layout(t *testing.T, name string) (fs *FS, root string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	root = testkit.Tree(t, files)
	if fs, err = Open(Options{Root: root}); err != nil {
		t.Fatal(err)
	}
	return fs, root
}

func groupIn(t *testing.T, fs *FS, path string) *Group {
	t.Helper()
	g, err := fs.Group(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func statIn(t *testing.T, fs *FS, path string) Stat {
	t.Helper()
	s, err := groupIn(t, fs, path).Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// limitsOf spells what binds a process: "memory 512 of 1024 by /demo".
func limitsOf(t *testing.T, fs *FS, pid int) map[string]string {
	t.Helper()
	memberships, err := fs.Memberships(pid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.EffectiveOf(t.Context(), memberships)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	for _, e := range b.Limits {
		words[e.Resource] = bound(e)
	}
	return words
}

// bound spells a limit: "512 of 1024 by /demo", "at most 512 of 1024 by /demo".
func bound(e Effective) string {
	limit, limited := e.Limit.Get()
	usage, used := e.Usage.Get()
	atMost := ""
	if !e.Known {
		atMost = "at most "
	}
	switch {
	case e.List != nil:
		return atMost + *e.List + " by " + e.Group
	case !limited && !e.Known:
		return "?"
	case !limited:
		return "none"
	case !used:
		return fmt.Sprintf("%s%g by %s", atMost, limit, e.Group)
	}
	return fmt.Sprintf("%s%.0f of %.0f by %s", atMost, usage, limit, e.Group)
}

// wantBound asks for one resource of a group.
func wantBound(t *testing.T, g *Group, resource, want string) {
	t.Helper()
	b, err := g.Effective(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(b.Limits, func(e Effective) bool { return e.Resource == resource })
	switch {
	case i < 0 && want != "":
		t.Errorf("%s has no limit of %s, want %q", g.Path(), resource, want)
	case i >= 0 && bound(b.Limits[i]) != want:
		t.Errorf("%s of %s is bound to %q, want %q", resource, g.Path(), bound(b.Limits[i]), want)
	}
}

func wantLimits(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for resource, limit := range want {
		if got[resource] != limit {
			t.Errorf("%s is bound to %q, want %q", resource, got[resource], limit)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// number is -1 for none, -2 for what is not known.
func number(v Value[int64]) int64 {
	n, ok := v.Get()
	switch {
	case v.Err() != nil:
		return -2
	case !ok:
		return -1
	}
	return n
}

func TestLayoutV2Systemd(t *testing.T) {
	fs, root := layout(t, "v2-systemd")
	info, err := fs.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode != "v2" || info.Manager != "systemd" || len(info.Controllers) != 8 || !slices.Contains(info.Features, "nsdelegate") {
		t.Errorf("%+v", info)
	}
	for _, c := range info.Controllers {
		want := map[string]string{"memory": "/ /system.slice", "cpuset": "/", "hugetlb": ""}
		if at, ok := want[c.Name]; ok && strings.Join(c.EnabledAt, " ") != at {
			t.Errorf("%s is enabled at %v", c.Name, c.EnabledAt)
		}
	}
	wantLimits(t, limitsOf(t, fs, 812), map[string]string{
		"memory": "61415424 of 536870912 by /system.slice/nginx.service", "memory.high": "1287651328 of 8589934592 by /system.slice",
		"swap": "0 of 0 by /system.slice/nginx.service", "pids": "2 of 4915 by /system.slice/nginx.service", "cpu": "1.5 by /system.slice/nginx.service",
		"cpuset.cpus": "0-7 by /", "io": "none",
	})
	s := statIn(t, fs, root+"/sys/fs/cgroup/system.slice/nginx.service")
	if number(s.CPU.UsageUsec) != 29381000 || number(s.CPU.Throttled) != 12 || number(s.Dying) != 2 || number(s.Memory.PeakBytes) != 90177536 ||
		number(s.Memory.OOMKills) != 1 || number(s.Memory.MaxEvents) != 31 || number(s.Memory.SwapLimitBytes) != 0 || number(s.Memory.KernelBytes) != 4788224 ||
		number(s.PIDs.Current) != 2 || !s.PIDs.Peak.IsNone() || s.Pressure.Memory.Full.TotalUsec != 800000 || s.Pressure.IO != nil || !*s.Populated || *s.Frozen {
		t.Errorf("%+v", s)
	}
	// A disk without any traffic yet has a line without numbers, and no row.
	if len(s.IO) != 1 || number(s.IO[0].ReadOps) != 301 {
		t.Errorf("%+v", s.IO)
	}
	nginx := groupIn(t, fs, "/system.slice/nginx.service")
	if o := nginx.Owner(); o.Kind != "systemd" || o.Name != "nginx.service" {
		t.Errorf("%+v", o)
	}
	_, err = trySet(t, nginx, "memory.max=1G")
	refusedWith(t, err, unix.EPERM, "systemctl set-property nginx.service")
}

func TestLayoutV1(t *testing.T) {
	fs, _ := layout(t, "v1-rhel7")
	if fs.Mode() != "v1" {
		t.Error(fs.Mode())
	}
	cpu, err := fs.Controller("cpu")
	if err != nil || cpu.Number != 4 || !slices.Equal(cpu.Controllers, []string{"cpu", "cpuacct"}) {
		t.Errorf("%+v, %v", cpu, err)
	}
	if h, err := fs.Controller("net_prio"); err != nil || h.label() != "net_cls,net_prio" || h.Number != 3 {
		t.Errorf("%+v, %v", h, err)
	}
	// Each hierarchy has the process elsewhere.
	wantLimits(t, limitsOf(t, fs, 914), map[string]string{
		"cpu": "0.5 by /system.slice", "memory": "6000000 of 1073741824 by /system.slice/sshd.service",
		"memory+swap": "7000000 of 1610612736 by /system.slice/sshd.service", "pids": "none", "io": "none",
	})
	s := statIn(t, fs, "/system.slice/sshd.service")
	if number(s.CPU.UsageUsec) != 5000000 || number(s.CPU.ThrottledUsec) != 7000 || number(s.Memory.AnonBytes) != 3000000 || number(s.Memory.SwapBytes) != 4096 ||
		number(s.Memory.SwapLimitBytes) != 512<<20 || number(s.Memory.MaxEvents) != 13 || number(s.Memory.OOMKills) != 2 || s.Pressure != nil || !*s.Populated {
		t.Errorf("%+v %+v", s, s.Memory)
	}
	if io := statIn(t, fs, "/system.slice").IO; len(io) != 1 || number(io[0].WriteBytes) != 8192 {
		t.Errorf("%+v", io)
	}
	got, err := groupIn(t, fs, "/system.slice/sshd.service").Get(t.Context(), "cpu.weight", "memory.swap.max", "cpu.max")
	if err != nil || got[0].Value != "200" || got[1].Value != "536870912" || got[2].Value != "max 100000" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLayoutHybrid(t *testing.T) {
	fs, _ := layout(t, "hybrid-systemd")
	if fs.Mode() != "hybrid" || len(fs.v2().Controllers) != 0 {
		t.Errorf("%s, %+v", fs.Mode(), fs.v2())
	}
	wantLimits(t, limitsOf(t, fs, 700), map[string]string{"cpu": "none", "memory": "1073741824 of 2147483648 by /user.slice"})
	// One name over all hierarchies: the session is in two of them.
	session := groupIn(t, fs, "/user.slice/user-1000.slice/session-3.scope")
	if list := session.Hierarchies(); len(list) != 2 || list[0].Name != "systemd" || list[1].Version != 2 {
		t.Errorf("%v", list)
	}
	if frozen, err := session.Frozen(); !frozen || err != nil {
		t.Errorf("frozen %v, %v", frozen, err)
	}
	seen := map[string]Summary{}
	if err := groupIn(t, fs, "/").Walk(t.Context(), func(s Summary) error { seen[s.Group.Path()] = s; return nil }); err != nil {
		t.Fatal(err)
	}
	user, scope := seen["/user.slice"], seen[session.Path()]
	if len(seen) != 4 || number(user.MemoryLimit) != 2<<30 || len(user.Hierarchies) != 3 || !scope.MemoryBytes.IsNone() || scope.Frozen == nil || !*scope.Frozen {
		t.Errorf("%+v", seen)
	}
	// memory has it in /user.slice, where v2 and systemd do not.
	if !slices.Equal(user.Members.Elsewhere, []int{700}) || len(scope.Members.Elsewhere) != 0 {
		t.Errorf("%+v, %+v", user.Members, scope.Members)
	}
}

func TestLayoutContainerV1(t *testing.T) {
	fs, root := layout(t, "container-v1")
	for _, h := range fs.Hierarchies() {
		if !h.ReadOnly || h.MountRoot != "/docker/4f9a" {
			t.Errorf("%+v", h)
		}
	}
	// The groups above are not to be seen, and are not taken for the mount point.
	wantLimits(t, limitsOf(t, fs, 1), map[string]string{"memory": "at most 1048576 of 268435456 by /docker/4f9a", "cpu": "at most 0.5 by /docker/4f9a"})
	g := groupIn(t, fs, root+"/sys/fs/cgroup/memory")
	if g.Path() != "/docker/4f9a" {
		t.Error(g.Path())
	}
	_, err := groupIn(t, fs, "/").Stat(t.Context())
	refusedWith(t, err, unix.ENOENT, "only /docker/4f9a and what is below it is mounted here")
	if tops := fs.Tops(); len(tops) != 1 || tops[0].Path() != "/docker/4f9a" {
		t.Errorf("begins at %v", tops)
	}
}

func TestLayoutContainerV2(t *testing.T) {
	fs, _ := layout(t, "container-v2")
	// Above the root of its namespace there may be more: a pod, for one.
	wantLimits(t, limitsOf(t, fs, 1), map[string]string{
		"memory": "at most 1048576 of 268435456 by /", "cpu": "at most 0.5 by /", "pids": "at most 3 of 100 by /", "memory.high": "?", "swap": "?",
	})
	if s := statIn(t, fs, "/"); number(s.Memory.LimitBytes) != 256<<20 || *s.Frozen {
		t.Errorf("%+v", s)
	}
	err := groupIn(t, fs, "/").Walk(t.Context(), func(s Summary) error {
		if number(s.PIDsLimit) != 100 || s.Frozen == nil {
			t.Errorf("%+v", s)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	memberships, err := fs.Memberships(77)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fs.EffectiveOf(t.Context(), memberships)
	refusedWith(t, err, unix.EXDEV, "outside of this cgroup namespace", "/../exec.scope")
}

func TestLayoutOutside(t *testing.T) {
	fs, _ := layout(t, "outside")
	if fs.v2().Problem == "" {
		t.Errorf("%+v", fs.v2())
	}
	_, err := groupIn(t, fs, "/demo").Stat(t.Context())
	refusedWith(t, err, unix.ENOENT, "outside of this cgroup namespace")
}
