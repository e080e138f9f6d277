package inspect

import (
	"fmt"
	"strings"
	"testing"
)

// draw writes a forest as indented lines.
func draw(nodes []*Node, depth int) string {
	var b strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s%s\n%s", strings.Repeat(" ", depth), n.ID, draw(n.Children, depth+1))
	}
	return b.String()
}

func TestForests(t *testing.T) {
	at := func(n uint64) *uint64 { return &n }
	s := &Snapshot{Namespaces: []Namespace{
		{Type: Net, Inode: 11, Owner: at(1)},
		{Type: Net, Inode: 12, Owner: at(2)},
		{Type: Net, Inode: 13, Owner: at(99)}, // owned by one that is not in view
		{Type: PID, Inode: 21, Owner: at(1)},
		{Type: PID, Inode: 22, Owner: at(2), Parent: at(21)},
		{Type: User, Inode: 1},
		{Type: User, Inode: 2, Owner: at(1), Parent: at(1)},
	}}
	want := `net:[13]
user:[1]
 net:[11]
 pid:[21]
 user:[2]
  net:[12]
  pid:[22]
`
	if got := draw(s.OwnerForest(), 0); got != want {
		t.Errorf("owners:\n%swant\n%s", got, want)
	}
	if got := draw(s.PIDForest(), 0); got != "pid:[21]\n pid:[22]\n" {
		t.Errorf("PID namespaces:\n%s", got)
	}
}

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
