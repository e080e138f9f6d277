package inspect

import (
	"context"
	"slices"

	"nsx/cgroupfs"
	"nsx/identity"
)

// measureSets reads how much memory the sets use, where that can be told. The groups
// of those who lead them have been read.
func (m Machine) measureSets(ctx context.Context, s *Snapshot, match Match) {
	groups, err := m.cgroups()
	if err != nil {
		return // no group, no use
	}
	h, err := groups.Controller("memory")
	if err != nil {
		return
	}
	first := s.firstSets()
	for i := range s.Sets {
		set := &s.Sets[i]
		leader := s.Process(set.Leader.PID)
		if !match.HasSet(set) || leader == nil {
			continue
		}
		at := slices.IndexFunc(leader.Cgroups, h.Holds)
		if at < 0 {
			continue
		}
		path := leader.Cgroups[at].Path
		claim, named := identity.Innermost(path)
		own := true
		switch {
		case set.Apart != nil && len(set.Apart) == 0:
			path = "/"
		case named && set.Identity != nil && first[set.Identity.Target()] == set:
			path = claim.Path
		default:
			own = false
		}
		if group, err := groups.Group(path); err == nil && (own || set.fills(ctx, group)) {
			set.MemoryBytes = group.MemoryBytes()
		}
	}
}

// firstSets is, for each container, unit or the like, the set with the oldest leader:
// a process in a container that made namespaces of its own is a set, but not the
// container's.
func (s *Snapshot) firstSets() map[string]*Set {
	first := map[string]*Set{}
	start := func(set *Set) uint64 { return s.Process(set.Leader.PID).StartTicks }
	for i := range s.Sets {
		set := &s.Sets[i]
		if set.Identity == nil || s.Process(set.Leader.PID) == nil {
			continue
		}
		target := set.Identity.Target()
		if oldest := first[target]; oldest == nil || start(set) < start(oldest) {
			first[target] = set
		}
	}
	return first
}

// fills says that a group has processes of the set and no others.
func (set *Set) fills(ctx context.Context, group *cgroupfs.Group) bool {
	members, err := group.Members(ctx)
	if err != nil || group.Path() == "/" {
		return false
	}
	for _, pid := range members.Processes {
		if _, own := slices.BinarySearch(set.PIDs, pid); !own {
			return false
		}
	}
	return len(members.Processes) > 0
}
