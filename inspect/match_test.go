package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

// match looks a word up in a scan that was made for it.
func match(t *testing.T, word string) (Match, error) {
	t.Helper()
	ref, err := ParseRef(word)
	if err != nil {
		t.Fatal(err)
	}
	return Machine{}.match(t.Context(), scan(t, ref.need(Options{})), ref)
}

// idsOf lists a set's namespaces.
func idsOf(set NSSet) (ids []ID) {
	for _, typ := range Types {
		if set[typ] != 0 {
			ids = append(ids, set.ID(typ))
		}
	}
	return ids
}

func sameIDs(a, b []ID) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, compareIDs)
	slices.SortFunc(b, compareIDs)
	return slices.Equal(a, b)
}

func TestMatch(t *testing.T) {
	const net, threadNet, pid, time = 4026532001, 4026532002, 4026532003, 4026532004
	group, err := cgroupfs.ParseMemberships([]byte("4:memory:/demo\n0::/demo\n"))
	if err != nil {
		t.Fatal(err)
	}
	other, thread, dead := boot, boot, NSSet{User: boot[User], PID: boot[PID]}
	other[Net], thread[Net] = net, threadNet
	s := grouped(newGrouping([]Process{
		{PID: 1, NS: boot, State: 'S'},
		{
			PID: 5, NS: other, State: 'S', PIDForChildren: pid, TimeForChildren: time, Cgroups: group,
			Threads: []Thread{{TID: 6, NS: thread}},
		},
		{PID: 7, NS: dead, State: Zombie},
		{PID: 8, NS: boot, State: 'S', Cgroups: group},
		{PID: 9, Comm: "shy", State: 'S'},
		{PID: 10, NS: boot, State: 'S'},
		{PID: 12, State: 'S'},
	}))
	s.Unreadable = []Unreadable{{8, "cmdline", "EACCES"}, {9, "namespaces", "EACCES"}, {10, "threads", "EACCES"}, {11, "namespaces", "EPERM"}}
	for _, c := range []struct {
		word string
		pids []int
		ids  []ID
	}{
		{"5", []int{5}, append(idsOf(other), ID{Net, threadNet}, ID{PID, pid}, ID{Time, time})},
		{"5/5", []int{5}, idsOf(other)}, // the leader alone
		{"5/6", []int{5}, idsOf(thread)},
		{"7", []int{7}, idsOf(dead)},
		{"8", []int{8}, idsOf(boot)},
		{"init", []int{1}, idsOf(boot)},
		{"net:[4026532001]", []int{5}, []ID{{Net, net}}},
		{"4026532001", []int{5}, []ID{{Net, net}}},
		{"4026532002", nil, []ID{{Net, threadNet}}}, // nobody is in it but a thread
		{"pid:4026532003", nil, []ID{{PID, pid}}},
		{ID{User, boot[User]}.String(), []int{1, 5, 7, 8, 10}, []ID{{User, boot[User]}}},
		{"cgroup:/demo", []int{5, 8}, append(idsOf(boot), ID{Net, net})},
	} {
		ref, err := ParseRef(c.word)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := (Machine{}).match(t.Context(), s, ref); err != nil || !slices.Equal(m.PIDs, c.pids) || !sameIDs(m.Namespaces, c.ids) {
			t.Errorf("%s: %+v, %v; want %v and %v", c.word, m, err, c.pids, c.ids)
		}
	}
	for _, c := range []struct {
		word, says string
		notFound   bool
	}{
		{"6", "no process 6", true},
		{"13", "no process 13", true},
		{"5/7", "no thread 7", true},
		{"9", "namespaces of process 9 (shy) may not be read: EACCES", false},
		{"9/20", "namespaces of process 9 (shy) may not be read: EACCES", false},
		{"10/20", "threads of process 10 () may not be read: EACCES", false},
		{"11", "namespaces of process 11 may not be read: EPERM", false}, // hidepid=1
		{"12", "process 12 (, state S) are not known", false},
		{"uts:[4026532001]", "those of 2 unreadable processes", true},
		{"4026532005", "no namespace 4026532005", true},
		{"cgroup:/dem", "no process is in a cgroup /dem", true},
		{"cgroup:/", "no process is in a cgroup / itself: 2 are in groups below, such as 5 in /demo", true},
		{"cgroup:/demo/deeper", "no process is in a cgroup", true},
	} {
		ref, err := ParseRef(c.word)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Machine{}.match(t.Context(), s, ref)
		if err == nil || errors.Is(err, ErrGone) != c.notFound || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v; want an error that says %q", c.word, m, err, c.says)
		}
	}
}

