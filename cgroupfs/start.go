package cgroupfs

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// Entrance is a group, or the groups of a process, opened in every hierarchy:
// commands can be started inside even after the caller has left the mount
// namespace in which the hierarchies are seen. Close it in the end.
//
// A command is born inside and never runs a moment elsewhere. On v2 the kernel
// does that (CLONE_INTO_CGROUP, Linux 5.7), except for groups that were killed once
// (cgroup.kill), where newer kernels kill it at birth: Start says so, and Admit is
// the way in. On v1 a child is born where the
// thread that forks it is, and single threads may be anywhere: so a thread of
// the caller goes in, forks and goes back. It needs no ptrace, which would
// take set-user-ID programs their rights, and no helper between caller and
// command.
//
// Who starts processes by other means than os/exec clones them into Dir, if that
// goes, and before they go on calls Admit with their PID. Package enter does so.
type Entrance struct {
	fs    *FS
	doors []door
	v2    *os.File // the directory, for CLONE_INTO_CGROUP
	v2at  string   // the group that it is
}

// door is a v1 group: its files for threads and for whole processes, open for
// writing.
type door struct {
	h            *Hierarchy
	group        string
	tasks, procs *os.File
}

// Open opens the group to start commands in it. A frozen group is refused,
// since a start in it would hang.
func (g *Group) Open() (*Entrance, error) {
	op := "start in " + g.path
	list, err := g.need(op)
	if err != nil {
		return nil, err
	}
	if err := g.guard(op, VerbStart); err != nil {
		return nil, err
	}
	return g.fs.open(list, func(*Hierarchy) string { return g.path })
}

// OpenOf opens the groups that a process is in, as its memberships say. Those
// that the caller is in too are left out: a command is born there anyway, and
// the caller may lack the right to write to them.
func (fs *FS) OpenOf(memberships []Membership) (*Entrance, error) {
	own, err := fs.Memberships(0)
	if err != nil {
		return nil, err
	}
	memberships = slices.Clone(memberships)
	fs.CheckDeleted(memberships)
	var list []*Hierarchy
	groups := map[*Hierarchy]string{}
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		for _, m := range memberships {
			stays := slices.ContainsFunc(own, func(o Membership) bool { return h.Holds(o) && o.Path == m.Path })
			if !h.Holds(m) || stays {
				continue
			}
			e := &Error{Op: "start in " + m.Path, Group: m.Path, File: h.Mount}
			switch {
			case m.Deleted:
				e.Err, e.Cause = unix.ENOENT, "the group was removed, though the process is still in it"
				return nil, e
			case outside(m.Path):
				e.Err, e.Cause = unix.EXDEV, "the group is outside of this cgroup namespace, and cannot be seen from here"
				e.Next = "run in the host's cgroup namespace"
				return nil, e
			}
			list = append(list, h)
			groups[h] = m.Path
		}
	}
	return fs.open(list, func(h *Hierarchy) string { return groups[h] })
}

func (fs *FS) open(list []*Hierarchy, group func(*Hierarchy) string) (_ *Entrance, err error) {
	e := &Entrance{fs: fs}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	for _, h := range list {
		at := group(h)
		if err := fs.refuseFrozen(h, at); err != nil {
			return nil, err
		}
		if h.Version == 2 {
			e.v2at = at
			if e.v2, err = h.openat(at, "", unix.O_PATH|unix.O_DIRECTORY); err != nil {
				return nil, fs.explainStart(h, at, err)
			}
			continue
		}
		d := door{h: h, group: at}
		d.tasks, err = h.openat(at, "tasks", unix.O_WRONLY)
		if err == nil {
			d.procs, err = h.openat(at, "cgroup.procs", unix.O_WRONLY)
		}
		e.doors = append(e.doors, d)
		if err != nil {
			return nil, fs.explainAttach(h, at, "cgroup.procs", os.Getpid(), err)
		}
	}
	return e, nil
}

