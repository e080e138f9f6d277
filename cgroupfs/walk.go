package cgroupfs

import (
	"path"
	"slices"
)

// Summary is a group with what is quickly read of it: a list of a thousand
// groups is not to read all that Stat does. What no hierarchy knows is none, or nil.
type Summary struct {
	Group       *Group
	Hierarchies []Hierarchy
	Members     Members
	MemoryBytes Value[int64]
	MemoryLimit Value[int64]
	PIDsLimit   Value[int64]
	Frozen      *bool
	// Unreadable is what could not be read of the group.
	Unreadable []Unreadable
}

// Walk calls visit for the group and all below it, each group before those
// below it and siblings by name. A group that vanishes meanwhile is left out.
// It ends with the first error that visit returns.
func (g *Group) Walk(visit func(Summary) error) error {
	list, err := g.need("list " + g.path)
	if err != nil {
		return err
	}
	return g.walk(list, visit)
}

func (g *Group) walk(list []*Hierarchy, visit func(Summary) error) error {
	s := Summary{Group: g}
	var err error
	if s.Members, err = g.membersIn(list); err != nil {
		return err
	}
	var missing gaps
	// Which hierarchies have a child is known from its parent's list there.
	children := map[string][]*Hierarchy{}
	for _, h := range list {
		s.Hierarchies = append(s.Hierarchies, *h)
		s.read(files{h, g.path, &missing})
		names, err := h.list(g.path, true)
		if err != nil && !isGone(err) {
			return &Error{Op: "list " + g.path, File: h.Dir(g.path), Err: bare(err)}
		}
		for _, name := range names {
			children[name] = append(children[name], h)
		}
	}
	s.Unreadable = missing.list
	if err := visit(s); err != nil {
		return err
	}
	names := make([]string, 0, len(children))
	for name := range children {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		child := &Group{fs: g.fs, path: path.Join(g.path, name), force: g.force}
		err := child.walk(children[name], visit)
		if err != nil && (!isGone(err) || child.Exists()) {
			return err
		}
	}
	return nil
}

// read takes what one hierarchy knows.
func (s *Summary) read(f files) {
	has := func(controller string) bool { return slices.Contains(f.h.Controllers, controller) }
	if has("memory") {
		usage, limit := "memory.current", "memory.max"
		if f.h.Version == 1 {
			usage, limit = "memory.usage_in_bytes", "memory.limit_in_bytes"
		}
		s.MemoryBytes, s.MemoryLimit = f.number(usage), f.limit(limit)
	}
	if has("pids") {
		s.PIDsLimit = f.limit("pids.max")
	}
	if f.h.Version == 1 && !has("freezer") {
		return
	}
	// Either version's freezer stops it.
	if frozen, err := f.h.frozen(f.group); err == nil && (s.Frozen == nil || frozen) {
		s.Frozen = &frozen
	}
}
