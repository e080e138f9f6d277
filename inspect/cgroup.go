package inspect

import (
	"context"
	"errors"
	"io/fs"

	"nsx/cgroupfs"
)

// Group is the cgroup that a word names: by its path ("/demo", "cgroup:/demo", or
// one below a mount point), a systemd unit's, or the one that a process or thread
// is in. That a path's group is there is not looked at. A word that can name no
// group is ErrUsage.
func (m Machine) Group(ctx context.Context, word string) (*cgroupfs.Group, error) {
	groups, err := m.cgroups()
	if err != nil {
		return nil, err
	}
	if word == "" || word[0] == '/' {
		return groupByPath(groups, groups.ParseGroupPath, word)
	}
	ref, err := ParseRef(word)
	if err != nil {
		return nil, noGroup(groups, word)
	}
	switch ref.Kind {
	case RefCgroup: // as /proc/PID/cgroup has it: not below a mount point
		return groupByPath(groups, cgroupfs.ParseGroupPath, ref.Path)
	case RefUnit:
		return unitGroup(groups, ref)
	case RefProcess, RefSelf:
		_, memberships, err := m.Memberships(ctx, word)
		if err != nil {
			return nil, err
		}
		return groups.GroupOf(memberships)
	}
	return nil, noGroup(groups, word)
}

// Memberships are the groups that a process or thread is in, one in each of the
// hierarchies that they come with.
func (m Machine) Memberships(ctx context.Context, word string) (*cgroupfs.FS, []cgroupfs.Membership, error) {
	groups, err := m.cgroups()
	if err != nil {
		return nil, nil, err
	}
	t, err := m.Resolve(ctx, word)
	if err != nil {
		return nil, nil, err
	}
	defer t.Close()
	text, err := t.ReadFile("cgroup")
	if err != nil {
		return nil, nil, err
	}
	memberships, err := groups.ParseMemberships(text)
	return groups, memberships, err
}

func (m Machine) cgroups() (*cgroupfs.FS, error) {
	return cgroupfs.Open(cgroupfs.Options{Root: m.root.Join()})
}

func groupByPath(groups *cgroupfs.FS, parse func(string) (string, error), word string) (*cgroupfs.Group, error) {
	path, err := parse(word)
	if err != nil {
		return nil, usageError{err}
	}
	return groups.Group(path)
}

func unitGroup(groups *cgroupfs.FS, r Ref) (*cgroupfs.Group, error) {
	group, err := groups.Unit(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = &goneError{err.Error(), err}
	}
	return group, err
}

// noGroup says what a word that names no group could be meant for.
func noGroup(groups *cgroupfs.FS, word string) error {
	if group, err := groups.Group("/" + word); err == nil && len(group.Hierarchies()) > 0 {
		return usagef("%q is no group: a group begins with /: did you mean %s?", word, group.Path())
	}
	return usagef("%q is no group: name a path that begins with / (/demo), a process (5151) or a unit (web.service)", word)
}
