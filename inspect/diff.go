package inspect

// Changes are what is in one snapshot and not in another, and the namespaces that no
// process is in any more, or yet. The ids of
// namespaces tell one that has the inode number of an older one from that, where the
// kernel has such ids (Linux 6.18).
type Changes struct {
	Born    []Change `json:"born"`
	Died    []Change `json:"died"`
	Changed []Change `json:"changed"`
}

// Change is a namespace, or a set of processes that share all theirs, before and after.
type Change struct {
	Namespace *Namespace `json:"namespace,omitempty"`
	Set       *Set       `json:"set,omitempty"`
	// Before is the number of processes that were in it, if it has changed.
	Before *Count `json:"before,omitempty"`
}

// Diff tells what became of the namespaces and sets of a snapshot until another was
// made on the same machine. A namespace has changed if no process is in it any more, or
// one is in it now, or if more or less keeps it besides.
func (s *Snapshot) Diff(later *Snapshot) Changes {
	c := Changes{Born: []Change{}, Died: []Change{}, Changed: []Change{}}
	old := map[ID]*Namespace{}
	for i := range s.Namespaces {
		old[s.Namespaces[i].ID()] = &s.Namespaces[i]
	}
	for i := range later.Namespaces {
		now := &later.Namespaces[i]
		before := old[now.ID()]
		switch {
		case before == nil:
			c.Born = append(c.Born, Change{Namespace: now})
		case !sameID(before.KernelID, now.KernelID):
			c.Born = append(c.Born, Change{Namespace: now})
			continue // the old one has died
		case (before.NProcs == 0) != (now.NProcs == 0) || len(before.HeldBy) != len(now.HeldBy):
			c.Changed = append(c.Changed, Change{Namespace: now, Before: &before.NProcs})
		}
		delete(old, now.ID())
	}
	for i := range s.Namespaces { // in order
		if n := &s.Namespaces[i]; old[n.ID()] != nil {
			c.Died = append(c.Died, Change{Namespace: n})
		}
	}
	s.diffSets(later, &c)
	return c
}

// sameID says that two ids are not of two namespaces, as far as is known.
func sameID(a, b *uint64) bool { return a == nil || b == nil || *a == *b }

func (s *Snapshot) diffSets(later *Snapshot, c *Changes) {
	old := map[NSSet]*Set{}
	for i := range s.Sets {
		old[s.Sets[i].NS] = &s.Sets[i]
	}
	for i := range later.Sets {
		now := &later.Sets[i]
		if old[now.NS] == nil {
			c.Born = append(c.Born, Change{Set: now})
		}
		delete(old, now.NS)
	}
	for i := range s.Sets {
		if set := &s.Sets[i]; old[set.NS] != nil {
			c.Died = append(c.Died, Change{Set: set})
		}
	}
}
