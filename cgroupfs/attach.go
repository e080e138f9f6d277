package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Attach moves whole processes into the group, in every hierarchy that has it,
// and reads back where each thread is. If one cannot be moved, those before
// it go back to where they were, as they do when ctx ends in the middle.
func (g *Group) Attach(ctx context.Context, pids ...int) error { return g.attach(ctx, false, pids) }

// AttachThreads moves single threads: on v1 any, on v2 within their threaded
// domain. Where the group is on v1, v2 is left out if it does not take them.
func (g *Group) AttachThreads(ctx context.Context, tids ...int) error {
	return g.attach(ctx, true, tids)
}

// move is a process that was moved, and from where.
type move struct {
	h    *Hierarchy
	pid  int
	from string
	file string
}

func (g *Group) attach(ctx context.Context, threads bool, pids []int) error {
	op := "attach to " + g.path
	list, err := g.need(op)
	if err != nil {
		return err
	}
	if err := g.guard(op, VerbAttach); err != nil {
		return err
	}
	if err := g.fs.checkPIDs(op); err != nil {
		return err
	}
	var moves []move
	for _, pid := range pids {
		live, err := g.checkAttach(pid, threads)
		if err == nil {
			err = g.checkLeaving(list, pid)
		}
		if err == nil {
			for i, h := range list { // v2 comes last
				if err = interrupted(ctx, op); err == nil {
					err = g.attachIn(ctx, h, pid, live, threads, &moves)
				}
				if threads && h.Version == 2 && i > 0 && isRefusal(err) {
					err = nil
				}
				if err != nil {
					break
				}
			}
		}
		if err != nil {
			return together(err, undoMoves(moves))
		}
	}
	if err := interrupted(ctx, op); err != nil {
		return together(err, undoMoves(moves))
	}
	return nil
}

