package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Binding is what limits a process or a group.
type Binding struct {
	// Complete says that all was seen; what was not is in Unreadable.
	Complete   bool         `json:"complete"`
	Unreadable []Unreadable `json:"unreadable"`
	Limits     []Effective  `json:"limits"`
}

// Effective is the limit of one resource that really binds: that of the group,
// among one and those above it, that has the least left.
type Effective struct {
	// Resource is "memory", "memory.low" (spared, at most), "swap" (on v1
	// "memory+swap"), "cpu", "pids",
	// "cpuset.cpus", "cpuset.mems", "hugetlb.2MB", "io.rbps" or the like; Unit
	// is "bytes", "cpus", "tasks", "list", "bytes_per_second",
	// "operations_per_second" or "units".
	Resource string `json:"resource"`
	Unit     string `json:"unit"`
	Version  int    `json:"version"`
	// Device is the disk that an "io." limit is about.
	Device *Disk `json:"device,omitempty"`
	// Known is false where a group on the way up could not be read. Then the
	// limit is at most what is said here; without one, it is not known.
	Known bool           `json:"known"`
	Limit Value[float64] `json:"limit"`
	// List is set instead of Limit for cpusets, nil if it is not known.
	List *string `json:"list,omitempty"`
	// Group is whose limit it is, File where it is written.
	Group string `json:"group,omitempty"`
	File  string `json:"file,omitempty"`
	// Usage is that of Group, and Headroom what is left there; none for what
	// has no use but a rate. Without a limit, usage is the group's own,
	// none where the hierarchy lacks it.
	Usage    Value[float64] `json:"usage"`
	Headroom Value[float64] `json:"headroom"`
	// Gaps are what could not be read of this resource.
	Gaps []Unreadable `json:"-"`
}

// Effective finds the limits that bind a process in this group, in each
// hierarchy: where the group is missing, those of the nearest one above it.
func (g *Group) Effective(ctx context.Context) (Binding, error) {
	op := "find the limits of " + g.path
	if _, err := g.need(op); err != nil {
		return Binding{}, err
	}
	var list []way
	for i := range g.fs.hierarchies {
		list = append(list, g.fs.wayUp(&g.fs.hierarchies[i], g.path, false))
	}
	return g.fs.bind(ctx, op, list)
}

// EffectiveOf finds the limits that bind a process, wherever each hierarchy
// has it. It fails if no group of it can be seen.
func (fs *FS) EffectiveOf(ctx context.Context, memberships []Membership) (Binding, error) {
	memberships = slices.Clone(memberships)
	fs.CheckDeleted(memberships)
	var list []way
	visible := false
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		for _, m := range memberships {
			if !h.Holds(m) {
				continue
			}
			if m.Exited {
				w := way{h: h, group: m.Path}
				w.hide(m.Path, errExited)
				list = append(list, w)
				continue
			}
			w := fs.wayUp(h, m.Path, !m.Deleted)
			list = append(list, w)
			visible = visible || w.visible()
		}
	}
	if len(list) > 0 && !visible {
		hidden := list[0].levels[0]
		if errors.Is(hidden.hidden, errExited) {
			return Binding{}, errExited
		}
		return Binding{}, &Error{
			Op: "find the limits of " + hidden.group, Group: hidden.group, Err: unix.EXDEV,
			Cause: hidden.hidden.Reason, Next: "run in the host's cgroup namespace",
		}
	}
	return fs.bind(ctx, "find the limits of a process", list)
}

func (fs *FS) bind(ctx context.Context, op string, ways []way) (Binding, error) {
	b := Binding{Limits: []Effective{}, Unreadable: []Unreadable{}}
	for _, w := range ways {
		for _, of := range []func() []Effective{
			func() []Effective { return w.numbers(fs) }, w.protections, w.cpu, w.cpusets, func() []Effective { return w.keyed(fs) },
		} {
			if err := interrupted(ctx, op); err != nil {
				return Binding{}, err
			}
			b.Limits = append(b.Limits, of()...)
		}
	}
	all := gaps{list: b.Unreadable}
	for _, e := range b.Limits {
		all.add(e.Gaps...)
	}
	b.Unreadable, b.Complete = all.list, len(all.list) == 0
	return b, nil
}

// miss notes that something that may bind could not be read.
func (e *Effective) miss(err error) {
	e.Known = false
	e.note(err)
}

// note adds to the gaps, each once.
func (e *Effective) note(err error) {
	if u, ok := errors.AsType[Unreadable](err); ok {
		g := gaps{e.Gaps}
		g.add(u)
		e.Gaps = g.list
	}
}

// settle ends the search: without a limit, what was missed is all there is to say.
func (e *Effective) settle() {
	if !e.Known && e.Limit.IsNone() && len(e.Gaps) > 0 {
		e.Limit = NotKnown[float64](e.Gaps[0])
		if e.Headroom.IsNone() {
			e.Headroom = NotKnown[float64](e.Gaps[0])
		}
	}
}

// setBy names the group and file that the limit is from.
func (e *Effective) setBy(h *Hierarchy, group, file string) {
	e.Group, e.File = group, path.Join(h.Dir(group), file)
}

// String is one line for people.
func (e Effective) String() string {
	limit, ok := e.Limit.Get()
	atMost := ""
	if !e.Known {
		atMost = "at most "
	}
	switch {
	case e.List != nil:
		return fmt.Sprintf("%s: %s%s", e.Resource, atMost, *e.List)
	case !ok && !e.Known:
		return e.Resource + ": not known"
	case !ok:
		return e.Resource + ": no limit"
	}
	return fmt.Sprintf("%s: %s%g %s by %s", e.Resource, atMost, limit, e.Unit, e.Group)
}
