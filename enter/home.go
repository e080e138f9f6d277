package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// resident is a process in the namespace, nil if there is none.
func resident(ctx context.Context, id inspect.ID) (*inspect.Target, error) {
	s, err := inspect.Scan(ctx, inspect.Options{})
	if err != nil {
		return nil, err
	}
	t, err := inspect.Machine{}.Pin(ctx, s, id)
	switch {
	case errors.Is(err, inspect.ErrGone):
		return nil, nil
	case err == nil && t.PID == 0:
		return nil, t.Close()
	}
	return t, err
}

// checkHome looks whether the target is still in the namespaces that were opened,
// and refuses to run code of another user namespace in ours: a process has
// whatever bounding set it likes in one of its own (user_namespaces(7)), and the
// same set is worth everything here.
func (p *Plan) checkHome(t *inspect.Target) error {
	home, file, err := p.homeOf(t)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	i := p.index(inspect.Mnt)
	if i < 0 {
		return nil
	}
	join := p.Joins[i]
	now, id, err := t.OpenNamespace(inspect.Mnt)
	if err != nil {
		return explainOpen("the mount namespace", t, err)
	}
	now.Close()
	if id != join.ID {
		return ErrMoved
	}
	// unshare(2) switches the mount namespace before the credentials, with an RCU
	// grace period in between (ksys_unshare in kernel/fork.c). So the mount
	// namespace has to belong to that user namespace or to one above it.
	owner, err := ownerOf(join.file)
	if err != nil {
		return nil //nolint:nilerr // EPERM: it is one above ours, and joining will be refused
	}
	return ownedFromAbove(owner.id, home, file)
}

// homeOf opens the user namespace that the target is in, which has to be ours or
// joined. The file is nil where the kernel has none.
func (p *Plan) homeOf(t *inspect.Target) (inspect.ID, *os.File, error) {
	own, err := ownNamespace(inspect.User)
	switch {
	case errors.Is(err, unix.ENOENT):
		return inspect.ID{}, nil, nil
	case err != nil:
		return inspect.ID{}, nil, err
	}
	file, home, err := t.OpenNamespace(inspect.User)
	if err != nil {
		return inspect.ID{}, nil, explainOpen("the user namespace", t, err)
	}
	theirs, err := file.Stat()
	i := p.index(inspect.User)
	switch {
	case err != nil:
	case i >= 0 && p.Joins[i].ID == home, i < 0 && os.SameFile(own, theirs):
		return home, file, nil
	case p.asked(inspect.User, t):
		err = ErrMoved
	default:
		err = refused(ErrUserNamespace, fmt.Sprintf("running programs of %s without %s", t.Name(), home), unix.EPERM,
			"they have rights only in that user namespace, and would have ours: join it too")
	}
	file.Close()
	return home, nil, err
}

// asked says that the target's namespace of a type was requested.
func (p *Plan) asked(typ inspect.Type, t *inspect.Target) bool {
	return slices.ContainsFunc(p.Joins, func(j Join) bool { return j.ID.Type == typ && j.From == t.Name() }) ||
		slices.ContainsFunc(p.Skipped, func(s Skip) bool { return s.ID.Type == typ && s.From == t.Name() })
}

// ownedFromAbove says whether a user namespace, the owner, is the one that is
// open as home or one above it.
func ownedFromAbove(owner, home inspect.ID, file *os.File) error {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	for at := home.Inode; err == nil; {
		if at == owner.Inode {
			unix.Close(fd)
			return nil
		}
		var up int
		up, err = linux.NSParent(fd)
		unix.Close(fd)
		if err == nil {
			fd = up
			var st unix.Stat_t
			err = unix.Fstat(fd, &st)
			at = st.Ino
		}
	}
	return ErrMoved
}