// isRefusal says that the kernel does not take a thread into a group of v2, because
// of what the two are or because a right is missing.
func isRefusal(err error) bool {
	for _, errno := range []unix.Errno{unix.EOPNOTSUPP, unix.EBUSY, unix.EACCES, unix.EPERM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// checkLeaving checks who owns the groups that the process is in.
func (g *Group) checkLeaving(list []*Hierarchy, pid int) error {
	for _, h := range list {
		from, ok := g.fs.memberOf(pid, h)
		if !ok {
			continue
		}
		if err := g.guardLeaving(fmt.Sprintf("attach %s to %s", g.fs.name(pid), g.path), from.Path); err != nil {
			return err
		}
	}
	return nil
}

// Leaving says what it means to those whose groups the processes are in when they
// are attached to the group, by force: a line for each owner.
func (g *Group) Leaving(ctx context.Context, pids ...int) ([]string, error) {
	var lines []string
	for _, pid := range pids {
		if err := interrupted(ctx, "attach to "+g.path); err != nil {
			return nil, err
		}
		list, err := g.fs.Memberships(pid)
		if err != nil {
			continue // Attach says it
		}
		for _, m := range list {
			if (&Group{fs: g.fs, path: g.path}).guardLeaving("", m.Path) == nil {
				continue
			}
			if line := (&Group{fs: g.fs, path: m.Path}).Owner().Undoes(VerbLeave); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}

// checkPIDs refuses to act on numbers of another PID namespace: written to a
// cgroup.procs, they would mean other processes.
func (fs *FS) checkPIDs(op string) error {
	if proc.SamePIDs(fs.procPath()) {
		return nil
	}
	e := &Error{
		Op: op, Err: unix.EXDEV, Cause: "the PIDs of " + fs.procPath() + " are not those of this PID namespace, and the kernel would take them for others",
		Next: "run in the host's PID namespace",
	}
	if fs.root == "/" {
		e.Next = "mount a /proc of this PID namespace (unshare --mount-proc does), or run in that of the one that is mounted"
	}
	return e
}

// checkAttach refuses those whom the kernel would not move, though it may say
// that it did; live is the process's threads.
func (g *Group) checkAttach(pid int, threads bool) (live []int, err error) {
	e := &Error{Op: fmt.Sprintf("attach %d to %s", pid, g.path), Group: g.path, Err: unix.EINVAL}
	if pid <= 0 {
		e.Reason, e.Cause = ErrUsage, "a PID is a number from 1 up"
		return nil, e
	}
	p, err := g.fs.process(pid)
	if proc.Gone(err) {
		e.Err, e.Cause = unix.ESRCH, "there is no such process"
		return nil, e
	}
	if err != nil {
		return nil, asError(e.Op, err)
	}
	e.Op = fmt.Sprintf("attach %s to %s", p, g.path)
	tgid, err := g.fs.threadGroup(pid)
	switch {
	case proc.Gone(err):
		e.Err, e.Cause = unix.ESRCH, "the process is gone"
		return nil, e
	case err != nil:
		return nil, asError(e.Op, err)
	case tgid != pid && !threads:
		e.Reason, e.Cause = ErrThread, fmt.Sprintf("it is a thread of %s", g.fs.name(tgid))
		e.Next = fmt.Sprintf("attach %d, or the thread alone", tgid)
		return nil, e
	case p.KernelThread() && !g.force:
		e.Err, e.Reason, e.Cause = unix.EPERM, ErrKernelThread, "it is a kernel thread, whose work is for the whole machine"
		return nil, e
	}
	live = []int{pid}
	if !threads {
		if live, err = g.fs.threads(pid); err != nil {
			return nil, asError(e.Op, err)
		}
	}
	if len(live) == 0 || threads && p.Dead() {
		e.Err, e.Cause = unix.ESRCH, "it has exited (a zombie), and the kernel would move nothing"
		e.Next = "its parent has to wait for it"
		return nil, e
	}
	return live, nil
}

// attachIn moves one process in one hierarchy.
func (g *Group) attachIn(ctx context.Context, h *Hierarchy, pid int, live []int, threads bool, moves *[]move) error {
	file := "cgroup.procs"
	if threads {
		file = h.threadsFile()
	}
	from, known := g.fs.memberOf(live[0], h)
	err := h.write(g.path, file, strconv.Itoa(pid))
	// A process that is being born is refused for a moment.
	for try := 0; try < 5 && errors.Is(err, unix.EINVAL) && g.mayPass(pid); try++ {
		if pause(ctx, 30*time.Millisecond) != nil {
			break
		}
		err = h.write(g.path, file, strconv.Itoa(pid))
	}
	if err != nil {
		return g.fs.explainAttach(h, g.path, file, pid, err)
	}
	if known {
		*moves = append(*moves, move{h, pid, from.Path, file})
	}
	return g.fs.checkMoved(h, g.path, pid, live)
}

// mayPass says whether an EINVAL may be transient.
func (g *Group) mayPass(pid int) bool {
	p, err := g.fs.process(pid)
	return err == nil && !p.KernelThread() && len(g.fs.realtime(pid)) == 0
}

// checkMoved reads back where the threads are: the kernel reports success even
// where nothing moved.
func (fs *FS) checkMoved(h *Hierarchy, group string, pid int, live []int) error {
	for _, tid := range live {
		m, ok := fs.memberOf(tid, h)
		if ok && m.Path == group {
			continue
		}
		p, err := fs.process(tid)
		if proc.Gone(err) || err == nil && p.Dead() {
			continue // ended just now
		}
		if err == nil && !ok {
			_, err = fs.Memberships(tid)
		}
		if err != nil {
			return asError(fmt.Sprintf("look where %d is", tid), err)
		}
		return &Error{
			Op: fmt.Sprintf("attach %s to %s", fs.name(pid), group), Group: group, File: h.Dir(group), Err: unix.EBUSY,
			Cause: fmt.Sprintf("the kernel reported success, but thread %d is in %s: somebody else moved it", tid, m.Path),
		}
	}
	return nil
}

// undoMoves puts processes back, the last first.
func undoMoves(moves []move) []error {
	var errs []error
	for _, m := range slices.Backward(moves) {
		if err := m.h.write(m.from, m.file, strconv.Itoa(m.pid)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("put %d back to %s: %w", m.pid, path.Join(m.h.Dir(m.from), m.file), err))
		}
	}
	return errs
}
