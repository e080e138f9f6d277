package enter

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// add opens one namespace.
func (p *Plan) add(r Request) error {
	own, err := ownNamespace(r.Type)
	if errors.Is(err, unix.ENOENT) {
		p.Skipped = append(p.Skipped, Skip{inspect.ID{Type: r.Type}, r.Target.Name(), "this kernel has no such namespaces"})
		return nil
	}
	if err != nil {
		return err
	}
	file, id, err := r.Target.OpenNamespace(r.Type)
	if err != nil {
		return explainOpen("the "+r.Type.String()+" namespace", r.Target, err)
	}
	j := Join{ID: id, From: r.Target.Name(), file: file}
	if skipped, err := p.skipOwn(j, own); skipped || err != nil {
		return err
	}
	if r.Target.TID == 0 && r.Target.PIDFD() >= 0 {
		j.pid = r.Target.PID
		if j.pidfd, err = dup(r.Target.PIDFD(), "pidfd"); err != nil {
			file.Close()
			return err
		}
	}
	p.Joins = append(p.Joins, j)
	return nil
}

// skipOwn closes and skips a namespace that is our own.
func (p *Plan) skipOwn(j Join, own os.FileInfo) (bool, error) {
	theirs, err := j.file.Stat()
	if err != nil {
		j.file.Close()
		return false, fmt.Errorf("looking at %s: %w", j.ID, err)
	}
	if !os.SameFile(own, theirs) {
		return false, nil
	}
	j.file.Close()
	p.Skipped = append(p.Skipped, Skip{j.ID, j.From, "it is our own"})
	return true, nil
}

// addParent joins the user namespace that owns one of the others or, of a user
// namespace, its parent, which is its owner as well (user_namespaces(7)).
func (p *Plan) addParent() error {
	if len(p.Joins) == 0 {
		return errors.New("joining the user namespace above the others: there are no others")
	}
	i := p.index(inspect.User)
	of := p.Joins[max(i, 0)]
	what := "the user namespace above " + of.ID.String()
	own, err := ownNamespace(inspect.User)
	if err != nil {
		return err
	}
	fd, err := linux.NSUserns(int(of.file.Fd()))
	if err != nil {
		e := explained("opening "+what, err, "")
		if errors.Is(err, unix.EPERM) {
			e.Why, e.Reason = "our own user namespace is not above it, or there is none above", ErrPermission
		}
		return e
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return fmt.Errorf("looking at %s: %w", what, err)
	}
	j := Join{ID: inspect.ID{Type: inspect.User, Inode: st.Ino}, From: of.ID.String(), file: os.NewFile(uintptr(fd), what)}
	if i >= 0 {
		of.close()
		p.Joins = slices.Delete(p.Joins, i, i+1)
	}
	if skipped, err := p.skipOwn(j, own); skipped || err != nil {
		return err
	}
	p.Joins = append(p.Joins, j)
	return nil
}

func dup(fd int, name string) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(n), name), nil
}
