package cgroupfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// Mount tables as machines of other kinds have them.
const (
	tableV2 = `24 1 8:1 / / rw - ext4 /dev/sda1 rw
25 24 0:22 / /sys rw - sysfs sysfs rw
26 25 0:23 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	tableV1 = `24 1 8:1 / / rw - ext4 /dev/sda1 rw
25 24 0:22 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/systemd rw shared:8 - cgroup cgroup rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd
27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpuacct,cpu
28 25 0:25 / /odd/mem\040ory rw - cgroup cgroup rw,memory
`
	// A container without a cgroup namespace: only its own group is mounted.
	tableDocker = `600 500 0:50 / / rw - overlay overlay rw
601 600 0:51 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
602 601 0:24 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
603 601 0:25 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids
604 600 0:25 / /host/pids rw - cgroup cgroup rw,pids
`
	// A cgroup namespace that still sees its parent's mount.
	tableOutside = `24 1 8:1 / / rw - ext4 /dev/sda1 rw
26 24 0:23 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw
`
	// The first two are hidden: one by a mount on top, one by a tmpfs over its parent.
	tableCovered = `24 1 8:1 / / rw - ext4 /dev/sda1 rw
30 24 0:30 / /cg rw - tmpfs tmpfs rw
31 30 0:31 / /cg/cpu rw - cgroup cgroup rw,cpu
32 24 0:32 / /mem rw - cgroup cgroup rw,memory
33 30 0:33 / /cg rw - tmpfs tmpfs rw
34 32 0:34 / /mem rw - cgroup cgroup rw,pids
35 24 0:35 / /net rw - cgroup cgroup rw,noprefix,net_cls
`
)

func TestParseHierarchies(t *testing.T) {
	for _, tc := range []struct{ name, table, want string }{
		{"v2", tableV2, "v2 at /sys/fs/cgroup"},
		{"v1", tableV1, "v1 name=systemd at /sys/fs/cgroup/systemd; v1 cpu,cpuacct at /sys/fs/cgroup/cpu,cpuacct; v1 memory at /odd/mem ory"},
		{"docker", tableDocker, "v1 memory at /sys/fs/cgroup/memory /docker/abc ro; v1 pids at /host/pids"},
		{"outside", tableOutside, "v2 at /sys/fs/cgroup /../.. bad"},
		{"covered", tableCovered, "v1 pids at /mem; v1 net_cls at /net bad"},
		{"none", "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n", ""},
	} {
		list, err := parseHierarchies(tc.table, "/")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		var words []string
		for _, h := range list {
			word := h.String()
			if h.MountRoot != "/" {
				word += " " + h.MountRoot
			}
			if h.ReadOnly {
				word += " ro"
			}
			if h.Problem != "" {
				word += " bad"
			}
			words = append(words, word)
		}
		if got := strings.Join(words, "; "); got != tc.want {
			t.Errorf("%s: %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func FuzzParseHierarchies(f *testing.F) {
	for _, table := range []string{tableV2, tableV1, tableDocker, tableOutside, tableCovered} {
		f.Add(table)
	}
	f.Fuzz(func(t *testing.T, table string) {
		list, err := parseHierarchies(table, "/")
		if err != nil {
			return
		}
		for _, h := range list {
			if !strings.HasPrefix(h.Mount, "/") || h.Version != 1 && h.Version != 2 {
				t.Errorf("%+v", h)
			}
		}
	})
}

func TestParseGroupPath(t *testing.T) {
	for word, want := range map[string]string{
		"/": "/", "/demo/web": "/demo/web", "demo": "/demo", "/a/b/": "/a/b", "/./a": "/a", "/a b:c\\": "/a b:c\\", "/./": "/", "/...": "/...",
	} {
		if got, err := ParseGroupPath(word); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", word, got, err, want)
		}
	}
	for _, word := range []string{"", "..", "/a/../b", "/a/..", "/a\nb", "/a\x7f", "/\x00", "\x1b[2J", strings.Repeat("a", 256), strings.Repeat("/a", 2100)} {
		if got, err := ParseGroupPath(word); err == nil {
			t.Errorf("%q: %q, want an error", word, got)
		}
	}
	fs := &FS{hierarchies: []Hierarchy{
		{Version: 1, Mount: "/sys/fs/cgroup/memory", MountRoot: "/", Controllers: []string{"memory"}},
		{Version: 1, Mount: "/sys/fs/cgroup/pids", MountRoot: "/docker/abc", Controllers: []string{"pids"}},
	}}
	for word, want := range map[string]string{
		"/sys/fs/cgroup/memory/demo": "/demo", "/sys/fs/cgroup/memory": "/", "/sys/fs/cgroup/pids/x": "/docker/abc/x", "/demo": "/demo",
	} {
		if got, err := fs.ParseGroupPath(word); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", word, got, err, want)
		}
	}
	for _, word := range []string{"/sys/fs/cgroup/cpu/demo", "/sys/fs/cgroup"} {
		_, err := fs.ParseGroupPath(word)
		refusedWith(t, err, unix.EINVAL, "no cgroup hierarchy is mounted there")
	}
}

func FuzzParseGroupPath(f *testing.F) {
	f.Add("/demo/../web")
	f.Fuzz(func(t *testing.T, word string) {
		group, err := ParseGroupPath(word)
		if err != nil {
			return
		}
		again, err := ParseGroupPath(group)
		if err != nil || again != group || !strings.HasPrefix(group, "/") || slices.Contains(strings.Split(group, "/"), "..") {
			t.Errorf("%q gave %q, again %q, %v", word, group, again, err)
		}
	})
}

// A captured tree of another machine, pure v2, serves for all that reads, and
// for planning.
func TestCapturedV2(t *testing.T) {
	root := testkit.Tree(t, map[string]string{
		"proc/1/mountinfo":                                    tableV2,
		"proc/1/cgroup":                                       "0::/init.scope\n",
		"sys/fs/cgroup/cgroup.controllers":                    "cpuset cpu io memory pids\n",
		"sys/fs/cgroup/cgroup.subtree_control":                "cpu memory pids\n",
		"sys/fs/cgroup/demo/cgroup.controllers":               "cpu memory pids\n",
		"sys/fs/cgroup/demo/cgroup.subtree_control":           "memory\n",
		"sys/fs/cgroup/demo/cgroup.procs":                     "",
		"sys/fs/cgroup/demo/cgroup.threads":                   "",
		"sys/fs/cgroup/demo/cgroup.events":                    "populated 1\nfrozen 0\n",
		"sys/fs/cgroup/demo/cpu.max":                          "50000 100000\n",
		"sys/fs/cgroup/demo/cpu.weight":                       "100\n",
		"sys/fs/cgroup/demo/memory.max":                       "1073741824\n",
		"sys/fs/cgroup/demo/memory.current":                   "1000000000\n",
		"sys/fs/cgroup/demo/memory.swap.max":                  "max\n",
		"sys/fs/cgroup/demo/web/cgroup.procs":                 "4242\n",
		"sys/fs/cgroup/demo/web/cgroup.threads":               "4242\n",
		"sys/fs/cgroup/demo/web/cgroup.controllers":           "memory\n",
		"sys/fs/cgroup/demo/web/memory.max":                   "2147483648\n",
		"sys/fs/cgroup/demo/web/memory.current":               "104857600\n",
		"sys/fs/cgroup/demo/web/memory.stat":                  "anon 4096\nfile 8192\nkernel 100\nshmem 0\n",
		"sys/fs/cgroup/demo/web/memory.events":                "low 0\nhigh 3\nmax 2\noom 1\noom_kill 1\n",
		"sys/fs/cgroup/demo/web/io.stat":                      "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
		"sys/fs/cgroup/demo/web/cpu.stat":                     "usage_usec 5\nuser_usec 3\nsystem_usec 2\n",
		"sys/fs/cgroup/demo/web/memory.pressure":              "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\n",
		"sys/fs/cgroup/demo/web/escape -> ../../../../../etc": "",
		"sys/fs/cgroup/demo/web/deep/cgroup.procs":            "",
	})
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if fs.Mode() != "v2" || !slices.Equal(fs.Controllers(), []string{"cpu", "cpuset", "io", "memory", "pids"}) {
		t.Errorf("%s %v", fs.Mode(), fs.Controllers())
	}
	g, err := fs.Group("/demo/web")
	if err != nil {
		t.Fatal(err)
	}
	s, err := g.Stat(t.Context())
	if err != nil || number(s.Memory.HighEvents) != 3 || number(s.Memory.OOMKills) != 1 || number(s.Memory.AnonBytes) != 4096 || number(s.IO[0].WriteBytes) != 20 ||
		number(s.CPU.UserUsec) != 3 || !s.CPU.Periods.IsNone() || s.Pressure.Memory.Some.TotalUsec != 9 || s.PIDs != nil {
		t.Errorf("%+v, %v", s, err)
	}
	wantBound(t, g, "memory", "1000000000 of 1073741824 by /demo")
	wantBound(t, g, "cpu", "0.5 by /demo")
	// No controller is enabled for the last of them; those above bind it.
	deep := groupIn(t, fs, "/demo/web/deep")
	wantBound(t, deep, "memory", "1000000000 of 1073741824 by /demo")
	wantBound(t, deep, "pids", "none")
	demo := g.Parent()
	shares, err := demo.Get(t.Context(), "cpu.shares", "cpu.cfs_quota_us", "memory.memsw.limit_in_bytes")
	if err != nil || shares[0].Value != "1024" || shares[1].Value != "50000" || shares[2].Value != "-1" {
		t.Errorf("%+v, %v", shares, err)
	}
	_, err = trySet(t, demo, "memory.limit_in_bytes=512M")
	refusedFor(t, err, unix.EBUSY, ErrWouldKill, "uses", "would kill", "memory.high")
	if _, err := trySet(t, demo.Forced(), "memory.limit_in_bytes=512M"); err != nil {
		t.Error(err)
	}
	_, err = trySet(t, g, "cpu.max=1000")
	refusedWith(t, err, unix.ENOENT, "cpu is not enabled for the children of /demo")
	p, err := (&Group{fs: fs, path: "/demo/x"}).PlanCreate(t.Context(), CreateOptions{Limits: Limits{Settings: []keys.Setting{{Key: "cpu.shares", Value: "2048"}}}})
	want := "/demo/cgroup.subtree_control ← +cpu\nmkdir " + root + "/sys/fs/cgroup/demo/x\n" + root + "/sys/fs/cgroup/demo/x/cpu.weight ← 200"
	if err != nil || !strings.HasSuffix(p.String(), want) {
		t.Errorf("plan %s\n%v", p, err)
	}
	// Nothing leads out of the hierarchy.
	if fs.v2().has("/demo/web/escape", "") {
		t.Error("a symbolic link is followed")
	}
	// Its PIDs are not ours.
	refusedWith(t, g.Attach(t.Context(), os.Getpid()), unix.EXDEV, "not those of this PID namespace")
}

func TestOutsideOfNamespaceIsRefused(t *testing.T) {
	root := testkit.Tree(t, map[string]string{"proc/1/mountinfo": tableOutside, "sys/fs/cgroup/demo/": ""})
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	g, err := fs.Group("/demo")
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Stat(t.Context())
	refusedWith(t, err, unix.ENOENT, "outside of this cgroup namespace")
	_, err = Open(Options{Root: testkit.Tree(t, map[string]string{"proc/1/mountinfo": "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"})})
	if err == nil || !strings.Contains(err.Error(), "no cgroup file system is mounted") {
		t.Error(err)
	}
}

// The same on this machine, by the kernel's own table.
func TestInNewCgroupNamespace(t *testing.T) {
	testkit.RequireCgroup2(t)
	fs := openFS(t)
	g := made(t, fs)
	testkit.RequireNS(t, "cgroup", "mnt")
	cmd := exec.Command(testkit.RequireProgram(t, "unshare"), "-C", "cat", "/proc/self/mountinfo")
	out := new(strings.Builder)
	cmd.Stdout = out
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	list, err := parseHierarchies(out.String(), "/")
	if err != nil {
		t.Fatal(err)
	}
	if v2 := list[len(list)-1]; v2.Version != 2 || v2.Problem == "" {
		t.Errorf("%+v", v2)
	}
}

func TestReadOnlyMount(t *testing.T) {
	testkit.RequireCgroup2(t)
	fs := openFS(t)
	g := made(t, fs)
	// A read-only mount of it beside the other, in a mount namespace of its own.
	dir := t.TempDir()
	script := `mount --make-rprivate / && mount -t cgroup2 -o ro none "$1" && exec cat /proc/self/mountinfo`
	testkit.RequireNS(t, "mnt")
	p := testkit.Start(t, testkit.Config{New: []string{"mnt"}})
	cmd := exec.Command(testkit.RequireProgram(t, "nsenter"), "-m", "-t", pidString(p.PID), "sh", "-c", script, "sh", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot mount: %v: %s", err, out)
	}
	root := filepath.Join(p.Path("root"), dir)
	other := &FS{root: "/", hierarchies: []Hierarchy{{Version: 2, Mount: root, MountRoot: "/", ReadOnly: true, Controllers: []string{}}}}
	og := &Group{fs: other, path: g.path}
	_, err := trySet(t, og, "cgroup.max.depth=3")
	refusedWith(t, err, unix.EROFS, "mounted read-only", "remount")
	_, err = (&Group{fs: other, path: g.path + "/x"}).Create(t.Context(), CreateOptions{})
	refusedWith(t, err, unix.EROFS, "mounted read-only")
}

const delegatedEnv = "NSX_CGROUP_DELEGATED"

// An ordinary user rules a v2 subtree that was given to him, and nothing else.
func TestDelegatedSubtree(t *testing.T) {
	if group := os.Getenv(delegatedEnv); group != "" {
		asDelegatedUser(t, group)
		return
	}
	fs := openFS(t)
	v2 := v2Of(t, fs)
	g := made(t, fs)
	home := child(t, g, "home")
	for _, at := range []*Group{g, home} {
		dir := v2.Dir(at.Path())
		for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
			if err := os.Chown(filepath.Join(dir, name), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestDelegatedSubtree$", "-test.v")
	cmd.Env = []string{delegatedEnv + "=" + g.Path(), "TMPDIR=/tmp"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := home.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Log(out)
}

func asDelegatedUser(t *testing.T, path string) {
	fs := openFS(t)
	web, err := fs.Group(path + "/web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.Create(t.Context(), CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	set(t, web, "cgroup.max.depth=3")
	cmd := helperCommand(t, "sleep")
	if err := web.Start(cmd); err != nil {
		t.Fatal(err)
	}
	home := &Group{fs: fs, path: path + "/home", force: true}
	if err := home.Attach(t.Context(), cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := web.Attach(t.Context(), cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := web.Freeze(t.Context()); err != nil {
		t.Error(err)
	}
	if err := web.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if err := web.Remove(t.Context(), false); err != nil {
		t.Error(err)
	}

	// What is not his.
	_, err = (&Group{fs: fs, path: path + "-other"}).Create(t.Context(), CreateOptions{})
	refusedWith(t, err, unix.EACCES, "belongs to uid 0", "this is uid 65534")
	refusedWith(t, home.Attach(t.Context(), 1), unix.EACCES, "the process is in /", "belongs to uid 0")
	root := (&Group{fs: fs, path: "/"}).Forced()
	refusedWith(t, root.Attach(t.Context(), os.Getpid()), unix.EACCES, "belongs to uid 0")
	refusedWith(t, root.Start(helperCommand(t, "sleep")), unix.EACCES, "uid 0")
	g := &Group{fs: fs, path: path, force: true}
	_, err = trySet(t, g, "cgroup.max.depth=3")
	refusedWith(t, err, unix.EACCES, "belongs to uid 0")
}
