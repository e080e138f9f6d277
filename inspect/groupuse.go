package inspect

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
)

// GroupUse is a cgroup with what it has used, which is nil if that is not known.
type GroupUse struct {
	Path string         `json:"path"`
	Use  *cgroupfs.Stat `json:"use"`
}

// groups finds the group that the target is in, what binds there, and its use.
func (l *look) groups(ctx context.Context) {
	p, memberships := l.profile, l.process.Cgroups
	if p.Thread != nil && p.Thread.Cgroups != nil {
		memberships = p.Thread.Cgroups
	}
	if memberships == nil {
		return // it has been counted among what could not be read
	}
	fs, err := l.machine.cgroups()
	if err != nil {
		l.missing("cgroup", err)
		return
	}
	if p.Thread == nil && l.process.State == Zombie {
		memberships = cgroupfs.OfExited(memberships)
		if _, known, err := l.machine.Memberships(ctx, strconv.Itoa(l.process.PID)); err == nil {
			memberships = known // of a thread that lives
		}
	}
	if binding, err := fs.EffectiveOf(ctx, memberships); err == nil {
		p.Limits = &binding
	} else {
		l.missing("limits", err)
	}
	groups, err := l.groupsOf(ctx, fs, memberships)
	if err != nil {
		l.missing("cgroup", err)
	}
	for _, group := range groups {
		p.addGroup(ctx, group)
	}
}

// groupsOf is the group of the name that the target is, around all its processes, or
// else that of the process: several where hierarchies of v1 have it in different ones.
func (l *look) groupsOf(ctx context.Context, fs *cgroupfs.FS, memberships []cgroupfs.Membership) (list []*cgroupfs.Group, err error) {
	one := func(group *cgroupfs.Group, err error) ([]*cgroupfs.Group, error) {
		if err != nil {
			return nil, err
		}
		return []*cgroupfs.Group{group}, nil
	}
	switch l.ref.Kind {
	case RefIdentity, RefName:
		if around := l.snapshot.groupsAround(fs, l.profile.PIDs); len(around) > 0 {
			memberships = around
		}
	case RefCgroup:
		return one(fs.Group(l.ref.Path))
	case RefUnit:
		return one(fs.Unit(ctx, l.ref.Path))
	}
	list, err = one(fs.GroupOf(memberships))
	if !errors.Is(err, unix.ENOTUNIQ) {
		return list, err
	}
	for _, m := range memberships {
		group, err := fs.GroupOf([]cgroupfs.Membership{m})
		if err != nil {
			return list, err
		}
		path := strings.TrimSuffix(group.Path(), "/") + "/"
		if slices.ContainsFunc(list, func(g *cgroupfs.Group) bool { return strings.HasPrefix(g.Path()+"/", path) }) {
			continue
		}
		list = slices.DeleteFunc(list, func(g *cgroupfs.Group) bool { return strings.HasPrefix(path, strings.TrimSuffix(g.Path(), "/")+"/") })
		list = append(list, group)
	}
	return list, nil
}

// addGroup adds a group with its use.
func (p *Profile) addGroup(ctx context.Context, group *cgroupfs.Group) {
	g := GroupUse{Path: group.Path()}
	if use, err := group.Stat(ctx); err == nil {
		g.Use = &use
	} else {
		p.miss(0, "use of "+g.Path, err)
	}
	p.Groups = append(p.Groups, g)
}
