package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
)

// isolated is a row of ls: the processes that share all their namespaces or, where set
// is nil, a namespace that no process is in.
type isolated struct {
	set *inspect.Set
	ns  *inspect.Namespace

	apart  []inspect.Type
	rank   rank
	name   string // as a target; empty: nobody's
	known  bool   // whether it has a name
	part   string // what is shown below its pod's row instead of the name
	folded int    // how many rows it stands for, if not one
	units  string // the names of those, if they are units
	procs  inspect.Count
	memory cgroupfs.Value[int64]
}

// rank is the order of rows.
type rank int

const (
	rankHost rank = iota
	rankContainer
	rankNamed
	rankNameless
	rankUnit
	rankKernel
)

// MarshalJSON makes a set or a namespace of it.
func (r *isolated) MarshalJSON() ([]byte, error) {
	if r.set != nil {
		return json.Marshal(r.set)
	}
	return json.Marshal(r.ns)
}

// identity is whose it is, nil if nobody's.
func (r *isolated) identity() *identity.Identity {
	if r.set != nil {
		return r.set.Identity
	}
	return r.ns.Identity
}

// isolatedRows are the rows of what matches, in order.
func isolatedRows(s *inspect.Snapshot, match inspect.Match) []*isolated {
	var rows []*isolated
	for i := range s.Sets {
		if set := &s.Sets[i]; match.HasSet(set) {
			rows = append(rows, setRow(s, set))
		}
	}
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; n.NProcs == 0 && !n.IsInitial() && match.HasNamespace(n.ID()) {
			rows = append(rows, heldRow(n))
		}
	}
	slices.SortStableFunc(rows, func(a, b *isolated) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b2i(!a.trusted()), b2i(!b.trusted())),
			output.CompareNatural(a.name, b.name), cmp.Compare(a.leaderPID(), b.leaderPID()))
	})
	return rows
}

func setRow(s *inspect.Snapshot, set *inspect.Set) *isolated {
	r := &isolated{set: set, apart: set.Apart, procs: set.NProcs, memory: set.MemoryBytes, known: set.NameKnown()}
	id := set.Identity
	leader := s.Process(set.Leader.PID)
	netns := s.Namespace(inspect.ID{Type: inspect.Net, Inode: set.NS[inspect.Net]})
	switch {
	case set.Apart != nil && len(set.Apart) == 0:
		r.rank, r.name = rankHost, "host"
	case leader != nil && leader.KernelThread:
		r.rank, r.name = rankKernel, "kernel"
	case id != nil && !id.OfSystemd():
		r.rank, r.name = rankContainer, id.Target()
	case netns != nil && len(netns.Names) > 0 && !netns.IsInitial():
		r.rank, r.name = rankNamed, "netns:"+netns.Names[0]
	case id != nil:
		r.rank, r.name = rankUnit, id.Target()
	default:
		r.rank = rankNameless
	}
	return r
}

func heldRow(n *inspect.Namespace) *isolated {
	r := &isolated{ns: n, apart: []inspect.Type{n.Type}, rank: rankNameless, known: true}
	if r.name, _ = n.Target(); len(n.Names) > 0 {
		r.rank = rankNamed
	}
	return r
}

// trusted says that no ordinary user gave it its name.
func (r *isolated) trusted() bool { return r.identity() == nil || r.identity().Trusted() }

func (r *isolated) leaderPID() int {
	if r.set == nil {
		return 0
	}
	return r.set.Leader.PID
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isolatedTree hangs containers below their pod's own row and below what they are
// nested in, and what made itself namespaces within a container below that.
func isolatedTree(s *inspect.Snapshot, rows []*isolated) []*output.Node[isolated] {
	own := s.OwnSets()
	nodes := make([]*output.Node[isolated], len(rows))
	ofSet := map[*inspect.Set]*output.Node[isolated]{}
	named := map[string]*output.Node[isolated]{}
	for i, r := range rows {
		nodes[i] = &output.Node[isolated]{Row: *r}
		if r.rank == rankContainer && own[r.set] == r.set {
			ofSet[r.set], named[r.name] = nodes[i], nodes[i]
		}
	}
	var roots []*output.Node[isolated]
	for _, n := range nodes {
		within, above := ofSet[own[n.Row.set]], named[nameAbove(&n.Row)]
		switch {
		case within != nil && within != n:
			n.Row.part = strconv.Itoa(n.Row.set.Leader.PID)
			within.Children = append(within.Children, n)
		case above != nil && above != n:
			n.Row.part, _ = strings.CutPrefix(n.Row.name, above.Row.name+"/")
			above.Children = append(above.Children, n)
		default:
			roots = append(roots, n)
		}
	}
	return roots
}

// nameAbove is the name of what something is nested in: its pod, or the container that
// its runtime runs in.
func nameAbove(r *isolated) string {
	id := r.identity()
	switch {
	case id == nil || r.rank != rankContainer:
		return ""
	case id.Kind == identity.Container && id.Pod != nil:
		pod := *id
		pod.Kind = identity.Pod
		return pod.Target()
	case len(id.Parents) > 0:
		return id.Parents[len(id.Parents)-1].Target()
	}
	return ""
}
