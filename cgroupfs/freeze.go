package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// freezeTimeout is how long Freeze and Thaw wait without a deadline.
const freezeTimeout = 10 * time.Second

// Freeze stops all processes of the group and below it, and returns when they
// are. If they are not before ctx ends (without a deadline: 10 seconds), or if
// this process ends before they are, the group is thawed again; the error names
// those that do not stop.
func (g *Group) Freeze(ctx context.Context) error {
	return g.setFrozen(ctx, true)
}

// Thaw lets them go on. A group under a frozen one stays frozen: an error.
func (g *Group) Thaw(ctx context.Context) error {
	return g.setFrozen(ctx, false)
}

// Frozen says whether the group is stopped, by itself or by one above it.
func (g *Group) Frozen() (bool, error) {
	list, err := g.freezers("look at " + g.path)
	if err != nil {
		return false, err
	}
	for _, h := range list {
		if frozen, err := h.frozen(g.path); frozen || err != nil {
			return frozen, err
		}
	}
	return false, nil
}

// freezers are the hierarchies that can freeze the group: v2, and v1's freezer
// for those who are in it there.
func (g *Group) freezers(op string) ([]*Hierarchy, error) {
	list, err := g.need(op)
	if err != nil {
		return nil, err
	}
	var can []*Hierarchy
	for _, h := range list {
		file, _ := h.freezeWord(false)
		ok, err := h.exists(g.path, file)
		if err != nil {
			return nil, &Error{Op: op, Group: g.path, File: h.Dir(g.path), Err: bare(err)}
		}
		if ok {
			can = append(can, h)
		}
	}
	if len(can) == 0 {
		e := &Error{Op: op, Group: g.path, Err: unix.EOPNOTSUPP, Cause: "the group is in no hierarchy that can freeze (v2, or v1's freezer)"}
		if g.path == "/" {
			e.Cause = "the root cannot be frozen"
			return nil, e
		}
		e.Next, e.Remedy = "make it there too", &Remedy{Verb: VerbCreate, Group: g.path, Controllers: []string{"freezer"}}
		return nil, e
	}
	return can, nil
}

// oneFreezer chooses v2, or v1's freezer if that has processes which v2 has
// elsewhere. A process stopped by the one never reports to the other.
func (g *Group) oneFreezer(ctx context.Context, list []*Hierarchy) []*Hierarchy {
	if len(list) < 2 {
		return list
	}
	v1, v2 := list[:1], list[1:]
	inV1, _ := g.fs.inTree(ctx, v1, g.path)
	inV2, _ := g.fs.inTree(ctx, v2, g.path)
	for _, pid := range inV1 {
		if !slices.Contains(inV2, pid) {
			return v1
		}
	}
	return v2
}

func (h *Hierarchy) frozen(group string) (bool, error) {
	if h.Version == 1 {
		text, err := h.read(group, "freezer.state")
		return text == "FROZEN", err
	}
	text, err := h.read(group, "cgroup.events")
	return flatKeyed(text)["frozen"] == 1, err
}

// writeFreeze tells the kernel; it does not wait.
func (h *Hierarchy) writeFreeze(group string, freeze bool) error {
	file, word := h.freezeWord(freeze)
	return h.write(group, file, word)
}

// freezeWord is what to write where.
func (h *Hierarchy) freezeWord(freeze bool) (file, word string) {
	if h.Version == 1 {
		return "freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[freeze]
	}
	return "cgroup.freeze", map[bool]string{true: "1", false: "0"}[freeze]
}

// freezersFor is what can freeze the group, unless that may not be. To freeze it stops
// all below it, whoever they belong to. To thaw it does not wake those whom their owner
// has frozen in a group of his own.
func (g *Group) freezersFor(ctx context.Context, freeze bool) (op string, list []*Hierarchy, err error) {
	op = map[bool]string{true: "freeze ", false: "thaw "}[freeze] + g.path
	if ok, err := g.Exists(); err != nil {
		return op, nil, err
	} else if ok && g.path != "/" { // the root is not to be frozen by force either
		if freeze {
			err = g.guardTree(ctx, op, VerbFreeze, g.in())
		} else {
			err = g.guard(op, VerbThaw)
		}
		if err != nil {
			return op, nil, err
		}
	}
	list, err = g.freezers(op)
	return op, list, err
}