// Close closes what Open opened.
func (e *Entrance) Close() error {
	var errs []error
	for _, d := range e.doors {
		for _, f := range []*os.File{d.tasks, d.procs} {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
	}
	if e.v2 != nil {
		errs = append(errs, e.v2.Close())
	}
	return errors.Join(errs...)
}

// Dir is the group's directory on v2, for CLONE_INTO_CGROUP (clone(2)), or nil
// if v2 has nothing to do with it. It is Close's to close.
func (e *Entrance) Dir() *os.File { return e.v2 }

// Admit moves a process into the groups: those of v1, where none can be born, and
// that of v2 unless it was born there; and it reads back that it is there. The
// process, which has to wait for it, must be one that the caller started and has
// not reaped: nobody else has its PID.
func (e *Entrance) Admit(pid int) error {
	if err := e.admitV2(pid); err != nil {
		return err
	}
	for _, d := range e.doors {
		// Only decimal: the kernel takes 010 for 8, and 0 for the writer.
		if _, err := d.procs.WriteString(strconv.Itoa(pid) + "\n"); err != nil {
			return e.fs.explainAttach(d.h, d.group, "cgroup.procs", pid, err)
		}
		if err := e.fs.checkMoved(d.h, d.group, pid, []int{pid}); err != nil {
			return err
		}
		// The kernel checks the limit only when a process is born: on v2 this one
		// would have been refused.
		if cause := d.pidsBound(0); cause != "" {
			return &Error{Op: "start in " + d.group, Group: d.group, File: d.h.Dir(d.group), Err: unix.EAGAIN, Cause: cause}
		}
	}
	return nil
}

// admitV2 is for who was not born in v2's group.
func (e *Entrance) admitV2(pid int) error {
	if e.v2 == nil {
		return nil
	}
	h, group := e.fs.v2(), e.v2at
	if m, ok := e.fs.memberOf(pid, h); ok && m.Path == group {
		return nil
	}
	fd, err := unix.Openat(int(e.v2.Fd()), "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(strconv.Itoa(pid)+"\n"))
		unix.Close(fd)
	}
	if err != nil {
		return e.fs.explainAttach(h, group, "cgroup.procs", pid, err)
	}
	if err := e.fs.checkMoved(h, group, pid, []int{pid}); err != nil {
		return err
	}
	if cause := h.pidsBound(group, 0); cause != "" {
		return &Error{Op: "start in " + group, Group: group, File: h.Dir(group), Err: unix.EAGAIN, Cause: cause}
	}
	return nil
}

// String lists the directories, "" if there are none.
func (e *Entrance) String() string {
	var names []string
	for _, d := range e.doors {
		names = append(names, d.h.Dir(d.group))
	}
	if e.v2 != nil {
		names = append(names, e.v2.Name())
	}
	return strings.Join(names, ", ")
}

// Start starts a command inside. It sets cmd.SysProcAttr's UseCgroupFD on v2. Without
// the right to move its thread back, the thread is given up when the command has ended.
func (e *Entrance) Start(cmd *exec.Cmd) error {
	if e.v2 != nil {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(e.v2.Fd())
	}
	if len(e.doors) == 0 {
		return e.start(cmd)
	}
	// What Start would open by itself is opened outside, in case the group's
	// devices do not allow /dev/null.
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if cmd.Stdin == nil {
		cmd.Stdin = null
	}
	if cmd.Stdout == nil {
		cmd.Stdout = null
	}
	if cmd.Stderr == nil {
		cmd.Stderr = null
	}
	linux.OnLentThread(func() (spoilt bool) {
		spoilt, err = e.startInside(cmd)
		return spoilt
	})
	return err
}

// start starts the command where this thread is on v1. To os/exec a child that
// the kernel kills at birth looks like one that has executed its program.
func (e *Entrance) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return e.Explain(err)
	}
	const pfForkNoExec = 0x40 // PF_FORKNOEXEC of include/linux/sched.h
	p, err := e.fs.process(cmd.Process.Pid)
	// The flag alone is not enough: on Linux 7.2 it was still seen on a command that
	// had let go of os/exec's pipe, and ran.
	if e.v2 == nil || err != nil || p.Flags&pfForkNoExec == 0 || !p.Exiting() {
		return nil
	}
	err = cmd.Wait()
	return &Error{
		Op: "start in " + e.v2at, Group: e.v2at, File: e.v2.Name(), Err: err, Reason: ErrUnsupported,
		Cause: "the kernel kills what is born in a group that was killed once (cgroup.kill), unless its parent's was as often",
		Next:  "remove the group and make it again, or start the command with package enter",
	}
}

// Start starts a command inside the group: Open, Start and Close.
func (g *Group) Start(cmd *exec.Cmd) error {
	e, err := g.Open()
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Start(cmd)
}

// startInside starts the command from this thread, and says whether that could not
// leave the groups again.
func (e *Entrance) startInside(cmd *exec.Cmd) (spoilt bool, err error) {
	inside, err := e.enter()
	if err == nil {
		err = e.start(cmd)
	}
	return len(undoMoves(inside)) > 0, err
}

// enter moves the calling thread into the v1 groups.
func (e *Entrance) enter() (inside []move, err error) {
	tid := unix.Gettid()
	memberships, err := e.fs.threadMemberships()
	if err != nil {
		return nil, err
	}
	for _, d := range e.doors {
		if _, err := d.tasks.WriteString(strconv.Itoa(tid) + "\n"); err != nil {
			return inside, e.fs.explainAttach(d.h, d.group, "tasks", tid, err)
		}
		i := slices.IndexFunc(memberships, func(m Membership) bool { return d.h.Holds(m) })
		if i >= 0 {
			inside = append(inside, move{d.h, tid, memberships[i].Path, "tasks"})
		}
	}
	return inside, nil
}

// threadMemberships are those of the calling thread, which may differ from its
// process's.
func (fs *FS) threadMemberships() ([]Membership, error) {
	text, err := fs.readProc("thread-self/cgroup")
	if err != nil {
		return nil, err
	}
	return fs.ParseMemberships(text)
}

// Enter moves the calling process itself inside, all its threads, for those
// who go on to exec. v2 first: there it needs more rights.
func (e *Entrance) Enter() error {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if e.v2 != nil {
		fd, err := unix.Openat(int(e.v2.Fd()), "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Write(fd, []byte(pid))
			unix.Close(fd)
		}
		if err != nil {
			return e.Explain(err)
		}
	}
	for _, d := range e.doors {
		if e.fs.otherPIDs { // the kernel knows our threads
			if _, err := d.procs.WriteString(pid); err != nil {
				return e.fs.explainAttach(d.h, d.group, "cgroup.procs", os.Getpid(), err)
			}
			continue
		}
		tids, err := e.fs.threads(os.Getpid())
		if err != nil {
			return err
		}
		for _, tid := range tids {
			if _, err := d.tasks.WriteString(strconv.Itoa(tid) + "\n"); err != nil && !errors.Is(err, unix.ESRCH) {
				return e.fs.explainAttach(d.h, d.group, "tasks", tid, err)
			}
		}
	}
	return nil
}
