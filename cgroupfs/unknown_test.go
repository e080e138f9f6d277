package cgroupfs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// mountV2 and mountV1 are mount tables of machines with one version alone.
const mountV2 = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n29 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

func mountV1(controllers ...string) string {
	var b strings.Builder
	b.WriteString("24 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
	for i, c := range controllers {
		number := string(rune('0' + i))
		b.WriteString("3" + number + " 24 0:3" + number + " / /sys/fs/cgroup/" + c + " rw - cgroup cgroup rw," + c + "\n")
	}
	return b.String()
}

// openTree opens a machine of the given files below sys/fs/cgroup.
func openTree(t *testing.T, mountinfo string, files map[string]string) *FS {
	t.Helper()
	all := map[string]string{"proc/1/mountinfo": mountinfo}
	for name, text := range files {
		if !strings.HasPrefix(name, "proc/") && !strings.HasPrefix(name, "sys/") {
			name = "sys/fs/cgroup/" + name
		}
		all[name] = text
	}
	fs, err := Open(Options{Root: testkit.Tree(t, all)})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// boundsOf spells all limits of a group, and those with gaps.
func boundsOf(t *testing.T, g *Group) (map[string]string, Binding) {
	t.Helper()
	b, err := g.Effective(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	for _, e := range b.Limits {
		words[e.Resource] = bound(e)
	}
	return words, b
}

// A limit that cannot be read, or not be understood, is not "no limit".
func TestUnknownIsNotNone(t *testing.T) {
	const dir = " (a directory)" // which cannot be read, not by root either
	usual := map[string]string{
		"cgroup.controllers": "cpu cpuset io memory pids\n", "cpuset.cpus.effective": "0-3\n",
		"a/memory.max": "1000\n", "a/memory.current": "100\n", "a/memory.high": "max\n", "a/memory.swap.max": "max\n",
		"a/pids.max": "max\n", "a/cpu.max": "max 100000\n", "a/io.max": "",
		"a/b/memory.max": "max\n", "a/b/memory.current": "10\n", "a/b/memory.high": "max\n", "a/b/memory.swap.max": "max\n",
		"a/b/pids.max": "20\n", "a/b/pids.current": "1\n", "a/b/cpu.max": "50000 100000\n", "a/b/io.max": "8:0 rbps=1000 wbps=max riops=max wiops=max\n",
	}
	for _, c := range []struct{ file, text, resource, want string }{
		{"a/b/memory.max", "max\n", "memory", "100 of 1000 by /a"}, // all is well
		{"a/b/memory.max", dir, "memory", "at most 100 of 1000 by /a"},
		{"a/b/memory.max", "abc\n", "memory", "at most 100 of 1000 by /a"},
		{"a/b/memory.max", "", "memory", "at most 100 of 1000 by /a"},
		{"a/b/memory.max", "-5\n", "memory", "at most 100 of 1000 by /a"},
		{"a/memory.max", "12 34\n", "memory", "?"},
		{"a/memory.max", dir, "memory", "?"},
		{"a/memory.current", dir, "memory", "at most 1000 by /a"},
		{"a/memory.high", dir, "memory.high", "?"},
		{"a/b/memory.swap.max", "none\n", "swap", "?"},
		{"a/pids.max", dir, "pids", "at most 1 of 20 by /a/b"},
		{"a/b/pids.max", dir, "pids", "?"},
		{"a/b/cpu.max", dir, "cpu", "?"},
		{"a/cpu.max", "fast\n", "cpu", "at most 0.5 by /a/b"},
		{"a/b/cpu.max", "50000\n", "cpu", "0.5 by /a/b"},
		{"a/b/cpu.max", "50000 100000 7\n", "cpu", "0.5 by /a/b"},
		{"a/b/cpu.max", "max\n", "cpu", "none"},
		{"a/b/cpu.max", "0 100000\n", "cpu", "?"},
		{"a/b/cpu.max", "50000 0\n", "cpu", "?"},
		{"a/b/cpu.max", "50000 x\n", "cpu", "?"},
		{"a/b/cpu.max", "", "cpu", "?"},
		{"a/b/io.max", "nonsense\n", "io", "?"},
		{"a/io.max", dir, "io.rbps", "at most 1000 by /a/b"},
		{"a/cpuset.cpus.effective", "0-1\n", "cpuset.cpus", "0-1 by /a"},
		{"a/b/cpuset.cpus.effective", dir, "cpuset.cpus", "at most 0-3 by /"},
		{"a/b/cpuset.cpus.effective", "0-x\n", "cpuset.cpus", "at most 0-3 by /"},
		{"a/cpuset.cpus.effective", dir, "cpuset.cpus", "at most 0-3 by /"},
		{"cpuset.cpus.effective", "x\n", "cpuset.cpus", "?"},
	} {
		t.Run(c.file+" "+c.text, func(t *testing.T) {
			tree := maps.Clone(usual)
			tree[c.file] = c.text
			if c.text == dir {
				delete(tree, c.file)
				tree[c.file+"/"] = ""
			}
			fs := openTree(t, mountV2, tree)
			words, b := boundsOf(t, groupIn(t, fs, "/a/b"))
			if words[c.resource] != c.want {
				t.Errorf("%s is bound to %q, want %q", c.resource, words[c.resource], c.want)
			}
			known := !strings.HasPrefix(c.want, "at most") && c.want != "?"
			if b.Complete != known || (len(b.Unreadable) == 0) != known {
				t.Errorf("complete %v, %v", b.Complete, b.Unreadable)
			}
			for _, u := range b.Unreadable {
				if !strings.HasSuffix(u.File, "/"+c.file) || u.Reason == "" || (c.text == dir) != (u.Errno == "EISDIR") {
					t.Errorf("%+v", u)
				}
			}
		})
	}
}

// As an ordinary user whom the group's directory or its files are closed to.
func TestClosedGroupsAreUnknown(t *testing.T) {
	testkit.RequireUser(t)
	for _, closed := range []string{"a/b/pids.max (unreadable)", "a/b/ (unreadable)", "a/ (unreadable)"} {
		tree := map[string]string{
			"cgroup.controllers": "pids\n", "a/pids.max": "max\n", "a/b/pids.max": "7\n", "a/b/pids.current": "1\n",
		}
		delete(tree, strings.TrimSuffix(closed, " (unreadable)"))
		tree[closed] = "7\n"
		fs := openTree(t, mountV2, tree)
		words, b := boundsOf(t, groupIn(t, fs, "/a/b"))
		if words["pids"] != "?" || b.Complete || len(b.Unreadable) == 0 || b.Unreadable[0].Errno != "EACCES" {
			t.Errorf("%s: %v, %+v", closed, words, b.Unreadable)
		}
	}
}

// What lies above the root of a cgroup namespace, or above the part that is
// mounted, may limit too.
func TestWhatIsAboveIsUnknown(t *testing.T) {
	files := map[string]string{"cgroup.controllers": "memory pids\n", "memory.max": "500\n", "memory.current": "100\n", "pids.max": "max\n"}
	root := maps.Clone(files)
	delete(root, "memory.max")
	delete(root, "pids.max")
	namespace := maps.Clone(files)
	namespace["cgroup.type"] = "domain\n"
	namespace["cgroup.events"] = "populated 1\nfrozen 0\n"
	part := strings.Replace(mountV2, "0:26 / ", "0:26 /pods/one ", 1)
	partOfRoot := strings.Replace(mountV2, "0:26 / ", "0:26 /pods ", 1)
	for name, c := range map[string]struct {
		mounts       string
		files        map[string]string
		process      string
		memory, pids string
	}{
		"all":              {mountV2, root, "/", "none", "none"},
		"namespace":        {mountV2, namespace, "/", "at most 100 of 500 by /", "?"},
		"part":             {part, files, "/pods/one", "at most 100 of 500 by /pods/one", "?"},
		"part of the root": {partOfRoot, files, "/pods", "100 of 500 by /pods", "none"}, // which itself has no limits
	} {
		t.Run(name, func(t *testing.T) {
			tree := maps.Clone(c.files)
			tree["proc/1/cgroup"] = "0::" + c.process + "\n"
			got := limitsOf(t, openTree(t, c.mounts, tree), 1)
			if got["memory"] != c.memory || got["pids"] != c.pids {
				t.Errorf("%v", got)
			}
		})
	}
}

// A mount that was made outside of the cgroup namespace shows where its root is,
// by a process in it; then all is known.
func TestNamespaceRootIsFound(t *testing.T) {
	outside := strings.Replace(mountV2, "0:26 / ", "0:26 /../.. ", 1)
	tree := map[string]string{
		"proc/1/cgroup": "0::/in\n", "proc/7/cgroup": "0::/\n", "proc/8/cgroup": "0::/../two\n", "proc/9/cgroup": "0::/../../../lost\n",
		"cgroup.controllers": "memory pids\n", "other/in/cgroup.threads": "1\n", "pods/two/in/cgroup.threads": "12\n",
		"pods/memory.max": "300\n", "pods/memory.current": "50\n", "pods/pids.max": "9\n",
		"pods/one/memory.max": "500\n", "pods/one/memory.current": "30\n", "pods/one/pids.max": "max\n", "pods/one/pids.current": "3\n",
		"pods/one/in/cgroup.threads": "1\n", "pods/two/memory.max": "40\n", "pods/two/memory.current": "0\n",
	}
	fs := openTree(t, outside, tree)
	if h := fs.v2(); h.Problem != "" || !strings.HasSuffix(h.Mount, "/pods/one") || h.MountRoot != "/" {
		t.Fatalf("%+v", h)
	}
	for pid, want := range map[int]string{1: "50 of 300 by /..", 7: "50 of 300 by /..", 8: "0 of 40 by /../two"} {
		if got := limitsOf(t, fs, pid); got["memory"] != want {
			t.Errorf("memory of %d is bound to %q, want %q", pid, got["memory"], want)
		}
	}
	lost, err := fs.Memberships(9)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fs.EffectiveOf(t.Context(), lost)
	refusedWith(t, err, unix.EXDEV, "/../../../lost", "outside of this cgroup namespace")
	// Its groups can be worked with, and those above it cannot.
	if got := get(t, groupIn(t, fs, "/"), "memory.max"); got != "500" {
		t.Errorf("memory.max %q", got)
	}
	if g := groupIn(t, fs, "/pods/one"); exists(t, g) {
		t.Error("a group above is taken for one in the namespace")
	}
	// Nobody is in the namespace who could show it.
	tree["pods/one/in/cgroup.threads"] = "5\n"
	fs = openTree(t, outside, tree)
	inside, err := fs.Memberships(1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fs.EffectiveOf(t.Context(), inside)
	refusedWith(t, err, unix.EXDEV, "outside of this cgroup namespace")
}

// What one mount does not show, another one may.
func TestAnotherMountShowsIt(t *testing.T) {
	tree := map[string]string{"proc/1/cgroup": "2:pids:/b/c\n", "a/pids.current": "0\n", "b/pids.max": "12\n", "b/pids.current": "1\n", "b/c/pids.max": "max\n"}
	line := func(id, root, at string) string {
		return id + " 24 0:30 " + root + " /sys/fs/cgroup/" + at + " rw - cgroup cgroup rw,pids\n"
	}
	one := "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + line("30", "/a", "a")
	if memberships, err := openTree(t, one, tree).Memberships(1); err != nil {
		t.Fatal(err)
	} else if _, err := openTree(t, one, tree).EffectiveOf(t.Context(), memberships); err == nil {
		t.Error("with nothing of the process's to be seen, there is an answer")
	}
	for _, more := range []string{line("31", "/b", "b"), line("31", "/b/c", "b/c")} {
		want := map[bool]string{true: "1 of 12 by /b", false: "?"}[strings.Contains(more, "/b /sys")]
		if got := limitsOf(t, openTree(t, one+more, tree), 1); got["pids"] != want {
			t.Errorf("with %s: %v, want %s", more, got, want)
		}
	}
}

// A group that the process is in is there, whatever can be seen: a mount that
// does not have it is not of this hierarchy's root.
func TestProcessInAGroupThatIsNotThere(t *testing.T) {
	fs := openTree(t, mountV1("pids", "memory"), map[string]string{
		"proc/1/cgroup": "3:memory:/\n2:pids:/lost/x\n", "pids/tasks": "", "memory/memory.limit_in_bytes": "9223372036854771712\n",
	})
	if got := limitsOf(t, fs, 1); got["pids"] != "?" || got["memory"] != "none" {
		t.Errorf("%v", got)
	}
}

// Rows of one hierarchy are not made of the files of another.
func TestClosedGroupMakesNoRowsOfOthers(t *testing.T) {
	testkit.RequireUser(t)
	fs := openTree(t, mountV1("pids", "cpu"), map[string]string{
		"proc/1/cgroup": "3:cpu:/\n2:pids:/x\n", "pids/x/ (unreadable)": "", "cpu/cpu.cfs_quota_us": "-1\n",
	})
	memberships, err := fs.Memberships(1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.EffectiveOf(t.Context(), memberships)
	var rows []string
	for _, e := range b.Limits {
		rows = append(rows, e.Resource+" "+bound(e))
	}
	if err != nil || !slices.Equal(rows, []string{"pids ?", "cpu none"}) {
		t.Errorf("%q, %v", rows, err)
	}
}

// All files without some that cannot be read: which, is said.
func TestGetAllNamesWhatCannotBeRead(t *testing.T) {
	fs := openTree(t, mountV2, map[string]string{"g/pids.max": "7\n", "g/cgroup.kill -> loop": "", "g/loop -> cgroup.kill": ""})
	values, missing, err := groupIn(t, fs, "/g").GetAll(t.Context())
	if err != nil || len(values) != 1 || values[0].Value != "7" || len(missing) != 2 || missing[0].Errno != "ELOOP" {
		t.Errorf("%v, %v, %v", values, missing, err)
	}
}

// What a hierarchy would know of the groups below one that is closed there is not
// known, though another hierarchy has them.
func TestWalkBelowAClosedGroup(t *testing.T) {
	testkit.RequireUser(t)
	fs := openTree(t, mountV1("pids", "memory"), map[string]string{"memory/x/ (unreadable)": "", "pids/x/pids.max": "9\n", "pids/x/y/pids.max": "5\n"})
	seen := map[string]Summary{}
	if err := groupIn(t, fs, "/x").Walk(t.Context(), func(s Summary) error { seen[s.Group.Path()] = s; return nil }); err != nil {
		t.Fatal(err)
	}
	y := seen["/x/y"]
	if y.MemoryLimit.Err() == nil || y.MemoryBytes.Err() == nil || number(y.PIDsLimit) != 5 {
		t.Errorf("memory %v of %v, pids %v", y.MemoryBytes, y.MemoryLimit, y.PIDsLimit)
	}
}
