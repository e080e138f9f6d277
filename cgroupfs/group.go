package cgroupfs

import (
	"path"
	"slices"
)

// Group is one name over all hierarchies. It need not exist.
type Group struct {
	fs    *FS
	path  string
	force bool
}

// Group names a group: by its path from the root of the hierarchies, or by a
// path below one's mount point. See ParseGroupPath.
func (fs *FS) Group(word string) (*Group, error) {
	path, err := fs.ParseGroupPath(word)
	if err != nil {
		return nil, err
	}
	return &Group{fs: fs, path: path}, nil
}

// Forced is the same group, for somebody who knows what he does: it may be
// changed though another program owns it, though the caller itself is in it,
// and though a memory limit below the present use will kill.
func (g *Group) Forced() *Group { return &Group{fs: g.fs, path: g.path, force: true} }

// Path is the group's path from the root of the hierarchies.
func (g *Group) Path() string { return g.path }

// Parent is the group above, nil for the root.
func (g *Group) Parent() *Group {
	if g.path == "/" {
		return nil
	}
	return &Group{fs: g.fs, path: path.Dir(g.path), force: g.force}
}

// Hierarchies lists those in which the group exists.
func (g *Group) Hierarchies() []Hierarchy {
	var list []Hierarchy
	for _, h := range g.in() {
		list = append(list, *h)
	}
	return list
}

// Exists says whether it does in any hierarchy. An error means that this is not
// known, as where descriptors are used up.
func (g *Group) Exists() (bool, error) {
	list, err := g.fs.withSure(g.path)
	return len(list) > 0, err
}

func (g *Group) in() []*Hierarchy { return g.fs.with(g.path) }

// with lists the hierarchies that have a group.
func (fs *FS) with(group string) []*Hierarchy {
	var list []*Hierarchy
	for i := range fs.hierarchies {
		if h := &fs.hierarchies[i]; h.has(group, "") {
			list = append(list, h)
		}
	}
	return list
}

// withSure is with, or the error of a hierarchy that did not say.
func (fs *FS) withSure(group string) ([]*Hierarchy, error) {
	var list []*Hierarchy
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		ok, err := h.exists(group, "")
		if err != nil {
			return nil, &Error{Op: "look at " + group, Group: group, File: h.Dir(group), Err: bare(err)}
		}
		if ok {
			list = append(list, h)
		}
	}
	return list, nil
}

// need is in, or an error if there is no such group.
func (g *Group) need(op string) ([]*Hierarchy, error) {
	list, err := g.fs.withSure(g.path)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, g.fs.explainNoGroup(op, g.path)
	}
	return list, nil
}

// Children lists the groups right below, in whatever hierarchy, by name.
func (g *Group) Children() ([]*Group, error) {
	list, err := g.need("list " + g.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range list {
		below, err := h.list(g.path, true)
		if err != nil {
			if isGone(err) {
				continue
			}
			return nil, &Error{Op: "list " + g.path, Group: g.path, File: h.Dir(g.path), Err: bare(err)}
		}
		names = append(names, below...)
	}
	slices.Sort(names)
	var children []*Group
	for _, name := range slices.Compact(names) {
		children = append(children, &Group{fs: g.fs, path: path.Join(g.path, name), force: g.force})
	}
	return children, nil
}
