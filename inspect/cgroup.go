package inspect

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/internal/proc"
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
		return groups.Unit(ctx, ref.Path)
	case RefProcess, RefSelf:
		_, memberships, err := m.Memberships(ctx, word)
		if err != nil {
			return nil, err
		}
		return groups.GroupOf(memberships)
	case RefIdentity, RefName:
		group, err := m.groupOfName(ctx, groups, ref)
		if errors.Is(err, ErrGone) && ref.Kind == RefName {
			return nil, noGroup(groups, word)
		}
		return group, err
	}
	return nil, noGroup(groups, word)
}

// groupOfName is the group around all processes that a name is of, which somebody has
// given a name: a container's, or for a pod that around its containers.
func (m Machine) groupOfName(ctx context.Context, groups *cgroupfs.FS, ref Ref) (*cgroupfs.Group, error) {
	s, err := m.lookFor(ctx, ref.need(Options{}), []Ref{ref}, nil)
	if err != nil {
		return nil, err
	}
	match, err := s.matchNames(ref, nil)
	if err != nil {
		return nil, err
	}
	around := s.groupsAround(groups, match.PIDs)
	if len(around) == 0 {
		return nil, gonef("%s has no cgroup of its own: its processes are in %s, as others may be", ref.Word, strings.Join(groupPaths(s.Process(match.PIDs[0]).Cgroups), " and "))
	}
	return groups.GroupOf(around)
}

// groupsAround are the groups with a claim to a name that all of some processes are in,
// the innermost of each hierarchy that is meant.
func (s *Snapshot) groupsAround(groups *cgroupfs.FS, pids []int) (around []cgroupfs.Membership) {
	for _, one := range s.Process(pids[0]).Cgroups {
		meant := slices.ContainsFunc(groups.Hierarchies(), func(h cgroupfs.Hierarchy) bool { return h.Holds(one) })
		if !meant {
			continue
		}
		claims := identity.Claims(one.Path)
		for _, claim := range slices.Backward(claims) {
			if s.allIn(pids, one.Hierarchy, claim.Path) {
				one.Path = claim.Path
				around = append(around, one)
				break
			}
		}
	}
	return around
}

// allIn says that all processes are in a group of one hierarchy, or below it.
func (s *Snapshot) allIn(pids []int, hierarchy int, group string) bool {
	for _, pid := range pids {
		if !slices.ContainsFunc(s.Process(pid).Cgroups, func(m cgroupfs.Membership) bool {
			return m.Hierarchy == hierarchy && (m.Path == group || strings.HasPrefix(m.Path, group+"/"))
		}) {
			return false
		}
	}
	return true
}

// Memberships are the groups that a process or thread is in, one in each of the
// hierarchies that they come with. Of a process whose leader has exited they are those
// of a thread that lives.
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
	exited := t.Exiting()
	if exited {
		if other, lives := t.ofLivingThread("cgroup"); lives {
			text, exited = other, false
		}
	}
	memberships, err := groups.ParseMemberships(text)
	if exited {
		memberships = cgroupfs.OfExited(memberships)
	}
	return groups, memberships, err
}

// ofLivingThread reads a file of the first thread of the process that has not exited.
func (t *Target) ofLivingThread(name string) (text []byte, lives bool) {
	dir, err := t.Open("task", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	tids, _ := dir.Readdirnames(-1)
	for _, tid := range tids {
		stat, err := t.ReadFile("task/" + tid + "/stat")
		if err != nil {
			continue
		}
		if st, err := proc.ParseStat(stat); err != nil || st.Exiting() {
			continue
		}
		if text, err := t.ReadFile("task/" + tid + "/" + name); err == nil {
			return text, true
		}
	}
	return nil, false
}

// cgroups opens the hierarchies that are meant.
func (m Machine) cgroups() (*cgroupfs.FS, error) {
	groups, err := cgroupfs.Open(cgroupfs.Options{Root: m.root.Join()})
	if err != nil || m.only == "" {
		return groups, err
	}
	return groups.Only(m.only)
}

func groupByPath(groups *cgroupfs.FS, parse func(string) (string, error), word string) (*cgroupfs.Group, error) {
	path, err := parse(word)
	if err != nil {
		return nil, err
	}
	return groups.Group(path)
}

// noGroup says what a word that names no group could be meant for.
func noGroup(groups *cgroupfs.FS, word string) error {
	if group, err := groups.Group("/" + word); err == nil && len(group.Hierarchies()) > 0 {
		return usagef("%q is no group: a group begins with /: did you mean %s?", word, group.Path())
	}
	return usagef("%q is no group: name a path that begins with / (/demo), a process (5151) or a unit (web.service)", word)
}
