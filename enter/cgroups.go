package enter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// groupSteps starts the helper in the cgroups: in that of v2 it is born
// (CLONE_INTO_CGROUP), unless that fails, to the others we move it while it waits.
func (p *Plan) groupSteps(prog *launcher.Program, attr *launcher.Attr) {
	if in := p.entrance(); in != nil && in.String() != "" {
		attr.Cgroup = in.Dir()
		prog.Parent("joining the cgroups", in.Admit)
	}
}

// groupRefusal explains why the helper was not born in its group of v2, or its
// child in any; nil if that is not why it failed.
func (p *Plan) groupRefusal(err error) error {
	in := p.entrance()
	if in == nil {
		return nil
	}
	if refused, ok := errors.AsType[*cgroupfs.Error](in.Explain(err)); ok {
		return refused
	}
	return nil
}

// openGroups opens the target's group in every mounted hierarchy.
func (p *Plan) openGroups(t *inspect.Target) error {
	theirs, fs, err := groupsOf(t)
	if err == nil {
		p.inside, err = fs.OpenOf(theirs)
	}
	return err
}

// takeGroups opens the target's cgroups for a command that is its code: they hold
// its devices and limits. Who stays outside must not make device files.
func (p *Plan) takeGroups(t *inspect.Target) error {
	theirs, fs, err := groupsOf(t)
	if err != nil {
		return err
	}
	if p.options.OwnCgroup {
		p.rights.withoutDevices()
		if err := p.checkDevices(fs, theirs); err != nil {
			return err
		}
		// This one is not about accounting.
		theirs = slices.DeleteFunc(theirs, func(m cgroupfs.Membership) bool { return !slices.Contains(m.Controllers, "devices") })
	}
	if err = unmounted(fs, theirs); err == nil {
		p.inside, err = fs.OpenOf(theirs)
	}
	switch {
	case err == nil:
		p.memberships = theirs
		return nil
	case ordinary() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
		p.rights.withoutDevices()
		p.notes = append(p.notes, "the command stays in our own cgroups, without the limits of "+t.Name()+": "+err.Error())
		return nil
	case p.options.OwnCgroup:
		return err
	}
	reason := ErrCgroups
	if p.checkDevices(fs, theirs) != nil {
		reason = ErrUnsafe // to stay outside is no way out
	}
	return &Error{What: "joining the cgroups of " + t.Name(), Err: err, Why: err.Error(), Reason: reason, ours: true}
}

// ordinary says that we are a user who enters nothing but his own, and could open by
// himself what its root has left open there. Whoever has CAP_SYS_ADMIN over the machine,
// as a service may without being root, enters other people's.
func ordinary() bool {
	overMachine := linux.HasCapability(unix.CAP_SYS_ADMIN) && linux.InInitialUserNamespace()
	return unix.Geteuid() != 0 && !overMachine
}

// checkDevices refuses to leave a command outside of a group of v2 whose programs
// rule its devices, or may do so: root of the target may have made device files
// before, for everybody.
func (p *Plan) checkDevices(fs *cgroupfs.FS, theirs []cgroupfs.Membership) error {
	i := slices.IndexFunc(theirs, func(m cgroupfs.Membership) bool { return m.Hierarchy == 0 })
	if i < 0 || ordinary() {
		return nil
	}
	own, err := fs.Memberships(0)
	if err != nil || slices.ContainsFunc(own, func(o cgroupfs.Membership) bool { return o.Hierarchy == 0 && o.Path == theirs[i].Path }) {
		return err
	}
	const leaving = "leaving the command in our own cgroups"
	g, err := fs.Group(theirs[i].Path)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(g.Hierarchies(), func(h cgroupfs.Hierarchy) bool { return h.Version == 2 }) {
		return refused(ErrUnsafe, leaving, unix.ENOENT,
			fmt.Sprintf("a program of cgroup v2 may say which devices %s may open, and that group is not to be seen here", theirs[i].Path))
	}
	programs, err := g.DevicePrograms()
	if err == nil && len(programs) > 0 {
		err = refused(ErrUnsafe, leaving, unix.EPERM,
			fmt.Sprintf("a program of cgroup v2 (%s) says which devices %s may open, and would not hold it", programs[0], theirs[i].Path))
	}
	return err
}

// groupsOf reads which cgroups the target is in.
func groupsOf(t *inspect.Target) ([]cgroupfs.Membership, *cgroupfs.FS, error) {
	text, err := t.ReadFile("cgroup")
	if errors.Is(err, unix.ENOENT) && t.Alive() {
		text, err = nil, nil // a kernel without cgroups
	}
	if err != nil {
		return nil, nil, explainOpen("the cgroups", t, err)
	}
	theirs, err := cgroupfs.ParseMemberships(text)
	if err != nil {
		return nil, nil, err
	}
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return theirs, nil, err
	}
	fs.CheckDeleted(theirs)
	return theirs, fs, nil
}

// frozenBy says for which group the target stands still, nil if that is none.
func frozenBy(t *inspect.Target) error {
	theirs, fs, err := groupsOf(t)
	if err != nil {
		return nil
	}
	return fs.FrozenBy(theirs)
}

// unmounted refuses memberships in hierarchies that are not to be seen here, and
// in which we are elsewhere.
func unmounted(fs *cgroupfs.FS, theirs []cgroupfs.Membership) error {
	own, err := fs.Memberships(0)
	if err != nil {
		return err
	}
	for _, m := range theirs {
		same := slices.ContainsFunc(own, func(o cgroupfs.Membership) bool { return o.Hierarchy == m.Hierarchy && o.Path == m.Path })
		seen := slices.ContainsFunc(fs.Hierarchies(), func(h cgroupfs.Hierarchy) bool { return h.Holds(m) })
		if !same && !seen {
			where := fmt.Sprintf("the hierarchy %d (%s)", m.Hierarchy, strings.Join(m.Controllers, ","))
			if m.Hierarchy == 0 {
				where = "cgroup v2"
			}
			return refused(nil, fmt.Sprintf("joining the group %s of %s", m.Path, where), unix.ENOENT, "it is not mounted here")
		}
	}
	return nil
}
