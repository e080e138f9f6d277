package inspect

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"nsx/internal/testkit"
)

// grouped is what a scan makes of the processes, which are sorted by PID.
func grouped(g *grouping) *Snapshot {
	list, sets := g.finish(true)
	return &Snapshot{Processes: g.processes, Namespaces: list, Sets: sets}
}

const kthread = true

// member is a process in one network namespace.
func member(pid, ppid int, start uint64, state State, kernel bool, net uint64) Process {
	return Process{PID: pid, PPID: ppid, StartTicks: start, State: state, KernelThread: kernel, NumThreads: 1, NS: NSSet{Net: net}}
}

func TestLeader(t *testing.T) {
	for _, c := range []struct {
		name      string
		processes []Process
		want      int // the leader of net:[9]
	}{
		{"alone", []Process{member(5, 1, 5, 'S', false, 9)}, 5},
		{
			"the parent, though its child is older by PID and time",
			[]Process{member(3, 8, 3, 'S', false, 9), member(8, 1, 8, 'S', false, 9)},
			8,
		},
		{
			"a parent in another namespace does not count",
			[]Process{member(1, 0, 1, 'S', false, 7), member(4, 1, 4, 'S', false, 9), member(5, 4, 5, 'S', false, 9)},
			4,
		},
		{
			"of several topmost ones the oldest, whatever the PIDs",
			[]Process{member(3, 1, 90, 'S', false, 9), member(4, 1, 10, 'S', false, 9), member(5, 1, 50, 'S', false, 9)},
			4,
		},
		{
			"at the same tick the lowest PID",
			[]Process{member(3, 1, 10, 'S', false, 9), member(4, 1, 10, 'S', false, 9)},
			3,
		},
		{
			"no kernel thread, even if its process is no topmost one",
			[]Process{member(2, 0, 1, 'S', kthread, 9), member(7, 2, 50, 'S', false, 9), member(8, 7, 60, 'S', false, 9)},
			7,
		},
		{
			"no zombie",
			[]Process{member(3, 1, 1, Zombie, false, 9), member(7, 3, 50, 'S', false, 9)},
			7,
		},
		{"a kernel thread among themselves", []Process{member(2, 0, 1, 'S', kthread, 9), member(3, 2, 2, 'I', kthread, 9)}, 2},
		{"a zombie among themselves", []Process{member(2, 1, 1, Zombie, false, 9), member(3, 2, 2, Zombie, false, 9)}, 2},
		{"a process that was stopped is one", []Process{member(2, 1, 1, Zombie, false, 9), member(3, 1, 2, 'T', false, 9)}, 3},
		{"its own parent", []Process{member(3, 3, 1, 'S', false, 9)}, 3},
		{"parents in a ring", []Process{member(3, 4, 2, 'S', false, 9), member(4, 3, 1, 'S', false, 9)}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := grouped(newGrouping(c.processes)).Namespace(ID{Net, 9}).Leader
			if l == nil || l.PID != c.want {
				t.Errorf("leader %+v, want PID %d", l, c.want)
			}
		})
	}
}

func TestGroupCounts(t *testing.T) {
	processes := []Process{
		{PID: 1, NS: NSSet{Net: 10, PID: 20}, State: 'S'},
		{PID: 2, NS: NSSet{Net: 11, PID: 20}, State: 'S', PIDForChildren: 21, TimeForChildren: 30},
		{PID: 3, NS: NSSet{PID: 20}, State: Zombie, Threads: []Thread{
			{TID: 4, NS: NSSet{Net: 10, PID: 20, UTS: 40}},
			{TID: 5, NS: NSSet{Net: 11, PID: 20, UTS: 40}},
		}},
		{PID: 6}, // unreadable
	}
	s := grouped(newGrouping(processes))
	want := []Namespace{
		{Type: Net, Inode: 10, NProcs: 1, PIDs: []int{1}, HeldBy: []Holder{{Kind: HeldByThread, PID: 3, TID: 4}}},
		{Type: Net, Inode: 11, NProcs: 1, PIDs: []int{2}, HeldBy: []Holder{{Kind: HeldByThread, PID: 3, TID: 5}}},
		{Type: PID, Inode: 20, NProcs: 3, PIDs: []int{1, 2, 3}, HeldBy: []Holder{}},
		{Type: PID, Inode: 21, PIDs: []int{}, HeldBy: []Holder{{Kind: HeldByForChildren, PID: 2}}},
		{Type: Time, Inode: 30, PIDs: []int{}, HeldBy: []Holder{{Kind: HeldByForChildren, PID: 2}}},
		{Type: UTS, Inode: 40, PIDs: []int{}, HeldBy: []Holder{{Kind: HeldByThread, PID: 3, TID: 4}, {Kind: HeldByThread, PID: 3, TID: 5}}},
	}
	for i := range s.Namespaces {
		if (s.Namespaces[i].Leader == nil) != (s.Namespaces[i].NProcs == 0) {
			t.Errorf("%s has %d processes and the leader %v", s.Namespaces[i].ID(), s.Namespaces[i].NProcs, s.Namespaces[i].Leader)
		}
		s.Namespaces[i].Leader = nil
	}
	for i := range want {
		want[i].Names = []string{}
	}
	if !reflect.DeepEqual(s.Namespaces, want) {
		t.Errorf("got  %+v\nwant %+v", s.Namespaces, want)
	}
	for _, n := range s.Namespaces {
		if got := s.Namespace(n.ID()); got == nil || got.ID() != n.ID() {
			t.Errorf("Namespace(%s) = %v", n.ID(), got)
		}
	}
	if s.Namespace(ID{UTS, 10}) != nil || s.Namespace(ID{}) != nil {
		t.Error("a namespace that is not there was found")
	}
	if p := s.Process(6); p == nil || p.PID != 6 || s.Process(4) != nil || s.Process(0) != nil || s.Process(7) != nil {
		t.Error("Process")
	}
}

