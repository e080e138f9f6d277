package cgroupfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// removeTimeout is how long Remove waits without a deadline of its context:
// processes that were killed need a moment to leave.
const removeTimeout = 2 * time.Second

// Remove removes the group from every hierarchy that has it, with all groups
// below it if recursive. It kills nobody: while processes are inside it waits,
// until ctx ends or, without a deadline, 2 seconds, and then names them.
// Nothing is removed before all of it can be.
func (g *Group) Remove(ctx context.Context, recursive bool) error {
	op := "remove " + g.path
	list, err := g.removable(ctx, op, recursive)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(ctx, removeTimeout)
	defer cancel()
	err = until(ctx, func() (bool, error) {
		pids, _ := g.fs.inTree(ctx, list, g.path)
		return len(pids) == 0, nil
	})
	for _, h := range list {
		if err == nil {
			err = h.removeTree(ctx, g.path)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, unix.EBUSY):
		return g.explainBusy(ctx, op, list)
	case errors.Is(err, context.Canceled):
		return asError(op, err)
	}
	e := &Error{Op: op, Group: g.path, Err: bare(err)}
	for _, h := range list {
		if h.has(g.path, "") {
			e.File = h.Dir(g.path)
			g.fs.common(e, h, path.Dir(g.path), "")
			break
		}
	}
	return e
}

// removable is the hierarchies that have the group, unless it may not be removed.
func (g *Group) removable(ctx context.Context, op string, recursive bool) ([]*Hierarchy, error) {
	if g.path == "/" {
		return nil, &Error{Op: op, Group: g.path, Err: unix.EBUSY, Reason: ErrUnsupported, Cause: "it is the root of the hierarchies"}
	}
	list, err := g.need(op)
	if err != nil {
		return nil, err
	}
	if err := g.guardTree(ctx, op, VerbRemove, list); err != nil {
		return nil, err
	}
	if !recursive {
		err = g.refuseChildren(op, list)
	}
	return list, err
}

