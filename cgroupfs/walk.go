package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// Summary is a group with what is quickly read of it: for a list of a thousand
// groups, Stat would read too much. What no hierarchy knows is none, or nil.
type Summary struct {
	Group       *Group
	Hierarchies []Hierarchy
	Members     Members
	// Processes counts those of Members.
	Processes   Value[int64]
	MemoryBytes Value[int64]
	MemoryLimit Value[int64]
	PIDsLimit   Value[int64]
	Frozen      *bool
	// Unreadable is what could not be read of the group: the files, the members, or
	// which groups are below it. Those with a path too long for the kernel are left
	// out of the walk.
	Unreadable []Unreadable
}

// Walk calls visit for the group and all below it, each group before those
// below it and siblings by name. A group that vanishes meanwhile is left out. One
// that cannot be read in full does not end the walk: its Summary says so. It ends
// with the first error that visit returns, and with that of ctx.
func (g *Group) Walk(ctx context.Context, visit func(Summary) error) error {
	list, err := g.need("list " + g.path)
	if err != nil {
		return err
	}
	return g.walk(ctx, list, nil, visit)
}

// hidden is a hierarchy in which it is not known which groups are below one.
type hidden struct {
	h   *Hierarchy
	err error
}

func (g *Group) walk(ctx context.Context, list []*Hierarchy, unseen []hidden, visit func(Summary) error) error {
	if err := interrupted(ctx, "list "+g.path); err != nil {
		return err
	}
	s := Summary{Group: g}
	var missing gaps
	unreadable := func(h *Hierarchy, err error) { missing.add(newUnreadable(g.path, h.Dir(g.path), err)) }
	var err error
	s.Members, err = g.membersIn(list)
	s.Processes = Number(int64(len(s.Members.Processes)))
	if err != nil {
		unreadable(list[0], bare(err))
		s.Processes = NotKnown[int64](err)
	}
	// Which hierarchies have a child is known from its parent's list there.
	children := map[string][]*Hierarchy{}
	tooLong, below := 0, slices.Clone(unseen)
	for _, h := range list {
		names, err := h.list(g.path, true)
		if isGone(err) {
			continue
		}
		if err != nil {
			unreadable(h, bare(err))
			below = append(below, hidden{h, err})
		}
		s.Hierarchies = append(s.Hierarchies, *h)
		s.read(files{h, g.path, &missing})
		short := slices.DeleteFunc(names, func(name string) bool { return len(g.path)+1+len(name) >= unix.PathMax })
		for _, name := range short {
			children[name] = append(children[name], h)
		}
		if len(short) < len(names) {
			tooLong = max(tooLong, h.countTooLong(ctx, g.path))
		}
	}
	if len(s.Hierarchies) == 0 {
		return nil
	}
	for _, x := range unseen {
		s.hide(x)
	}
	if tooLong > 0 {
		unreadable(list[0], &Error{
			Err:   unix.ENAMETOOLONG,
			Cause: fmt.Sprintf("%s of more than %d bytes (ENAMETOOLONG)", words.Count(tooLong, "group below has a path", "groups below have paths"), unix.PathMax-1),
		})
	}
	s.Unreadable = missing.list
	if err := visit(s); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(children)) {
		child := &Group{fs: g.fs, path: path.Join(g.path, name), force: g.force}
		if err := child.walk(ctx, children[name], below, visit); err != nil {
			return err
		}
	}
	return nil
}

// countTooLong counts the groups below whose paths are too long.
func (h *Hierarchy) countTooLong(ctx context.Context, group string) (n int) {
	_ = h.descend(ctx, group, func(s *spot) error {
		length := len(s.group)
		for _, name := range s.names {
			length += 1 + len(name)
		}
		if length >= unix.PathMax {
			n++
		}
		return nil
	})
	return n
}

// hide notes that a hierarchy may have the group, and what that would know is not known.
func (s *Summary) hide(x hidden) {
	if slices.Contains(x.h.Controllers, "memory") {
		s.MemoryBytes, s.MemoryLimit = NotKnown[int64](x.err), NotKnown[int64](x.err)
	}
	if slices.Contains(x.h.Controllers, "pids") {
		s.PIDsLimit = NotKnown[int64](x.err)
	}
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
	frozen, err := f.h.frozen(f.group)
	switch {
	case err == nil && (s.Frozen == nil || frozen):
		s.Frozen = &frozen
	case err != nil && !errors.Is(err, unix.ENOENT):
		_ = f.unreadable("", err)
	}
}