// PIDs share one array: to append to one list must not write into the next.
func TestGroupListsAreApart(t *testing.T) {
	s := grouped(newGrouping([]Process{member(1, 0, 1, 'S', false, 9), member(2, 0, 1, 'S', false, 10)}))
	_ = append(s.Namespaces[0].PIDs, 99)
	if !slices.Equal(s.Namespaces[1].PIDs, []int{2}) {
		t.Errorf("%v", s.Namespaces[1].PIDs)
	}
}

func TestInitial(t *testing.T) {
	boot := NSSet{Cgroup: 1, IPC: 2, Mnt: 3, Net: 4, PID: 5, Time: 6, User: 7, UTS: 8}
	other := NSSet{Cgroup: 11, IPC: 12, Mnt: 13, Net: 14, PID: 15, Time: 16, User: 17, UTS: 18}
	kthreadd := Process{PID: 2, KernelThread: true, NS: boot, State: 'S'}
	init1 := Process{PID: 1, NS: boot, State: 'S'}
	elsewhere := Process{PID: 9, PPID: 1, NS: other, State: 'S'}
	yes, no := true, false
	for _, c := range []struct {
		name      string
		processes []Process
		want      map[ID]*bool
	}{
		{
			"kthreadd tells",
			[]Process{init1, kthreadd, elsewhere},
			map[ID]*bool{{Net, 4}: &yes, {Mnt, 3}: &yes, {Net, 14}: &no, {User, 17}: &no},
		},
		{
			"PID 1 unreadable",
			[]Process{{PID: 1}, kthreadd, elsewhere},
			map[ID]*bool{{Net, 4}: &yes, {Mnt, 3}: &yes, {Mnt, 13}: &no},
		},
		{
			"kernel threads in a mount namespace of their own",
			[]Process{{PID: 1, NS: NSSet{Cgroup: 1, IPC: 2, Mnt: 33, Net: 4, PID: 5, Time: 6, User: 7, UTS: 8}, State: 'S'}, kthreadd},
			map[ID]*bool{{Mnt, 33}: &yes, {Mnt, 3}: &no, {Net, 4}: &yes},
		},
		{
			"not known in a container: no kernel threads",
			[]Process{init1, elsewhere},
			map[ID]*bool{{Net, 4}: nil, {Net, 14}: nil},
		},
		{
			"not known to an ordinary user: kthreadd unreadable",
			[]Process{{PID: 1}, {PID: 2, KernelThread: true}, elsewhere},
			map[ID]*bool{{Net, 14}: nil},
		},
		{
			"another kernel thread says nothing",
			[]Process{{PID: 1}, {PID: 2, KernelThread: true}, {PID: 20, PPID: 2, KernelThread: true, NS: other}},
			map[ID]*bool{{Net, 14}: nil},
		},
		{
			"a type that kthreadd's kernel lacks",
			[]Process{{PID: 2, KernelThread: true, NS: NSSet{Net: 4}}, elsewhere},
			map[ID]*bool{{Net, 4}: &yes, {Net, 14}: &no, {Time, 16}: nil},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := grouped(newGrouping(c.processes))
			for id, want := range c.want {
				n := s.Namespace(id)
				if n == nil || !reflect.DeepEqual(n.Initial, want) {
					t.Errorf("%s: %+v", id, n)
				} else if n.IsInitial() != (want == &yes) {
					t.Errorf("IsInitial of %s", id)
				}
			}
		})
	}
}

