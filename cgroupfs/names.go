package cgroupfs

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// GroupOf is the group that a process is in, by its lines of /proc/PID/cgroup.
// Hierarchies in which it is further up do not count: with v1, systemd puts a
// service into a group of its own where it has to only. Two groups that are not
// one above the other are an error that names them.
func (fs *FS) GroupOf(memberships []Membership) (*Group, error) {
	at := "/"
	exited := false
	for _, m := range memberships {
		exited = exited || m.Exited
		known := slices.ContainsFunc(fs.hierarchies, func(h Hierarchy) bool { return h.Holds(m) })
		switch {
		case !known, isBelow(at, m.Path):
		case isBelow(m.Path, at):
			at = m.Path
		default:
			return nil, &Error{
				Op: "find its group", Err: unix.ENOTUNIQ, Cause: fmt.Sprintf("it is in several: %s and %s", at, m.Path),
				Next: "name one of them",
			}
		}
	}
	if exited && at == "/" {
		return nil, errExited
	}
	if outside(at) {
		return nil, &Error{Op: "find its group", Err: unix.EXDEV, Cause: at + " is outside of this cgroup namespace", Next: "run in the host's"}
	}
	return &Group{fs: fs, path: at}, nil
}

// unitSuffixes are those of systemd's units that have groups (systemd.unit(5)).
var unitSuffixes = []string{".service", ".scope", ".slice", ".socket", ".mount", ".swap"}

// IsUnit says that a name ends as those of systemd's units do.
func IsUnit(name string) bool {
	return slices.Contains(unitSuffixes, path.Ext(name)) && !strings.Contains(name, "/")
}

// InUnit says that a group is a unit's or below it, by its path alone: below slices.
func InUnit(group, unit string) bool {
	if !IsUnit(unit) {
		unit += ".service"
	}
	for part := range strings.SplitSeq(strings.Trim(group, "/"), "/") {
		if part == unit {
			return true
		}
		if path.Ext(part) != ".slice" {
			return false
		}
	}
	return false
}

// Unit finds the group of a unit of systemd's system manager: a directory of that
// name, below slices alone, since whoever a deeper group was delegated to could
// have made one.
func (fs *FS) Unit(ctx context.Context, name string) (*Group, error) {
	if !IsUnit(name) {
		name += ".service"
	}
	list, err := fs.units(ctx, name)
	if err != nil {
		return nil, err
	}
	switch len(list) {
	case 0:
		return nil, &Error{
			Op: "find unit " + name, Err: unix.ENOENT, Cause: "no slice has a group of that name: it does not run, or a user's manager has it",
			Next: "see systemctl status " + name + "; a user's has to be named by its path",
		}
	case 1:
		return &Group{fs: fs, path: list[0]}, nil
	}
	return nil, &Error{Op: "find unit " + name, Err: unix.ENOTUNIQ, Cause: "there are several: " + strings.Join(list, ", "), Next: "name one by its path"}
}

// units lists the groups of a unit.
func (fs *FS) units(ctx context.Context, name string) ([]string, error) {
	var h *Hierarchy
	all := fs.all().hierarchies
	for i := range all {
		if x := &all[i]; x.Name == "systemd" || h == nil && x.Version == 2 {
			h = x
		}
	}
	if h == nil {
		return nil, nil
	}
	var found []string
	var look func(group string)
	look = func(group string) {
		if ctx.Err() != nil {
			return
		}
		names, _ := h.list(group, true)
		for _, below := range names {
			if below == name {
				found = append(found, path.Join(group, below))
			}
			if strings.HasSuffix(below, ".slice") {
				look(path.Join(group, below))
			}
		}
	}
	look("/")
	return found, interrupted(ctx, "find unit "+name)
}

// Tops lists the uppermost groups that are shown: "/", or what is mounted where
// only a part of each hierarchy is, as in a container.
func (fs *FS) Tops() []*Group {
	var paths []string
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		if h.has("/", "") {
			return []*Group{{fs: fs, path: "/"}}
		}
		if h.Problem == "" {
			paths = append(paths, h.MountRoot)
		}
	}
	slices.Sort(paths)
	var tops []*Group
	for _, p := range slices.Compact(paths) {
		if !slices.ContainsFunc(tops, func(g *Group) bool { return isBelow(p, g.path) }) {
			tops = append(tops, &Group{fs: fs, path: p})
		}
	}
	return tops
}