// guardTree checks the owners of the group and of all below it.
func (g *Group) guardTree(ctx context.Context, op string, v Verb, list []*Hierarchy) error {
	if err := g.guard(op, v); err != nil {
		return err
	}
	for _, h := range list {
		groups, err := h.subtree(ctx, g.path)
		if err != nil {
			return &Error{Op: op, Group: g.path, File: h.Dir(g.path), Err: bare(err)}
		}
		for _, at := range groups {
			if err := interrupted(ctx, op); errors.Is(err, context.Canceled) {
				return err
			}
			below := &Group{fs: g.fs, path: at, force: g.force}
			if err := below.guard(op+", which has "+at+" below it", v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Group) refuseChildren(op string, list []*Hierarchy) error {
	for _, h := range list {
		names, err := h.list(g.path, true)
		if err == nil && len(names) > 0 {
			return &Error{
				Op: op, Group: g.path, File: h.Dir(g.path), Err: unix.EBUSY, Reason: ErrNotEmpty,
				Cause: fmt.Sprintf("it has %s below it: %s", words.Count(len(names), "group", "groups"), strings.Join(names[:min(len(names), 5)], ", ")),
			}
		}
	}
	return nil
}

// inTree lists the live processes in a group and below it, in any of the
// hierarchies.
func (fs *FS) inTree(ctx context.Context, list []*Hierarchy, group string) ([]int, error) {
	var all []int
	for _, h := range list {
		err := h.descend(ctx, group, func(s *spot) error {
			pids, _, unnamed, err := fs.membersBy(h, s.read)
			all = append(all, pids...)
			if unnamed > 0 {
				all = append(all, 0)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// populated says whether there is a live process in a group or below it.
func (fs *FS) populated(ctx context.Context, list []*Hierarchy, group string) (bool, error) {
	found := errors.New("found")
	for _, h := range list {
		err := h.descend(ctx, group, func(s *spot) error {
			pids, _, unnamed, err := fs.membersBy(h, s.read)
			if len(pids)+unnamed > 0 {
				return found
			}
			return cmp.Or(ctx.Err(), err)
		})
		if errors.Is(err, found) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// removeTree removes from the bottom up. EBUSY passes: an exiting process may
// still be counted.
func (h *Hierarchy) removeTree(ctx context.Context, group string) error {
	return until(ctx, func() (bool, error) {
		err := h.descend(ctx, group, func(s *spot) error {
			if len(s.names) == 0 {
				return h.rmdir(group)
			}
			return removeSpot(s)
		})
		if errors.Is(err, unix.EBUSY) {
			return false, nil
		}
		return true, err
	})
}

// removeSpot removes the group that descend is at. The kernel takes no descriptor
// of it for that, but a name in the one above.
func removeSpot(s *spot) error {
	up, err := unix.Openat(s.dir, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(up)
	return unix.Unlinkat(up, s.names[len(s.names)-1], unix.AT_REMOVEDIR)
}

// explainBusy names who is in the way.
func (g *Group) explainBusy(ctx context.Context, op string, list []*Hierarchy) error {
	e := &Error{Op: op, Group: g.path, Err: late{unix.EBUSY}}
	for _, h := range list {
		if h.has(g.path, "") {
			e.File = h.Dir(g.path)
			break
		}
	}
	inside := g.inside(ctx, list)
	at := slices.Sorted(maps.Keys(inside))
	var all []int
	for _, group := range at {
		all = append(all, inside[group]...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	count := words.Count(len(all), "process is", "processes are")
	switch {
	case len(all) == 0:
		e.Cause = "the kernel has not let go of " + g.lowest(ctx, list) + ", though no process is to be seen inside; one may be exiting"
		e.Next = "try again"
		return e
	case all[0] == 0:
		e.Cause = count + " inside, of another PID namespace too"
		e.Next, e.Remedy = "end them", &Remedy{Verb: VerbKill, Group: g.path}
		return e
	case len(at) == 1 && at[0] == g.path:
		e.Cause = fmt.Sprintf("%s inside: %s", count, g.fs.names(all))
	case len(at) == 1:
		e.Cause = fmt.Sprintf("%s inside %s: %s", count, at[0], g.fs.names(all))
	default:
		const most = 3
		var parts []string
		for _, group := range at[:min(len(at), most)] {
			parts = append(parts, g.fs.names(inside[group])+" in "+group)
		}
		if more := len(at) - most; more > 0 {
			parts = append(parts, "and in "+words.Count(more, "group more", "groups more"))
		}
		e.Cause = fmt.Sprintf("%s inside: %s", count, strings.Join(parts, "; "))
	}
	e.Next, e.Remedy = "attach them elsewhere, or end them", &Remedy{Verb: VerbKill, Group: g.path}
	return e
}

// inside finds the live processes of each group that holds the tree up; 0 stands for
// those that have no number here.
func (g *Group) inside(ctx context.Context, list []*Hierarchy) map[string][]int {
	found := map[string][]int{}
	for _, h := range list {
		_ = h.descend(ctx, g.path, func(s *spot) error {
			pids, _, unnamed, err := g.fs.membersBy(h, s.read)
			if unnamed > 0 {
				pids = append(pids, 0)
			}
			if err == nil && len(pids) > 0 {
				all := append(found[s.Path()], pids...)
				slices.Sort(all)
				found[s.Path()] = slices.Compact(all)
			}
			return nil
		})
	}
	return found
}

// lowest is the group that is to be removed first.
func (g *Group) lowest(ctx context.Context, list []*Hierarchy) string {
	at := g.path
	for _, h := range list {
		stop := errors.New("found")
		if err := h.descend(ctx, g.path, func(s *spot) error { at = s.Path(); return stop }); errors.Is(err, stop) {
			break
		}
	}
	return at
}