// related adds a namespace with relations.
func related(g *grouping, id ID, parent, owner uint64, uid int) {
	n := &g.list[g.add(id)]
	if parent != 0 {
		n.Parent = &parent
	}
	if owner != 0 {
		n.Owner = &owner
	}
	if uid >= 0 {
		u := uint32(uid)
		n.OwnerUID = &u
	}
}

func TestOwnerUIDs(t *testing.T) {
	g := newGrouping(nil)
	related(g, ID{User, 1}, 0, 0, 0)
	related(g, ID{User, 2}, 1, 1, 1000)
	related(g, ID{Net, 3}, 0, 2, -1)
	related(g, ID{PID, 4}, 0, 1, -1)
	related(g, ID{UTS, 5}, 0, 99, -1) // its owner was not met
	related(g, ID{IPC, 6}, 0, 0, -1)  // its owner is not visible
	s := grouped(g)
	for id, want := range map[ID]int{{User, 1}: 0, {User, 2}: 1000, {Net, 3}: 1000, {PID, 4}: 0, {UTS, 5}: -1, {IPC, 6}: -1} {
		got := s.Namespace(id).OwnerUID
		if want < 0 && got != nil || want >= 0 && (got == nil || int(*got) != want) {
			t.Errorf("%s: owner uid %v, want %d", id, got, want)
		}
	}
}

func TestHeldByChildren(t *testing.T) {
	g := newGrouping([]Process{{PID: 1, NS: NSSet{User: 1, Net: 7}, State: 'S'}})
	related(g, ID{User, 1}, 0, 0, 0)
	related(g, ID{User, 2}, 1, 1, 0) // without a process
	related(g, ID{User, 3}, 2, 2, 0)
	related(g, ID{Net, 7}, 0, 2, -1)
	related(g, ID{Net, 6}, 0, 2, -1)
	related(g, ID{PID, 4}, 0, 1, -1) // without a process
	related(g, ID{PID, 5}, 4, 1, -1)
	s := grouped(g)
	for id, want := range map[ID][]ID{
		{User, 1}: nil, // its process is reason enough
		{User, 2}: {{Net, 6}, {Net, 7}, {User, 3}},
		{User, 3}: nil,
		{PID, 4}:  {{PID, 5}},
		{PID, 5}:  nil,
	} {
		var got []ID
		for _, h := range s.Namespace(id).HeldBy {
			if h.Kind != HeldByChild {
				t.Errorf("%s is held by %+v", id, h)
				continue
			}
			got = append(got, *h.Child)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is held by %v, want %v", id, got, want)
		}
	}
}

// TestUnknownCounts: a process that could not be read may be in any namespace,
// and none is empty for sure.
func TestUnknownCounts(t *testing.T) {
	boots := testkit.FakeProcess{PID: 2, Flags: 0x00200000}
	for _, c := range []struct {
		name     string
		more     []testkit.FakeProcess
		boot, of Count // of the boot's network namespace, and of another one
	}{
		{"all are read", []testkit.FakeProcess{{PID: 1}}, 2, 1},
		{"the first is not", []testkit.FakeProcess{{PID: 1, Extra: map[string]string{"ns/net -> junk": ""}}}, UnknownCount, 1},
		{"a kernel thread is not", []testkit.FakeProcess{{PID: 1}, {PID: 3, PPID: 2, Flags: 0x00200000, Extra: map[string]string{"ns/net -> junk": ""}}}, UnknownCount, 1},
		{"another is not", []testkit.FakeProcess{{PID: 1}, {PID: 9, Extra: map[string]string{"ns/net -> junk": ""}}}, UnknownCount, UnknownCount},
	} {
		s := scanTree(t, Options{Sets: true}, append(c.more, boots, testkit.FakeProcess{PID: 7, NS: map[string]uint64{"net": 77}})...)
		if got := s.Namespace(ID{Net, boot[Net]}).NProcs; got != c.boot {
			t.Errorf("%s: %d processes in the boot's", c.name, got)
		}
		n := s.Namespace(ID{Net, 77})
		if n.NProcs != c.of || len(n.PIDs) != 1 {
			t.Errorf("%s: %d processes in another", c.name, n.NProcs)
		}
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back Namespace
		if err := json.Unmarshal(text, &back); err != nil || back.NProcs != n.NProcs {
			t.Errorf("%s: %s became %d, %v", c.name, text, back.NProcs, err)
		}
		for i := range s.Sets {
			want := c.boot
			if s.Sets[i].NS[Net] == 77 {
				want = c.of
			}
			if s.Sets[i].NProcs != want {
				t.Errorf("%s: set %+v", c.name, s.Sets[i])
			}
		}
	}
	if got := (&Snapshot{}).Apart(NSSet{}); got != nil {
		t.Errorf("what is not known at all is apart by %v", got)
	}
}