// TestMatchOnTheMachine looks for real processes in all their states.
func TestMatchOnTheMachine(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, c := range []struct {
		mode testkit.Mode
		typ  Type // of a namespace that nobody is in, none with Net
	}{
		{testkit.Plain, Net},
		{testkit.Stopped, Net},
		{testkit.Zombie, Net},
		{testkit.ThreadElsewhere, IPC},
		{testkit.DeadLeader, IPC},
		{testkit.PIDForChildrenDead, PID},
		{testkit.TimeForChildren, Time},
	} {
		t.Run("mode "+string(c.mode), func(t *testing.T) {
			if c.typ == Time {
				testkit.RequireNS(t, withUser("time")...)
			}
			var apart []string
			if c.typ == IPC {
				apart = []string{"ipc"}
			}
			p := startIn(t, testkit.Config{New: withUser("uts"), Mode: c.mode, Apart: apart})
			word := strconv.Itoa(p.PID)
			m, err := match(t, word)
			if err != nil || !slices.Equal(m.PIDs, []int{p.PID}) || !slices.Contains(m.Namespaces, ID{User, p.NS("user")}) {
				t.Fatalf("%s: %+v, %v", word, m, err)
			}
			if c.mode == testkit.Zombie && len(m.Namespaces) != 2 {
				t.Errorf("a zombie is in %v", m.Namespaces)
			}
			if c.typ == Net {
				return
			}
			id := held(t, p, c.typ)
			if !slices.Contains(m.Namespaces, id) {
				t.Errorf("%s: %+v without %s", word, m, id)
			}
			s := scan(t, Options{Holders: c.mode != testkit.ThreadElsewhere && c.mode != testkit.DeadLeader})
			for _, ref := range []Ref{{Kind: RefNamespace, ID: id}, {Kind: RefNamespace, ID: ID{Inode: id.Inode}, AnyType: true}} {
				if m, err := (Machine{}).match(t.Context(), s, ref); err != nil || len(m.PIDs) != 0 || !slices.Equal(m.Namespaces, []ID{id}) {
					t.Errorf("%+v: %+v, %v", ref, m, err)
				}
			}
			if p.Thread == 0 {
				return
			}
			m, err = match(t, word+"/"+strconv.Itoa(p.Thread))
			if err != nil || len(m.Namespaces) != NumTypes || !slices.Contains(m.Namespaces, id) {
				t.Errorf("its thread: %+v, %v", m, err)
			}
			m, err = match(t, word+"/"+word)
			if err != nil || slices.Contains(m.Namespaces, id) {
				t.Errorf("its leader: %+v, %v", m, err)
			}
		})
	}
}

func TestMatchSelfAndInit(t *testing.T) {
	testkit.CheckLeaks(t)
	m, err := match(t, "self")
	if err != nil || !slices.Equal(m.PIDs, []int{os.Getpid()}) || len(m.Namespaces) < NumTypes-1 {
		t.Errorf("self: %+v, %v", m, err)
	}
	// Process 1 is out of an ordinary user's reach, and may be out of root's.
	_, refused := os.Readlink("/proc/1/ns/net")
	m, err = match(t, "init")
	switch {
	case refused == nil && (err != nil || !slices.Equal(m.PIDs, []int{1}) || len(m.Namespaces) < NumTypes-1):
		t.Errorf("init: %+v, %v", m, err)
	case refused != nil && (err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "EACCES")):
		t.Errorf("init: %+v, %v; the kernel says %v", m, err, refused)
	}
}

func TestMatchFile(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("net"), Mode: testkit.FDHolder, Apart: []string{"uts"}})
	m, err := match(t, p.Path("ns", "net"))
	if err != nil || !slices.Equal(m.PIDs, []int{p.PID}) || !slices.Equal(m.Namespaces, []ID{{Net, p.NS("net")}}) {
		t.Errorf("%+v, %v", m, err)
	}
	// What a descriptor holds is found by a search of descriptors only, and
	// the file alone says what it is.
	file, id := p.Path("fd", strconv.Itoa(p.HeldFD["uts"])), held(t, p, UTS)
	if m, err := match(t, file); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), id.String()) {
		t.Errorf("%s: %+v, %v", file, m, err)
	}
	if m, err := (Machine{}).match(t.Context(), scan(t, Options{Holders: true}), Ref{Word: file, Kind: RefFile, Path: file}); err != nil || !slices.Equal(m.Namespaces, []ID{id}) {
		t.Errorf("%s: %+v, %v", file, m, err)
	}
	if m, err := match(t, "/etc/passwd"); err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "a regular file") {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestMatchNetns: the name is looked for below the scanned root, and no root
// means /, not the working directory.
func TestMatchNetns(t *testing.T) {
	testkit.CheckLeaks(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run/netns"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run/netns/nsx-test-blue"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s := scan(t, Options{})
	for _, word := range []string{"netns:nsx-test-blue", "nsx-test-blue"} {
		ref, err := ParseRef(word)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := (Machine{}).match(t.Context(), s, ref); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %+v, %v", word, m, err)
		}
		if m, err := at(dir).match(t.Context(), s, ref); err == nil || !strings.Contains(err.Error(), "bind mount was undone") {
			t.Errorf("%s below %s: %+v, %v", word, dir, m, err)
		}
	}
}

func TestMatchMountedNetns(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "run/netns/nsx-test-blue")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, testkit.Config{New: []string{"net"}})
	s := scan(t, Options{})
	apartFromMachine(t, func() error {
		if err := unix.Mount(p.Path("ns", "net"), file, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		m, err := at(dir).match(t.Context(), s, Ref{Word: "nsx-test-blue", Kind: RefName, Path: "nsx-test-blue"})
		if err != nil || !slices.Equal(m.PIDs, []int{p.PID}) || !slices.Equal(m.Namespaces, []ID{{Net, p.NS("net")}}) {
			t.Errorf("%+v, %v", m, err)
		}
		return nil
	})
}

// What the machine booted with is known from kthreadd, too: "host" names it where process 1
// may not be read. "init" is that process.
func TestHostBesideUnreadableInit(t *testing.T) {
	yes, no := true, false
	s := Snapshot{
		Processes:  []Process{{PID: 1, Comm: "init"}},
		Namespaces: []Namespace{{Type: Net, Inode: 7, Initial: &yes}, {Type: Net, Inode: 8, Initial: &no}, {Type: UTS, Inode: 9, Initial: &yes}},
		Unreadable: []Unreadable{{1, "namespaces", "EACCES"}},
	}
	for word, want := range map[string][]ID{"host": {{Net, 7}, {UTS, 9}}, "init": nil, "1": nil} {
		ref, err := ParseRef(word)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Machine{}.match(t.Context(), &s, ref)
		if !slices.Equal(got.Namespaces, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
}
