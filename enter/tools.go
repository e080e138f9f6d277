package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"nsx/inspect"
)

// RootEnv is the environment variable in which a command of Options.HostTools
// finds the target's root directory.
const RootEnv = "NSX_ROOT"

// showRoot finds the path under which a host's tool reaches the target's root:
// through /proc, where the target has the PID of the namespace that is joined.
func (p *Plan) showRoot(of *inspect.Target) error {
	if of == nil || of.PID == 0 {
		return usagef("the host's tools take a process as the target, whose root directory they find in $%s", RootEnv)
	}
	pid := of.PID
	if p.WillJoin(inspect.PID) {
		p.options.MountProc = true
		status, err := of.Status()
		if err != nil {
			return explainOpen("the status", of, err)
		}
		pid = status.NSPID
	}
	p.env = append(p.env, fmt.Sprintf("%s=/proc/%d/root", RootEnv, pid))
	return nil
}

// outside leaves the mount and the user namespace out. The process whose mount
// namespace was meant is the one whose root is shown.
func (p *Plan) outside(requests []Request) []Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool {
		switch r.Type {
		case inspect.Mnt:
			if p.options.Process == nil {
				p.options.Process = r.Target
			}
			return true
		case inspect.User:
			return true
		}
		return false
	})
}

// checkTracers refuses to run a program of ours where somebody of the target may
// trace it, and would have our rights: a process of the PID namespace that is
// joined which has CAP_SYS_PTRACE in our own user namespace, or gets it by an
// execve(2) (__ptrace_may_access in kernel/ptrace.c).
func (p *Plan) checkTracers(ctx context.Context) error {
	i := p.index(inspect.PID)
	if i < 0 || p.options.Privileged {
		return nil // who is in our own PID namespace with that right has all of ours anyway
	}
	own, err := ownNamespace(inspect.User)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	s, err := inspect.Scan(ctx, inspect.Options{Relations: true})
	if err != nil {
		return err
	}
	for _, pid := range inPIDNamespace(s, p.Joins[i].ID) {
		may, err := mayTrace(ctx, pid, own)
		if err != nil && !errors.Is(err, inspect.ErrGone) {
			return fmt.Errorf("looking whether process %d may trace the command: %w", pid, err)
		}
		if may {
			return refused(ErrUnsafe, "running a program of this host in "+p.Joins[i].ID.String(), unix.EPERM,
				fmt.Sprintf("process %d in there may trace it (CAP_SYS_PTRACE in our user namespace), and would have our rights: leave the PID namespace out", pid))
		}
	}
	return nil
}

// inPIDNamespace lists the processes of a PID namespace and of those below it.
func inPIDNamespace(s *inspect.Snapshot, id inspect.ID) (pids []int) {
	within := func(n *inspect.Namespace) bool {
		for n != nil && n.ID() != id {
			if n.Parent == nil {
				return false
			}
			n = s.Namespace(inspect.ID{Type: inspect.PID, Inode: *n.Parent})
		}
		return n != nil
	}
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; n.Type == inspect.PID && within(n) {
			pids = append(pids, n.PIDs...)
		}
	}
	return pids
}

// mayTrace says that a process has or can get CAP_SYS_PTRACE in the user namespace
// own, which is nil where the kernel has none.
func mayTrace(ctx context.Context, pid int, own os.FileInfo) (bool, error) {
	t, err := inspect.Resolve(ctx, strconv.Itoa(pid))
	if errors.Is(err, inspect.ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer t.Close()
	status, err := t.Status()
	if err != nil {
		return false, err
	}
	set := status.Permitted
	if !status.NoNewPrivs {
		set |= status.Bounding
	}
	if set>>unix.CAP_SYS_PTRACE&1 == 0 || own == nil {
		return set>>unix.CAP_SYS_PTRACE&1 == 1, nil
	}
	file, _, err := t.OpenNamespace(inspect.User)
	if err != nil {
		return false, err
	}
	defer file.Close()
	theirs, err := file.Stat()
	return err == nil && os.SameFile(own, theirs), err
}
