package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
	"nsx/internal/words"
)

// killTimeout is how long Kill waits without a deadline.
const killTimeout = 10 * time.Second

// Kill ends all processes of the group and below it, in every hierarchy that
// has it, and returns when none is left: cgroup.kill on v2, freeze, signal and
// thaw on v1, so that nothing that forks escapes. Without a deadline of ctx it
// takes 10 seconds at most, and then names who is left. Whenever it ends, or this
// process does, nothing stays frozen.
func (g *Group) Kill(ctx context.Context) error {
	op, list, err := g.killable(ctx)
	if err != nil {
		return err
	}
	if err := g.fs.checkPIDs(op); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx, killTimeout)
	defer cancel()
	err = until(ctx, func() (bool, error) {
		for _, h := range list {
			if err := g.killIn(ctx, h); err != nil {
				return false, &Error{Op: op, Group: g.path, File: h.Dir(g.path), Err: bare(err), Cause: killCause(err)}
			}
		}
		pids, err := g.fs.inTree(ctx, list, g.path)
		return len(pids) == 0, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		pids, _ := g.fs.inTree(ctx, list, g.path)
		e := &Error{
			Op: op, Group: g.path, Err: late{unix.ETIMEDOUT}, Cause: fmt.Sprintf("%s left: %s", words.Count(len(pids), "process is", "processes are"), g.fs.names(pids)),
			Next: "those in state D die when the kernel lets them; see /proc/PID/stack",
		}
		for _, h := range list {
			// On v1 a frozen process does not even die.
			if at := h.frozenAbove(g.path); at != "" && h.Version == 1 {
				g.fs.thawing(e, "thaw "+at+" above it, which is frozen", at)
			}
		}
		return e
	}
	return asError(op, err)
}

// killable is the hierarchies that have the group, unless nobody may be killed there.
func (g *Group) killable(ctx context.Context) (op string, list []*Hierarchy, err error) {
	op = "kill " + g.path
	if g.path == "/" {
		return op, nil, &Error{Op: op, Group: g.path, Err: unix.EPERM, Reason: ErrUnsupported, Cause: "the root holds every process of the machine"}
	}
	if list, err = g.need(op); err != nil {
		return op, nil, err
	}
	return op, list, g.guardTree(ctx, op, VerbKill, list)
}

func killCause(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Sprintf("this is uid %d, and not all of it is that user's", os.Geteuid())
	}
	return ""
}

// stopTimeout is how long a round of Kill waits for processes to stop. Those that
// do not are killed all the same, and what they start meanwhile in the next round.
const stopTimeout = time.Second

// killIn is one round in one hierarchy.
func (g *Group) killIn(ctx context.Context, h *Hierarchy) error {
	if h.Version == 2 {
		// Not there before Linux 5.14, and EOPNOTSUPP in a threaded group.
		if err := h.write(g.path, "cgroup.kill", "1"); err == nil {
			// It overlooks processes whose first thread has exited.
			return g.signal(ctx, h, false)
		} else if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	// Frozen processes do not fork, and die when thawed.
	file, _ := h.freezeWord(false)
	freezer, err := h.exists(g.path, file)
	if err != nil {
		return err
	}
	if freezer {
		watch := h.watch(g.path)
		defer watch.release()
		if err := h.writeFreeze(g.path, true); err != nil {
			return ignoreGone(err)
		}
		stop, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if err := h.awaitFrozen(stop, g.path, true); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return errors.Join(ignoreGone(err), ignoreGone(h.writeFreeze(g.path, false)))
		}
	}
	err = g.signal(ctx, h, freezer)
	if freezer {
		err = errors.Join(err, ignoreGone(h.writeFreeze(g.path, false)))
	}
	return err
}

// signal sends SIGKILL to all processes in the group and below it, and lets what is
// below go on that was frozen by itself. A number cannot be taken
// by another process between the look and the signal: the process is held by a
// descriptor and looked at again.
func (g *Group) signal(ctx context.Context, h *Hierarchy, thaw bool) error {
	return h.descend(ctx, g.path, func(s *spot) error {
		pids, _, _, err := g.fs.membersBy(h, s.read)
		for _, pid := range pids {
			err = errors.Join(err, g.fs.kill(h, pid, g.path, s))
		}
		if thaw {
			file, word := h.freezeWord(false)
			err = errors.Join(err, ignoreGone(s.write(file, word)))
		}
		return err
	})
}

// kill kills a process of the group that descend is at, s, or of one below group.
func (fs *FS) kill(h *Hierarchy, pid int, group string, s *spot) error {
	fd, err := proc.OpenPIDFD(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !fs.isIn(h, pid, group, s) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// isIn looks whether a process is in the group, or below it.
func (fs *FS) isIn(h *Hierarchy, pid int, group string, s *spot) bool {
	// The kernel does not print a path longer than PATH_MAX.
	if _, err := fs.Memberships(pid); errors.Is(err, unix.ENAMETOOLONG) {
		pids, _, _, err := fs.membersBy(h, s.read)
		return err == nil && slices.Contains(pids, pid)
	}
	// A dead leader has left the group, its threads have not.
	tids, _ := fs.threads(pid)
	return slices.ContainsFunc(tids, func(tid int) bool {
		m, ok := fs.memberOf(tid, h)
		return ok && isBelow(m.Path, group)
	})
}