func (g *Group) setFrozen(ctx context.Context, freeze bool) error {
	op, list, err := g.freezersFor(ctx, freeze)
	if err != nil {
		return err
	}
	if freeze {
		list = g.oneFreezer(ctx, list)
	}
	ctx, cancel := bounded(ctx, freezeTimeout)
	defer cancel()
	var was []bool
	for i, h := range list {
		frozen, err := h.selfFrozen(g.path)
		was = append(was, frozen)
		if err == nil && freeze && !frozen {
			watch := h.watch(g.path)
			defer watch.release()
		}
		if err == nil {
			err = h.writeFreeze(g.path, freeze)
		}
		if err == nil {
			err = h.awaitFrozen(ctx, g.path, freeze)
		}
		if err == nil {
			continue
		}
		if freeze {
			// A group left freezing would stop who knows when.
			for j, h := range list[:i+1] {
				if !was[j] {
					err = errors.Join(err, ignoreGone(h.writeFreeze(g.path, false)))
				}
			}
		}
		return g.explainFreeze(ctx, op, h, freeze, err)
	}
	return nil
}

// awaitFrozen waits until the group is frozen, or is not.
func (h *Hierarchy) awaitFrozen(ctx context.Context, group string, freeze bool) error {
	return until(ctx, func() (bool, error) {
		frozen, err := h.frozen(group)
		if err == nil && freeze && h.Version == 1 && !frozen {
			// Old kernels try only when told.
			err = h.writeFreeze(group, true)
		}
		if err == nil && frozen && !freeze && h.frozenAbove(group) != "" {
			return false, context.DeadlineExceeded // no use to wait
		}
		return frozen == freeze, err
	})
}

// selfFrozen says whether the group was itself told to freeze.
func (h *Hierarchy) selfFrozen(group string) (bool, error) {
	file := "cgroup.freeze"
	if h.Version == 1 {
		file = "freezer.self_freezing"
	}
	text, err := h.read(group, file)
	return text == "1", err
}

// frozenAbove is the nearest group above that was told to freeze, or empty.
func (h *Hierarchy) frozenAbove(group string) string {
	for _, at := range ancestors(group)[1:] {
		if frozen, _ := h.selfFrozen(at); frozen {
			return at
		}
	}
	return ""
}

// stoppedBy is the group, this one or one above it, that stops every process that
// comes into this one; "" if there is none. It may have been told to freeze and
// not be frozen, because of a process that is in the kernel: newcomers do freeze
// (freezer_attach in kernel/cgroup/legacy_freezer.c, cgroup_freezer_migrate_task in
// kernel/cgroup/freezer.c).
func (h *Hierarchy) stoppedBy(group string) string {
	if h.Version == 1 && !slices.Contains(h.Controllers, "freezer") {
		return ""
	}
	if above := h.frozenAbove(group); above != "" {
		return above
	}
	self, _ := h.selfFrozen(group)
	frozen, _ := h.frozen(group) // by one that cannot be seen from here
	if self || frozen {
		return group
	}
	return ""
}

// FrozenBy says for which group a process with these memberships stands still, as an
// *Error with the remedy: nil if there is none, or none that can be seen.
func (fs *FS) FrozenBy(memberships []Membership) error {
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		for _, m := range memberships {
			if !h.Holds(m) || m.Deleted || outside(m.Path) {
				continue
			}
			if by := h.stoppedBy(m.Path); by != "" {
				e := &Error{Op: "look at " + m.Path, Group: m.Path, Err: unix.EBUSY, Cause: by + " is frozen"}
				fs.thawing(e, "thaw it", by)
				return e
			}
		}
	}
	return nil
}

func (g *Group) explainFreeze(ctx context.Context, op string, h *Hierarchy, freeze bool, err error) error {
	e := &Error{Op: op, Group: g.path, File: h.Dir(g.path), Err: bare(err)}
	if errors.Is(err, context.Canceled) {
		e.Err = err
		return e
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		g.fs.common(e, h, g.path, map[int]string{1: "freezer.state", 2: "cgroup.freeze"}[h.Version])
		return e
	}
	e.Err = late{unix.ETIMEDOUT}
	if !freeze {
		e.Cause = "it is not thawed in time"
		if at := h.frozenAbove(g.path); at != "" {
			e.Err, e.Cause = unix.EBUSY, at+" above it is frozen, and all below with it"
			g.fs.thawing(e, "thaw that one", at)
		}
		return e
	}
	pids, _ := g.fs.inTree(ctx, []*Hierarchy{h}, g.path)
	var words []string
	for _, pid := range pids {
		if p, err := g.fs.process(pid); err == nil && !p.Dead() && len(words) < 5 {
			wchan := ""
			if p.State == 'D' {
				wchan = ", waiting in the kernel"
			}
			words = append(words, fmt.Sprintf("%s in state %c%s", p, p.State, wchan))
		}
	}
	e.Cause = fmt.Sprintf("not all processes stop in time, so the group was thawed again; inside are %s", strings.Join(words, "; "))
	e.Next = "those in state D have to come back from the kernel first, such as from a file server that does not answer; see /proc/PID/stack"
	return e
}
