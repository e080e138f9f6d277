package inspect

import (
	"slices"

	"nsx/cgroupfs"
	"nsx/identity"
)

// Set is the processes that share all their namespaces: what most people mean
// by a container.
type Set struct {
	NS NSSet `json:"ns"`
	// NProcs is like a namespace's, and PIDs are those that were seen.
	NProcs Count `json:"nprocs"`
	PIDs   []int `json:"pids"`
	// Leader is chosen like a namespace's.
	Leader *Leader `json:"leader"`
	// Apart are the types whose namespace is not the one that the machine
	// booted with; nil where those are not known.
	Apart []Type `json:"apart"`
	// Identity is the leader's, nil for the processes of the boot's own set, or if the
	// scan was not asked.
	Identity *identity.Identity `json:"identity"`
	// MemoryBytes is what the group uses that is the set's own, if it has one: that of
	// the container or the like, or one in which there is no other process. For the
	// boot's set it is that of the whole machine.
	MemoryBytes cgroupfs.Value[int64] `json:"memory_bytes"`

	nameless bool
}

// NameKnown says that an Identity of nil means nobody's: what tells could be read.
func (s *Set) NameKnown() bool { return !s.nameless }

// sets groups the processes of which all namespaces are known, the largest group
// first. Zombies have only a user and a PID namespace left, and are left out.
func (g *grouping) sets() []Set {
	index := map[NSSet]int{}
	list := []Set{}
	leads := []lead{}
	for i := range g.processes {
		p := &g.processes[i]
		if p.State == Zombie || p.NS == (NSSet{}) {
			continue
		}
		at, known := index[p.NS]
		if !known {
			at = len(list)
			index[p.NS] = at
			list = append(list, Set{NS: p.NS, Apart: g.apart(p.NS)})
			leads = append(leads, lead{})
		}
		list[at].PIDs = append(list[at].PIDs, p.PID)
		leads[at].consider(p, g.parents[i] == nil || g.parents[i].NS != p.NS)
	}
	for i := range list {
		list[i].NProcs, list[i].Leader = Count(len(list[i].PIDs)), leads[i].leader()
	}
	slices.SortStableFunc(list, func(a, b Set) int { return int(b.NProcs - a.NProcs) })
	return list
}

// apart lists the types in which a set is not in the initial namespace.
func (g *grouping) apart(set NSSet) []Type {
	return apart(set, func(id ID) *Namespace {
		if at, known := g.index[id.Type][id.Inode]; known {
			return &g.list[at]
		}
		return nil
	})
}

// Apart lists the types in which a process with these namespaces is not in the
// one that the machine booted with: nil if that cannot be told.
func (s *Snapshot) Apart(set NSSet) []Type { return apart(set, s.Namespace) }

func apart(set NSSet, find func(ID) *Namespace) []Type {
	if set == (NSSet{}) {
		return nil
	}
	list := []Type{}
	for _, t := range Types {
		n := find(ID{t, set[t]})
		switch {
		case n == nil:
			continue
		case n.Initial == nil:
			return nil
		case !*n.Initial:
			list = append(list, t)
		}
	}
	return list
}
