package inspect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nsx/internal/testkit"
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

// ids lists a forest's namespaces from the top, and checks its order: sorted
// below each node, user namespaces last.
func ids(t *testing.T, nodes []*Node) (list []ID) {
	t.Helper()
	if !slices.IsSortedFunc(nodes, func(a, b *Node) int {
		if users := a.ID.Type == User; users != (b.ID.Type == User) {
			if users {
				return 1
			}
			return -1
		}
		return compareIDs(a.ID, b.ID)
	}) {
		t.Errorf("not in order:\n%s", draw(nodes, 0))
	}
	for _, n := range nodes {
		list = append(append(list, n.ID), ids(t, n.Children)...)
	}
	return list
}

// checkForests fails unless each namespace is at exactly one place.
func checkForests(t *testing.T, s *Snapshot) {
	t.Helper()
	var all, pids []ID
	for _, n := range s.Namespaces {
		all = append(all, n.ID())
		if n.Type == PID {
			pids = append(pids, n.ID())
		}
	}
	for _, c := range []struct {
		forest []*Node
		want   []ID
	}{{s.OwnerForest(), all}, {s.PIDForest(), pids}} {
		got := ids(t, c.forest)
		slices.SortFunc(got, compareIDs)
		if !slices.Equal(got, c.want) {
			t.Errorf("got %v\nwant %v", got, c.want)
		}
	}
}

// TestForestsOfAnything: no namespace is lost or shown twice, whatever the
// scan thought to see. A namespace above itself, rings and owners that are not
// there included.
func TestForestsOfAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := &Snapshot{}
		pick := func() *uint64 {
			n := random.Uint64N(12)
			if n == 0 {
				return nil
			}
			return &n
		}
		for _, typ := range []Type{Net, PID, User} {
			for inode := range uint64(8) {
				s.Namespaces = append(s.Namespaces, Namespace{Type: typ, Inode: inode + 1, Owner: pick(), Parent: pick()})
			}
		}
		checkForests(t, s)
		if t.Failed() {
			t.Fatalf("%s", draw(s.OwnerForest(), 0))
		}
	}
}

func TestForestsOfTheMachine(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: []string{"user", "pid", "net"}, Depth: 3})
	s := scan(t, Options{Relations: true})
	checkForests(t, s)
	// Each level hangs below the one before.
	checkPath := func(forest []*Node, typ Type) {
		var want []ID
		for _, pid := range p.Levels {
			want = append(want, s.Process(pid).NS.ID(typ))
		}
		var at []ID
		for depth := 0; len(at) < len(want); depth++ {
			i := slices.IndexFunc(forest, func(n *Node) bool { return slices.Contains(ids(t, []*Node{n}), want[len(at)]) })
			if i < 0 {
				t.Fatalf("%s is not below %v", want[len(at)], at)
			}
			if forest[i].ID == want[len(at)] {
				at = append(at, forest[i].ID)
			}
			forest = forest[i].Children
		}
	}
	checkPath(s.PIDForest(), PID)
	checkPath(s.OwnerForest(), User)
}
