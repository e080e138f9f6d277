package enter

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// chooseIDs chooses who the command is in the joined user namespace: root, or
// the target's own ids where the namespace has no root. of is the process whose
// ids are meant, user the one whose user namespace is joined.
func (p *Plan) chooseIDs(of, user *inspect.Target) error {
	o := p.options
	p.ids = credentials{uid: o.UID, gid: o.GID, dropGroups: o.UID != nil || o.GID != nil || o.TargetUID || o.TargetGID}
	if o.KeepCredentials {
		if p.ids.dropGroups {
			return usagef("keeping the credentials and setting a user or group exclude each other")
		}
		return nil
	}
	if o.Unshare.has(inspect.User) {
		if p.WillJoin(inspect.User) {
			last := p.ids
			p.ids = credentials{}
			if err := p.chooseInside(user); err != nil {
				return err
			}
			p.between, p.ids = p.ids, last
		}
		p.ids.inNew(o.Unshare)
		return nil
	}
	follow := o.TargetUID || o.TargetGID
	if follow && of == nil {
		return usagef("no process is named whose user or group it is")
	}
	if !p.WillJoin(inspect.User) {
		if o.TargetUID {
			p.ids.uid = &p.of.status.UID
		}
		if o.TargetGID {
			p.ids.gid = &p.of.status.GID
		}
		return nil
	}
	return p.chooseInside(user)
}

// chooseInside is chooseIDs for a user namespace that is joined.
func (p *Plan) chooseInside(user *inspect.Target) error {
	o := p.options
	p.ids.dropGroups = true
	if user == nil {
		p.ids.mayDeny = true // nobody to ask
		zero := uint32(0)
		p.ids.setDefaults(&zero, &zero)
		return nil
	}
	status, err := user.Status()
	if err == nil {
		p.ids.uids, err = user.IDMap("uid_map")
	}
	if err == nil {
		p.ids.gids, err = user.IDMap("gid_map")
	}
	if err != nil {
		return explainOpen("the id maps", user, err)
	}
	if p.ids.uids == nil { // known, and empty
		p.ids.uids = inspect.IDMap{}
	}
	if p.ids.gids == nil {
		p.ids.gids = inspect.IDMap{}
	}
	if deny, err := user.ReadFile("setgroups"); err == nil { // Linux 3.19
		p.ids.mayDeny = string(deny) == "deny\n"
	}
	uid, gid := new(insideID(p.ids.uids, status.UID, o.TargetUID)), new(insideID(p.ids.gids, status.GID, o.TargetGID))
	if p.mayStay(status) {
		// Without a map there is nobody that one could become, and setgroups(2)
		// is refused.
		if len(p.ids.uids) == 0 && !o.TargetUID {
			uid = nil
		}
		if len(p.ids.gids) == 0 && !o.TargetGID {
			gid, p.ids.mayDeny = nil, true
		}
	}
	p.ids.setDefaults(uid, gid)
	return nil
}

// mayStay says that the command may be who we are where the joined user
// namespace maps nobody. The target's own code may not, unless that is who the
// target is: to files and much of /proc/sys, root is root without any capability.
func (p *Plan) mayStay(target inspect.Status) bool {
	return !p.Untrusted() || target.UID == uint32(os.Geteuid()) && target.GID == uint32(os.Getegid())
}

// inNew chooses the ids in a new user namespace: root, where the maps have it.
// Supplementary groups are kept: where only the caller's own group is mapped,
// setgroups(2) is denied.
func (i *credentials) inNew(n *Unshare) {
	i.uids, i.gids = n.UIDs, n.GIDs
	i.mayDeny = true
	zero := uint32(0)
	if i.uid == nil && n.UIDs.Has(0) {
		i.uid = &zero
	}
	if i.gid == nil && n.GIDs.Has(0) {
		i.gid = &zero
	}
}

func (i *credentials) setDefaults(uid, gid *uint32) {
	if i.uid == nil {
		i.uid = uid
	}
	if i.gid == nil {
		i.gid = gid
	}
}

// insideID is 0 where that is mapped, and otherwise, or to follow it, what the
// target's id is called inside.
func insideID(m inspect.IDMap, target uint32, follow bool) uint32 {
	if inside, ok := m.Inside(target); ok && (follow || !m.Has(0)) {
		return inside
	}
	return 0
}

// steps changes the ids. The group comes first, while we may still.
func (i credentials) steps(p *launcher.Program) {
	if i.dropGroups {
		step := dropGroups(p)
		if i.mayDeny {
			step.Ignore()
		}
	}
	i.setgid(p)
	i.setuid(p)
}

// dropGroups leaves the supplementary groups behind.
func dropGroups(p *launcher.Program) launcher.Step {
	return p.Setgroups(nil).Explain(onErrno(unix.EPERM,
		"the user namespace denies setgroups(2), or it takes CAP_SETGID there: the groups can only be kept", ErrNoIDs))
}

func (i credentials) setgid(p *launcher.Program) {
	if i.gid != nil {
		p.Setgid(*i.gid).Explain(because(func(errno unix.Errno) (string, error) { return unmapped("group", *i.gid, i.gids, errno) }))
	}
}

func (i credentials) setuid(p *launcher.Program) {
	if i.uid != nil {
		p.Setuid(*i.uid).Explain(because(func(errno unix.Errno) (string, error) { return unmapped("user", *i.uid, i.uids, errno) }))
	}
}

// unmapped says why a user or group cannot be changed to. The map is that of the
// user namespace, nil if it is not known.
func unmapped(kind string, id uint32, m inspect.IDMap, errno unix.Errno) (string, error) {
	switch {
	case errno == unix.EPERM:
		return "it takes CAP_SETUID and CAP_SETGID in the user namespace: join that too, or run as root", ErrPermission
	case errno != unix.EINVAL:
		return "", nil
	case m != nil && len(m) == 0:
		return fmt.Sprintf("the user namespace maps no %s at all: keep yours", kind), ErrNoIDs
	case m != nil:
		return fmt.Sprintf("%s %d is not mapped in the user namespace, which maps %s", kind, id, m), ErrNotMapped
	}
	return fmt.Sprintf("%s %d is not mapped in the user namespace", kind, id), ErrNotMapped
}
