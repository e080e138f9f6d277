package cgroupfs

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// CreateOptions is what a new group is for.
type CreateOptions struct {
	// Controllers are those that the group is to be controlled by: on v1 it
	// is made in their hierarchies, on v2 they are enabled down to it. Those
	// that Limits need come by themselves.
	Controllers []string
	// Limits are set right away. A failure takes the new group back.
	Limits Limits
	// Formula is FormulaRatio if empty.
	Formula keys.Formula
}

// PlanCreate works out what makes the group, the groups above it that are
// missing, and its limits. A group that is there already is completed.
func (g *Group) PlanCreate(ctx context.Context, o CreateOptions) (*Plan, error) {
	op := "create " + g.path
	if g.path == "/" {
		return nil, &Error{Op: op, Group: g.path, Err: unix.EEXIST, Cause: "the root is always there"}
	}
	for _, at := range ancestors(g.path) {
		if there, err := (&Group{fs: g.fs, path: at}).Exists(); err != nil {
			return nil, err
		} else if !there && ofController(path.Base(at)) {
			return nil, &Error{
				Op: op, Group: g.path, Err: unix.EINVAL, Cause: path.Base(at) + " could be the name of a control file",
				Next: "call it _" + path.Base(at) + ", as systemd does",
			}
		}
	}
	limited := len(o.Limits.List())+len(o.Limits.Raw) > 0
	if err := g.guardCreate(op, limited); err != nil {
		return nil, err
	}
	controllers := slices.Concat(o.Controllers, o.Limits.Controllers())
	hierarchies, enable, err := g.places(controllers)
	if err != nil {
		return nil, err
	}
	for _, h := range hierarchies {
		if _, _, ok := h.place(g.path); !ok {
			e := h.notShown(g.path)
			e.Op, e.Err = op, unix.EXDEV
			return nil, e
		}
	}
	p := g.newPlan()
	if limited {
		g.noteForced(p)
	}
	for _, h := range hierarchies {
		if err := interrupted(ctx, op); err != nil {
			return nil, err
		}
		if h.Version == 2 {
			err = g.planV2(p, h, enable, op)
		} else {
			err = g.planV1(p, h)
		}
		if err != nil {
			return nil, asError(op, err)
		}
	}
	if err := g.planLimits(ctx, p, o.Limits, PlanOptions{Formula: o.Formula}); err != nil {
		return nil, err
	}
	for _, s := range p.Steps {
		if err := g.checkMemory(s); err != nil {
			return nil, err
		}
	}
	if limited {
		g.noteBelow(ctx, p)
	}
	return p, nil
}

// Create is PlanCreate and Apply.
func (g *Group) Create(ctx context.Context, o CreateOptions) (Report, error) {
	p, err := g.PlanCreate(ctx, o)
	if err != nil {
		return Report{}, err
	}
	return p.Apply(ctx)
}

// guardCreate minds the owner of the nearest group above that exists or, if it
// is to be limited, of the group itself.
func (g *Group) guardCreate(op string, limited bool) error {
	if ok, err := g.Exists(); limited && (ok || err != nil) {
		return cmp.Or(err, g.guard(op, VerbSet))
	}
	for _, at := range ancestors(g.path)[1:] {
		up := &Group{fs: g.fs, path: at, force: g.force}
		switch o := up.Owner(); {
		case at == "/" || o.Kind == "self" || strings.HasSuffix(at, ".slice"):
			return nil // one more child does no harm there
		case o.Kind == "systemd" && g.fs.delegated(at):
			return nil // what is below is the unit's own
		case o.Kind != "":
			return up.guard(op, VerbCreate)
		}
		if ok, err := up.Exists(); ok || err != nil {
			return err
		}
	}
	return nil
}

// places says in which hierarchies the group is made, and which controllers
// are to be enabled on v2. Freezing, killing and pressure need v2 or, where
// there is none, the freezer.
func (g *Group) places(controllers []string) (list []*Hierarchy, enable []string, err error) {
	always := g.fs.v2()
	if only := g.fs.only(); only != nil {
		always = only
	} else if always == nil {
		always, _ = g.fs.controller("freezer")
	}
	if always != nil {
		list = append(list, always)
	}
	for _, name := range controllers {
		h, err := g.fs.controller(name)
		if err != nil {
			return nil, nil, err
		}
		if h.Version == 2 {
			if name == "blkio" {
				name = "io"
			}
			// Others are in the core of v2, and cpu's statistics are in cpu.
			if slices.Contains(h.Controllers, name) && !slices.Contains(enable, name) {
				enable = append(enable, name)
			}
		}
		if !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return nil, nil, &Error{
			Op: "create " + g.path, Group: g.path, Err: unix.EINVAL, Reason: ErrUsage,
			Cause: "this machine has neither v2 nor a v1 freezer, so no hierarchy is meant by itself",
			Next:  "name controllers: " + strings.Join(g.fs.Controllers(), ", "),
		}
	}
	slices.Sort(enable)
	return list, enable, nil
}

