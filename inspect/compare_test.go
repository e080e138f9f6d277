package inspect

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"nsx/cgroupfs"
)

func madeProfile(rights *Rights, set NSSet) *Profile {
	p := &Profile{Rights: rights, Groups: []GroupUse{{Path: "/"}}, Limits: &cgroupfs.Binding{}, Files: &Files{Root: &Mount{HostPath: "/"}, RootDirectory: "/", Compared: true}}
	for t, inode := range set {
		if inode != 0 {
			p.Namespaces = append(p.Namespaces, NamespaceFacts{Type: Type(t), Inode: inode})
		}
	}
	return p
}

func differenceIn(c Comparison, aspect string) (Difference, bool) {
	i := slices.IndexFunc(c.Differences, func(d Difference) bool { return d.Aspect == aspect })
	if i < 0 {
		return Difference{}, false
	}
	return c.Differences[i], true
}

// TestCompare: what differs, what is the same, and what is not known are three.
func TestCompare(t *testing.T) {
	set := NSSet{1, 2, 3, 4, 5, 6, 7, 8}
	two := 2
	a := madeProfile(&Rights{Effective: []string{"chown", "kill"}, Groups: []uint32{4, 5}, Seccomp: "filter", SeccompFilters: &two}, set)
	set[Net] = 44
	b := madeProfile(&Rights{UIDs: [4]uint32{0, 1, 1, 1}, Effective: []string{"kill", "sys_admin"}, Groups: []uint32{5}, Seccomp: "none", NoNewPrivs: true}, set)
	disk := &cgroupfs.Disk{Name: "sda"}
	a.Limits.Limits = []cgroupfs.Effective{
		{Resource: "memory", Unit: "bytes", Known: true, Limit: cgroupfs.Number[float64](1 << 30)},
		{Resource: "io.rbps", Unit: "bytes_per_second", Device: disk, Known: true, Limit: cgroupfs.Number[float64](1000)},
		{Resource: "pids", Unit: "tasks"},
	}
	b.Limits.Limits = []cgroupfs.Effective{{Resource: "memory", Unit: "bytes", Known: true}, {Resource: "pids", Unit: "tasks", Known: true}}
	b.Files.Mounts = []Mount{{Mountpoint: "/data"}, {Mountpoint: "/data"}}
	c := Compare(a, b)
	for _, want := range []Difference{
		{"net ns", "5", "44"},
		{"user", "0", "0 1 1 1"},
		{"more groups", "4", ""},
		{"capabilities", "chown", "sys_admin"},
		{"no_new_privs", "no", "yes"},
		{"seccomp", "filter, 2", "none"},
		{"memory limit", "1073741824 bytes", ""},
		{"io.rbps of sda limit", "1000 bytes per second", ""},
		{"mounts", "", "/data"},
	} {
		want.A, want.B = reorder(want, a, b)
		if got, ok := differenceIn(c, want.Aspect); !ok || got != want {
			t.Errorf("%s: %+v, want %+v", want.Aspect, got, want)
		}
	}
	for _, aspect := range []string{"mnt ns", "root", "label", "cgroup"} {
		if !slices.Contains(c.Same, aspect) {
			t.Errorf("%s is the same: %q", aspect, c.Same)
		}
	}
	for _, aspect := range []string{"pids limit", "host name"} {
		if !slices.Contains(c.Unknown, aspect) {
			t.Errorf("%s is not known: %q", aspect, c.Unknown)
		}
	}

	// Nothing is known of one who may not be read, and nobody differs from himself.
	if c := Compare(&Profile{}, a); len(c.Differences) > 0 || len(c.Same) > 0 {
		t.Errorf("%+v", c)
	}
	if c := Compare(a, a); len(c.Differences) > 0 {
		t.Errorf("%+v", c.Differences)
	}
}

// reorder fills in the inode numbers as they are.
func reorder(want Difference, a, b *Profile) (string, string) {
	if want.Aspect == "net ns" {
		return number(a.inode(Net)), number(b.inode(Net))
	}
	return want.A, want.B
}

// TestCompareMaps: maps that begin alike are two all the same.
func TestCompareMaps(t *testing.T) {
	a, b := madeProfile(nil, NSSet{}), madeProfile(nil, NSSet{})
	a.Namespaces, b.Namespaces = []NamespaceFacts{{Type: User, Inode: 1}}, []NamespaceFacts{{Type: User, Inode: 2}}
	var long IDMap
	for i := range uint32(20) {
		long = append(long, IDRange{i * 10, i * 10, 1})
	}
	other := slices.Clone(long)
	other[19].Outside++
	a.UserNamespaces, b.UserNamespaces = []UserLevel{{UIDMap: long, GIDMap: long}}, []UserLevel{{UIDMap: other, GIDMap: long}}
	c := Compare(a, b)
	if _, differs := differenceIn(c, "uid map"); !differs || !slices.Contains(c.Same, "gid map") {
		t.Errorf("%+v", c)
	}
}

// TestDiffOfSnapshots: an inode number that another namespace has now is a death and a
// birth, where ids tell.
func TestDiffOfSnapshots(t *testing.T) {
	id := func(n uint64) *uint64 { return &n }
	before := &Snapshot{Namespaces: []Namespace{
		{Type: Net, Inode: 1, KernelID: id(7), NProcs: 3}, {Type: Net, Inode: 2, KernelID: id(8)}, {Type: Net, Inode: 3, NProcs: 1}, {Type: Net, Inode: 5, NProcs: 1},
	}, Sets: []Set{{NS: NSSet{1}}, {NS: NSSet{2}}}}
	after := &Snapshot{Namespaces: []Namespace{
		{Type: Net, Inode: 1, KernelID: id(7), NProcs: 9}, {Type: Net, Inode: 2, KernelID: id(9)}, {Type: Net, Inode: 4}, {Type: Net, Inode: 5},
	}, Sets: []Set{{NS: NSSet{2}}, {NS: NSSet{3}}}}
	c := before.Diff(after)
	inodes := func(list []Change) (n []uint64) {
		for _, change := range list {
			if change.Namespace != nil {
				n = append(n, change.Namespace.Inode)
			} else {
				n = append(n, 1000+change.Set.NS[0])
			}
		}
		return n
	}
	for _, part := range []struct {
		name string
		list []Change
		want []uint64
	}{{"born", c.Born, []uint64{2, 4, 1003}}, {"died", c.Died, []uint64{2, 3, 1001}}, {"changed", c.Changed, []uint64{5}}} {
		if got := inodes(part.list); !slices.Equal(got, part.want) {
			t.Errorf("%s: %v, want %v", part.name, got, part.want)
		}
	}

	// It reads back what it wrote.
	text, err := json.Marshal(c)
	var back Changes
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if again, _ := json.Marshal(back); err != nil || !reflect.DeepEqual(text, again) {
		t.Errorf("%s, %v", again, err)
	}
}
