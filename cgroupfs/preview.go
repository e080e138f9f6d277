package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"nsx/internal/words"
)

// Preview is what Attach, Freeze, Thaw, Kill or Remove would do as things are now, as
// a Plan is for limits. It is refused where they would be, but for what only the
// kernel knows; it takes no right to write, and works on a captured tree too.
type Preview struct {
	// Writes are one step each: "PATH/FILE ← VALUE", "PATH: SIGKILL to 5151, 5160",
	// "rmdir PATH".
	Writes []string `json:"writes"`
	// Notes say what will be in the way, and what it means.
	Notes []string `json:"notes"`
}

// String is the steps, one a line.
func (p *Preview) String() string { return strings.Join(p.Writes, "\n") }

func newPreview() *Preview { return &Preview{Writes: []string{}, Notes: []string{}} }

func (p *Preview) write(h *Hierarchy, group, file, value string) {
	p.Writes = append(p.Writes, fmt.Sprintf("%s ← %s", path.Join(h.Dir(group), file), value))
}

func (p *Preview) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// PreviewAttach is what Attach would write or, with threads, AttachThreads.
func (g *Group) PreviewAttach(ctx context.Context, threads bool, pids ...int) (*Preview, error) {
	op := "attach to " + g.path
	list, err := g.need(op)
	if err != nil {
		return nil, err
	}
	if err := g.guard(op, VerbAttach); err != nil {
		return nil, err
	}
	if err := g.fs.checkOwnPIDs(op); err != nil {
		return nil, err
	}
	p := newPreview()
	for _, pid := range pids {
		if err := interrupted(ctx, op); err != nil {
			return nil, err
		}
		if _, err := g.checkAttach(pid, threads); err != nil {
			return nil, err
		}
		if err := g.checkLeaving(list, pid); err != nil {
			return nil, err
		}
		for i, h := range list {
			file := "cgroup.procs"
			if threads {
				file = h.threadsFile()
				if typ, err := h.read(g.path, "cgroup.type"); err == nil && typ != "threaded" && i > 0 {
					continue // as AttachThreads leaves it out
				}
			}
			p.write(h, g.path, file, strconv.Itoa(pid))
		}
	}
	return p, nil
}

// PreviewStart is what is done to start a command in the group, once a plan that makes
// it (nil: none) is applied.
func (g *Group) PreviewStart(plan *Plan) (*Preview, error) {
	op := "start in " + g.path
	if plan == nil {
		if _, err := g.need(op); err != nil {
			return nil, err
		}
		plan = g.newPlan()
	}
	there, err := g.Exists()
	if err != nil {
		return nil, err
	}
	if there {
		if err := g.guard(op, VerbStart); err != nil {
			return nil, err
		}
	}
	p := newPreview()
	for _, s := range plan.Steps {
		p.Writes = append(p.Writes, s.String())
	}
	for i := range g.fs.hierarchies {
		h := &g.fs.hierarchies[i]
		made := slices.ContainsFunc(plan.Steps, func(s Step) bool { return s.Mkdir && s.h == h && s.group == g.path })
		switch ok, err := h.exists(g.path, ""); {
		case err != nil:
			return nil, asError(op, err)
		case !ok && !made:
			continue
		case ok:
			if err := g.fs.refuseFrozen(h, g.path); err != nil {
				return nil, err
			}
		}
		if h.Version == 2 {
			p.Writes = append(p.Writes, h.Dir(g.path)+": the command is born there")
			continue
		}
		p.write(h, g.path, "cgroup.procs", "the command's PID")
	}
	return p, nil
}

// PreviewFreeze is what Freeze would write or, without freeze, Thaw.
func (g *Group) PreviewFreeze(ctx context.Context, freeze bool) (*Preview, error) {
	op, list, err := g.freezersFor(ctx, freeze)
	if err != nil {
		return nil, err
	}
	if freeze {
		list = g.oneFreezer(ctx, list)
	}
	p := newPreview()
	for _, h := range list {
		file, word := h.freezeWord(freeze)
		p.write(h, g.path, file, word)
		if at := h.frozenAbove(g.path); at != "" && !freeze {
			e := &Error{}
			g.fs.thawing(e, "thaw that one", at)
			p.note("%s: it stays frozen, since %s above it is: %s", op, at, e.Next)
		}
	}
	return p, nil
}

// PreviewKill is what Kill would write, and whom it would kill. More are killed if
// these start some meanwhile.
func (g *Group) PreviewKill(ctx context.Context) (*Preview, error) {
	op, list, err := g.killable(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.fs.checkOwnPIDs(op); err != nil {
		return nil, err
	}
	p := newPreview()
	var all []int
	for _, h := range list {
		pids, err := g.fs.inTree(ctx, []*Hierarchy{h}, g.path)
		if err != nil {
			return nil, asError(op, err)
		}
		all = append(all, pids...)
		p.kill(g, h, pids)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > 0 {
		p.note("%s: %s", words.Count(len(all), "process would be killed", "processes would be killed"), g.fs.names(all))
	}
	return p, nil
}

// kill is killIn.
func (p *Preview) kill(g *Group, h *Hierarchy, pids []int) {
	if ok, _ := h.exists(g.path, "cgroup.kill"); ok {
		if typ, _ := h.read(g.path, "cgroup.type"); typ != "threaded" { // EOPNOTSUPP there
			p.write(h, g.path, "cgroup.kill", "1")
			return
		}
	}
	if len(pids) == 0 {
		return
	}
	file, freeze := h.freezeWord(true)
	_, thaw := h.freezeWord(false)
	freezer, _ := h.exists(g.path, file)
	if freezer {
		p.write(h, g.path, file, freeze)
	}
	var numbers []string
	for _, pid := range pids {
		numbers = append(numbers, strconv.Itoa(pid))
	}
	p.Writes = append(p.Writes, fmt.Sprintf("%s: SIGKILL to %s", h.Dir(g.path), strings.Join(numbers, ", ")))
	if freezer {
		p.write(h, g.path, file, thaw)
	}
}

// PreviewRemove is what Remove would remove.
func (g *Group) PreviewRemove(ctx context.Context, recursive bool) (*Preview, error) {
	op := "remove " + g.path
	list, err := g.removable(ctx, op, recursive)
	if err != nil {
		return nil, err
	}
	p := newPreview()
	for _, h := range list {
		groups, err := h.subtree(ctx, g.path)
		if err != nil {
			return nil, asError(op, err)
		}
		for _, at := range groups {
			p.Writes = append(p.Writes, "rmdir "+h.Dir(at))
		}
		if deep := h.countTooLong(ctx, g.path); deep > 0 {
			p.note("%s in %s besides, with a path that is too long for the kernel to name", words.Count(deep, "group goes", "groups go"), h)
		}
	}
	if inside, err := g.fs.inTree(ctx, list, g.path); err == nil && len(inside) > 0 {
		if busy, ok := errors.AsType[*Error](g.explainBusy(ctx, op, list)); ok {
			p.note("it would wait for them, and then be refused: %s", busy.Cause)
		}
	}
	return p, nil
}

// checkOwnPIDs is checkPIDs for this machine. On another one, or in a captured tree, its
// own numbers are meant, and nobody acts on them.
func (fs *FS) checkOwnPIDs(op string) error {
	if fs.root != "/" {
		return nil
	}
	return fs.checkPIDs(op)
}
