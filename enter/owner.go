package enter

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// explain says why setns(2) was refused.
func (j Join) explain(err error) error {
	e := explained(fmt.Sprintf("joining %s of %s", j.ID, j.From), err, "")
	switch {
	case errors.Is(err, unix.EPERM):
		e.Why, e.Reason = j.explainEPERM(), ErrPermission
	case errors.Is(err, unix.EINVAL) && j.ID.Type == inspect.PID:
		e.Why = "one can only join PID namespaces below one's own (setns(2)), and this one is not"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOSPC):
		e.Why, e.Reason = "see the limits in /proc/sys/user", ErrLimit
	}
	return e
}

func (j Join) explainEPERM() string {
	caps := "CAP_SYS_ADMIN"
	if j.ID.Type == inspect.Mnt {
		caps = "CAP_SYS_ADMIN and CAP_SYS_CHROOT"
	}
	owner, err := ownerOf(j.file)
	if err != nil {
		return fmt.Sprintf("it takes %s in the user namespace that owns it, which is not ours or below it: run as root of the host", caps)
	}
	if own, err := ownNamespace(inspect.User); err == nil && own.Sys().(*syscall.Stat_t).Ino == owner.id.Inode {
		next := "run as root"
		if unix.Geteuid() == 0 {
			next = "we are root without it, as in a container that was started without it"
		}
		return fmt.Sprintf("it is owned by our own user namespace, and it takes %s here: %s", caps, next)
	}
	why := fmt.Sprintf("it is owned by %s", owner.id)
	next := "run as root of that namespace"
	if owner.uid != nil {
		why += fmt.Sprintf(" of uid %d", *owner.uid)
		if *owner.uid != uint32(unix.Geteuid()) {
			next = fmt.Sprintf("run as uid %d or as root of that namespace", *owner.uid)
		} else if j.ID.Type != inspect.User {
			next = "join that user namespace too"
		}
	}
	return fmt.Sprintf("%s, and it takes %s there: %s", why, caps, next)
}

// nsOwner is the user namespace that owns another one (for a user namespace:
// itself), and who made it.
type nsOwner struct {
	id  inspect.ID
	uid *uint32
}

// ownerOf asks the kernel. EPERM: the owner is outside of our view.
func ownerOf(ns *os.File) (nsOwner, error) {
	fd := int(ns.Fd())
	if typ, err := linux.NSType(fd); err != nil || typ != unix.CLONE_NEWUSER {
		if fd, err = linux.NSUserns(fd); err != nil {
			return nsOwner{}, err
		}
		defer unix.Close(fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nsOwner{}, err
	}
	o := nsOwner{id: inspect.ID{Type: inspect.User, Inode: st.Ino}}
	if uid, err := linux.NSOwnerUID(fd); err == nil {
		o.uid = &uid
	}
	return o, nil
}

// mayJoin guesses whether we may join a namespace, to find out which one of
// several was refused: root may, and so may the owner who joins the user
// namespace as well.
func (p *Plan) mayJoin(j Join) bool {
	o, err := ownerOf(j.file)
	if err != nil {
		return false
	}
	uid := uint32(unix.Geteuid())
	return uid == 0 || o.uid != nil && *o.uid == uid && p.WillJoin(inspect.User)
}

// ownNamespace looks at the namespace that we are in. ENOENT: the kernel has none.
func ownNamespace(t inspect.Type) (os.FileInfo, error) {
	own, err := os.Stat("/proc/thread-self/ns/" + t.String())
	if err != nil {
		return nil, fmt.Errorf("looking at our own %s namespace: %w", t, err)
	}
	return own, nil
}