// topDown is the group and those above it, without the root, from the top.
func (g *Group) topDown() []string {
	list := ancestors(g.path)
	list = list[:len(list)-1]
	slices.Reverse(list)
	return list
}

// planV2 goes down the tree: each group passes the controllers on to the next.
func (g *Group) planV2(p *Plan, h *Hierarchy, enable []string, op string) error {
	parent := "/"
	for _, at := range g.topDown() {
		if !isBelow(at, h.MountRoot) || at == h.MountRoot {
			parent = at
			continue
		}
		text, err := h.read(parent, "cgroup.subtree_control")
		if ignoreGone(err) != nil {
			return err
		}
		have := strings.Fields(text)
		for _, name := range enable {
			// One at a time, so that a refusal is about one.
			if !slices.Contains(have, name) {
				note, err := g.guardEnable(op, parent, name)
				if err != nil {
					return err
				}
				for _, note := range []string{note, h.noteInvalid(parent, at, name)} {
					if note != "" && !slices.Contains(p.Notes, note) {
						p.Notes = append(p.Notes, note)
					}
				}
				p.write(h, parent, "cgroup.subtree_control", "+"+name)
			}
		}
		there, err := h.exists(at, "")
		if err != nil {
			return err
		}
		if !there {
			p.mkdir(h, at)
		}
		parent = at
	}
	return nil
}

// noteInvalid says that a group will take no processes: a controller that can rule
// single threads is switched on beside processes without a word, and what is below
// becomes "domain invalid" ("Threads" in the kernel's cgroup-v2.rst).
func (h *Hierarchy) noteInvalid(parent, child, controller string) string {
	if parent == "/" || !slices.Contains([]string{"cpu", "cpuset", "perf_event", "pids"}, controller) {
		return ""
	}
	if text, err := h.read(parent, "cgroup.procs"); err != nil || text == "" {
		return ""
	}
	return fmt.Sprintf("%s has processes of its own, so %s becomes \"domain invalid\" and takes none: only threads of theirs, once its cgroup.type is \"threaded\"", parent, child)
}

// planV1 fills new cpusets, which are empty at first and take no process,
// from the group above; on v2 an empty cpuset means that anyway.
func (g *Group) planV1(p *Plan, h *Hierarchy) error {
	var filled bool
	for _, at := range g.topDown() {
		there, err := h.exists(at, "")
		if err != nil {
			return err
		}
		if there || !isBelow(at, h.MountRoot) {
			continue
		}
		p.mkdir(h, at)
		if !slices.Contains(h.Controllers, "cpuset") {
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := h.nearest(at, file)
			if err != nil {
				return err
			}
			if value != "" {
				p.write(h, at, file, value)
				filled = true
			}
		}
	}
	if filled {
		p.Notes = append(p.Notes, "v1's cpusets start empty: cpus and mems are copied from the group above")
	}
	return nil
}

// nearest is the value of a file in the nearest group above that has one.
func (h *Hierarchy) nearest(group, file string) (string, error) {
	for _, at := range ancestors(group)[1:] {
		text, err := h.read(at, file)
		if text != "" || ignoreGone(err) != nil {
			return text, err
		}
	}
	return "", nil
}

// explainNoController says what a controller's absence means.
func (fs *FS) explainNoController(name string) error {
	e := &Error{Op: "controller " + words.Quote(name), Err: unix.ENOENT, Reason: ErrUnsupported}
	if only := fs.only(); only != nil {
		h, err := fs.whole.controller(name)
		if err != nil {
			return err
		}
		e.Cause = fmt.Sprintf("it is on %s, and only %s is meant", h, only)
		return e
	}
	offered := strings.Join(fs.Controllers(), ", ")
	switch name {
	case "devices":
		e.Cause = fmt.Sprintf("it exists on v1 and, as BPF programs, on v2, and neither is mounted (offered: %s)", offered)
	case "net_cls", "net_prio":
		e.Cause = fmt.Sprintf("it exists on v1 only, and no v1 hierarchy of it is mounted (offered: %s)", offered)
		e.Next = keys.Instead(map[string]string{"net_cls": "net_cls.classid", "net_prio": "net_prio.ifpriomap"}[name])
	case "cpu", "cpuset", "io", "blkio", "memory", "pids", "hugetlb", "rdma", "misc", "perf_event", "freezer", "cpuacct", "dmem":
		e.Cause = fmt.Sprintf("no mounted hierarchy has it (offered: %s): the kernel lacks it, has it disabled (cgroup_disable=), or it is bound to a v1 hierarchy that is not mounted here", offered)
		e.Next = "see the second column of /proc/cgroups"
	default:
		e.Err = unix.EINVAL
		e.Cause = fmt.Sprintf("there is none of that name (offered: %s)", offered)
	}
	return e
}
