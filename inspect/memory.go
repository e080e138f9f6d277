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
	own := s.OwnSets()
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
		whole := true
		switch {
		case set.Apart != nil && len(set.Apart) == 0:
			path = "/"
		case named && own[set] == set:
			path = claim.Path
		default:
			whole = false
		}
		if group, err := groups.Group(path); err == nil && (whole || set.fills(ctx, group)) {
			set.MemoryBytes = group.MemoryBytes()
		}
	}
}

// OwnSets is, for each set of a container, unit or the like, that one's own: the set
// with the oldest leader. A process in a container that made namespaces of its own is in
// a set of the container, but not in the container's own.
func (s *Snapshot) OwnSets() map[*Set]*Set {
	start := func(set *Set) uint64 { return s.Process(set.Leader.PID).StartTicks }
	oldest := map[thing]*Set{}
	var named []*Set
	for i := range s.Sets {
		set := &s.Sets[i]
		if set.Identity == nil || s.Process(set.Leader.PID) == nil {
			continue
		}
		named = append(named, set)
		if first := oldest[thingOf(set.Identity)]; first == nil || start(set) < start(first) {
			oldest[thingOf(set.Identity)] = set
		}
	}
	own := make(map[*Set]*Set, len(named))
	for _, set := range named {
		own[set] = oldest[thingOf(set.Identity)]
	}
	return own
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
