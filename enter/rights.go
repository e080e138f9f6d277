package enter

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// chooseRights limits a command that is the target's own code to the rights of
// the process whose mount namespace or root it is, whoever else is named: that
// process had the files written that are run. of is the process if only its root
// is entered; mnt is nil if a namespace is named.
func (p *Plan) chooseRights(ctx context.Context, of, mnt *inspect.Target) error {
	if !p.Untrusted() {
		return nil
	}
	if err := p.refuseUnsafe(); err != nil {
		return err
	}
	if mnt == nil && !p.WillJoin(inspect.Mnt) {
		mnt = of
	}
	if mnt == nil {
		join := p.Joins[p.index(inspect.Mnt)]
		var err error
		if mnt, err = resident(ctx, join.ID); err != nil {
			return fmt.Errorf("looking for a process in %s, whose rights the command is to have: %w", join.ID, err)
		}
		if mnt == nil {
			return refused(ErrUnsafe, fmt.Sprintf("entering %s of %s", join.ID, join.From), unix.ESRCH, "no process is in it, whose rights its programs could be given")
		}
		defer mnt.Close()
	}
	if p.index(inspect.PID) < 0 {
		// In our PID namespace its programs would see, signal and trace our
		// processes.
		if err := p.add(Request{inspect.PID, mnt}); err != nil {
			return err
		}
		if i := p.index(inspect.PID); i >= 0 {
			p.Joins[i].added = true
		}
		p.sortJoins()
	}
	if p.options.NoFork && p.WillJoin(inspect.PID) {
		return refused(ErrUnsafe, "the command is the target's own code", unix.EPERM, "without a fork it would be in our PID namespace, where it sees and signals processes that are not the target's")
	}
	if mnt.PIDFD() < 0 {
		return refused(ErrUnsafe, "entering "+mnt.Name(), unix.ESRCH, "the /proc here is another PID namespace's than ours, so that the command cannot be looked at from outside before it runs: mount a /proc of ours")
	}
	if err := p.takeRights(ctx, mnt); err != nil {
		return err
	}
	return p.checkHome(mnt)
}

// takeRights reads what the command takes over from the target. That is before
// checkHome: nobody comes back from a child user namespace, so what was read of a
// process that is still in its user namespace is worth what it is worth there.
func (p *Plan) takeRights(ctx context.Context, t *inspect.Target) error {
	status, err := t.Status()
	if err != nil {
		return explainOpen("the status", t, err)
	}
	own, err := ownBounding(ctx)
	if err != nil {
		return err
	}
	if p.WillJoin(inspect.User) {
		own = launcher.AllCapabilities()
	}
	r := &rights{of: t.Name(), bounding: status.Bounding & own, permitted: status.Permitted, noNewPrivs: status.NoNewPrivs}
	p.rights = r
	if err := p.takeIDs(t, status); err != nil {
		return err
	}
	if err := p.withoutNetwork(t); err != nil {
		return err
	}
	if r.label, err = labelOf(t); err != nil {
		return &Error{What: "reading the security label of " + t.Name() + ", which the command is to have", Err: err, Reason: ErrLabel}
	}
	// Before the filters, which a container that v1 has frozen does not stop for.
	if err := p.takeGroups(t); err != nil {
		return err
	}
	if status.Seccomp != 0 && !p.options.NoSeccomp {
		if r.filters, err = filtersOf(ctx, t); err != nil {
			return explainFilters(t, err)
		}
	}
	return p.takeEnvironment(ctx, t, status)
}

// takeIDs makes the target's user and group those of the command, if no others
// are asked for, as docker exec does: its files and environment may be that user's,
// and would choose what runs as another one.
func (p *Plan) takeIDs(t *inspect.Target, s inspect.Status) error {
	if o := &p.options; o.KeepCredentials || o.UID != nil {
		return nil
	}
	for _, id := range []struct {
		file      string
		of        uint32
		to, asked **uint32
	}{{"uid_map", s.UID, &p.ids.uid, &p.options.UID}, {"gid_map", s.GID, &p.ids.gid, &p.options.GID}} {
		if *id.asked != nil {
			continue
		}
		if !p.WillJoin(inspect.User) {
			*id.to = new(id.of)
			continue
		}
		m, err := t.IDMap(id.file)
		if err != nil {
			return explainOpen("the id maps", t, err)
		}
		if inside, ok := m.Inside(id.of); ok {
			*id.to = new(inside)
		}
	}
	return nil
}

// refuseUnsafe refuses what cannot be done for the target's code without giving it
// more than the target has.
func (p *Plan) refuseUnsafe() error {
	o := &p.options
	why := ""
	switch {
	case o.Unshare != nil && len(o.Unshare.Types) > 0:
		why = "new namespaces for it would be made with rights that the target does not have"
	case o.MountProc:
		why = "a new /proc lacks what the target's own /proc hides or makes read-only"
	case o.MountSys:
		why = "a new /sys lacks what the target's own /sys hides or makes read-only"
	case o.KeepCredentials && p.WillJoin(inspect.User):
		why = "it would keep our ids, those of a user of this host, in the target's user namespace"
	default:
		return nil
	}
	return refused(ErrUnsafe, "the command is the target's own code", unix.EPERM, why)
}
