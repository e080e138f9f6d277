package inspect

import (
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/internal/linux"
)

// Names that an ordinary user or a container could have forged, though no user's name
// stands in them.

// delegations knows which groups lie where somebody else than root may make groups, by
// any name. In a captured tree there are none: whoever has unpacked it owns all of it.
type delegations struct {
	machine Machine
	asked   bool
	groups  *cgroupfs.FS      // nil: all is believed
	owners  map[string]uint32 // of directories
}

// open reads the mount table, which is long on some machines, when it is needed.
func (d *delegations) open() {
	if d.asked {
		return
	}
	d.asked, d.owners = true, map[string]uint32{}
	if d.machine.isLive() {
		d.groups, _ = d.machine.cgroups() // without them there are no names to believe either
	}
}

// distrust gives an identity to the user who could have made the group by whose name it
// is known. Of one that is nested in others the outermost counts, which all the rest
// depends on. A supervisor of root's that says the same vouches for it.
func (d *delegations) distrust(list []cgroupfs.Membership, id *identity.Identity) {
	outer := id
	if len(id.Parents) > 0 {
		outer = &id.Parents[0]
	}
	if outer.By == identity.ByCgroup && outer.OwnerUID == 0 {
		outer.OwnerUID = d.maker(list, outer)
	}
}

// maker is the user who could have made the group by whose name something has been
// identified, 0 if that is root alone: making one takes a right to the group above, and
// somebody who is not root has that if it, or one above it, is his. (The group itself may
// belong to root of a container whose ids are others outside.)
func (d *delegations) maker(list []cgroupfs.Membership, id *identity.Identity) (uid uint32) {
	if d.open(); d.groups == nil {
		return 0
	}
	for _, m := range list {
		group := groupSaying(m.Path, id)
		if group == "" {
			continue
		}
		if uid = d.ownerAbove(m, group); uid == 0 {
			return 0
		}
	}
	return uid
}

// groupSaying is the group by whose name something is known that is nested in nothing:
// that group, or one above it. "" if no name in the path says so.
func groupSaying(path string, id *identity.Identity) (group string) {
	for _, c := range identity.Claims(path) {
		if found, ok := identity.FromPath(c.Path); ok && found.Same(id) {
			group = identity.GroupOf(c.Path)
		}
	}
	return group
}

// ownerAbove is the first one who is not root among the owners of the groups above one,
// from the root of the hierarchy on.
func (d *delegations) ownerAbove(m cgroupfs.Membership, group string) uint32 {
	for _, h := range d.groups.Hierarchies() {
		if !h.Holds(m) {
			continue
		}
		at := "/"
		for part := range strings.SplitSeq(strings.Trim(path.Dir(group), "/"), "/") {
			at = path.Join(at, part)
			if uid := d.owner(h.Dir(at)); uid != 0 {
				return uid
			}
		}
	}
	return 0
}

// owner is whose a directory is; root's if it is out of sight.
func (d *delegations) owner(dir string) uint32 {
	uid, known := d.owners[dir]
	if known {
		return uid
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil {
		uid = st.Uid
	}
	if uid == overflowUID && !linux.InInitialUserNamespace() {
		uid = 0 // or root's, which is not to be told from here
	}
	d.owners[dir] = uid
	return uid
}

// overflowUID stands for users that a user namespace does not map (user_namespaces(7)).
const overflowUID = 65534

// mayVouch says that a process that is root's, and calls itself a supervisor, speaks for
// root of the machine. Root of a container need not do so, which its PID or user
// namespace shows where no name of its group does; nor somebody who has started a
// set-user-ID program of root's by a name and with arguments of his choice.
func (n *namer) mayVouch(m Machine, p *Process) bool {
	if first := n.snapshot.Process(1); first != nil {
		for _, t := range []Type{PID, User} {
			if a, b := p.NS[t], first.NS[t]; a != b && a != 0 && b != 0 {
				return false
			}
		}
	}
	return !m.isLive() || !setsUserID(m.join(strconv.Itoa(p.PID), "exe"))
}

// setsUserID looks at a program, without asking the server that its file may be on.
func setsUserID(exe string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, exe, unix.AT_STATX_DONT_SYNC, unix.STATX_MODE, &st)
	return err == nil && st.Mode&unix.S_ISUID != 0
}
