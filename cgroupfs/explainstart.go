package cgroupfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// refuseFrozen refuses a group in which a start would hang.
func (fs *FS) refuseFrozen(h *Hierarchy, group string) error {
	by := h.stoppedBy(group)
	if by == "" {
		return nil
	}
	e := &Error{
		Op: "start in " + group, Group: group, File: h.Dir(group), Err: unix.EBUSY,
		Cause: by + " is frozen, and whoever starts something there hangs",
	}
	fs.thawing(e, "thaw it", by)
	return e
}

// Explain says why a command does not start, if that is for the group: the kernel
// refuses to have it born there, or to let it fork there. It returns an *Error
// then, and any other error as it is.
func (e *Entrance) Explain(err error) error {
	if err == nil {
		return nil
	}
	for _, d := range e.doors {
		if cause := d.pidsBound(1); errors.Is(err, unix.EAGAIN) && cause != "" {
			return &Error{Op: "start in " + d.group, Group: d.group, File: d.h.Dir(d.group), Err: unix.EAGAIN, Cause: cause}
		}
	}
	if e.v2 != nil {
		return e.fs.explainStart(e.fs.v2(), e.v2at, err)
	}
	return err
}

// explainStart tells a refusal of the group from one of the program: no such
// file, no right to execute it, and so on are left as they are.
func (fs *FS) explainStart(h *Hierarchy, group string, err error) error {
	e := &Error{Op: "start in " + group, Group: group, File: h.Dir(group), Err: bare(err)}
	switch {
	case e.errno() == unix.EAGAIN:
		e.Cause = h.pidsBound(group, 1)
	case !h.has(group, ""):
		fs.common(e, h, group, "")
	case e.errno() == unix.EOPNOTSUPP || e.errno() == unix.EBUSY:
		return fs.explainAttach(h, group, "cgroup.procs", os.Getpid(), err)
	case e.errno() == unix.EACCES && unix.Access(path.Join(h.Dir(group), "cgroup.procs"), unix.W_OK) != nil:
		fs.common(e, h, group, "cgroup.procs")
	case e.errno() == unix.EACCES && fs.foreign(h, group):
		fs.explainDelegation(e, h, group, "cgroup.procs", os.Getpid())
	}
	if e.Cause == "" {
		return err
	}
	return e
}

// foreign says whether the caller may not write to the group above both itself
// and the given one.
func (fs *FS) foreign(h *Hierarchy, group string) bool {
	m, ok := fs.memberOf(os.Getpid(), h)
	return ok && unix.Access(path.Join(h.Dir(commonAncestor(m.Path, group)), "cgroup.procs"), unix.W_OK) != nil
}

// pidsBound finds the limit on processes that does not let the group have so
// many more; empty if there is none.
func (h *Hierarchy) pidsBound(group string, more int64) string {
	if !slices.Contains(h.Controllers, "pids") {
		return ""
	}
	for _, at := range ancestors(group) {
		f := files{h: h, group: at}
		limit, limited := f.limit("pids.max").Get()
		now, known := f.number("pids.current").Get()
		if limited && known && now+more > limit {
			return fmt.Sprintf("%s has %d of at most %d processes and threads (pids.max)", at, now+more-1, limit)
		}
	}
	return ""
}

func (d door) pidsBound(more int64) string { return d.h.pidsBound(d.group, more) }
