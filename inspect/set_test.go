package inspect

import (
	"slices"
	"testing"

	"nsx/internal/testkit"
)

func TestSets(t *testing.T) {
	other := boot
	other[Net] = 77
	g := newGrouping([]Process{
		{PID: 1, NS: boot, State: 'S'},
		{PID: 2, NS: boot, State: 'S', KernelThread: true},
		{PID: 5, PPID: 1, NS: other, State: 'S', StartTicks: 9},
		{PID: 6, PPID: 5, NS: other, State: 'S', StartTicks: 10},
		{PID: 7, PPID: 1, NS: other, State: 'S', StartTicks: 11},
		{PID: 8, PPID: 1, NS: NSSet{User: boot[User], PID: boot[PID]}, State: Zombie},
		{PID: 9, PPID: 1, State: 'S'}, // unreadable
	})
	_, sets := g.finish(true)
	if len(sets) != 2 {
		t.Fatalf("%+v", sets)
	}
	if s := sets[0]; s.NS != other || s.NProcs != 3 || s.Leader.PID != 5 || len(s.Apart) != 1 || s.Apart[0] != Net {
		t.Errorf("%+v, led by %+v", s, s.Leader)
	}
	if s := sets[1]; s.NS != boot || s.NProcs != 2 || s.Leader.PID != 1 || s.Apart == nil || len(s.Apart) != 0 {
		t.Errorf("%+v, led by %+v", s, s.Leader)
	}
}

// TestSetsWithoutAMeasure: where the initial namespaces are not known, nothing
// is said about who is apart from them.
func TestSetsWithoutAMeasure(t *testing.T) {
	s := grouped(newGrouping([]Process{{PID: 5, NS: boot, State: 'S'}}))
	if len(s.Sets) != 1 || s.Sets[0].Apart != nil || s.Apart(boot) != nil {
		t.Errorf("%+v", s.Sets)
	}
	yes, no := true, false
	s = &Snapshot{Namespaces: []Namespace{{Type: Net, Inode: 5, Initial: &no}, {Type: PID, Inode: 6, Initial: &yes}}}
	if got := s.Apart(NSSet{Net: 5, PID: 6}); !slices.Equal(got, []Type{Net}) {
		t.Errorf("apart in %v", got)
	}
	if got := s.Apart(NSSet{PID: 6, UTS: 7}); got == nil || len(got) != 0 {
		t.Errorf("apart in %v, though nothing is known of the UTS namespace", got)
	}
}

// TestSetsOfTheMachine: every process whose namespaces are known is in exactly
// one set, and a container's processes are together.
func TestSetsOfTheMachine(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("net", "uts"), Mode: testkit.ThreadElsewhere, Apart: []string{"ipc"}})
	s := scan(t, Options{Sets: true})
	in := map[int]int{}
	for i, set := range s.Sets {
		if set.NProcs.Known() && int(set.NProcs) != len(set.PIDs) || len(set.PIDs) == 0 || !slices.IsSorted(set.PIDs) || set.Leader == nil || !slices.Contains(set.PIDs, set.Leader.PID) {
			t.Errorf("%+v, led by %+v", set, set.Leader)
		}
		if i > 0 && len(set.PIDs) > len(s.Sets[i-1].PIDs) {
			t.Errorf("a set of %d after one of %d", len(set.PIDs), len(s.Sets[i-1].PIDs))
		}
		for _, pid := range set.PIDs {
			in[pid]++
			if s.Process(pid).NS != set.NS {
				t.Errorf("process %d is in %v, its set in %v", pid, s.Process(pid).NS, set.NS)
			}
		}
	}
	for _, process := range s.Processes {
		want := 1
		if process.State == Zombie || process.NS == (NSSet{}) {
			want = 0
		}
		if in[process.PID] != want {
			t.Errorf("process %d (%s, state %s) is in %d sets", process.PID, process.Comm, process.State, in[process.PID])
		}
	}
	i := slices.IndexFunc(s.Sets, func(set Set) bool { return set.NS[Net] == p.NS("net") })
	if i < 0 || !slices.Equal(s.Sets[i].PIDs, []int{p.PID}) {
		t.Fatalf("%d is not by itself: %+v", p.PID, s.Sets)
	}
	if apart := s.Sets[i].Apart; apart != nil && (!slices.Contains(apart, Net) || !slices.Contains(apart, UTS) || slices.Contains(apart, IPC)) {
		t.Errorf("apart in %v", apart)
	}
}
