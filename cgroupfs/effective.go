package cgroupfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Effective is the limit of one resource that really binds: the smallest among
// a group's and its ancestors'.
type Effective struct {
	// Resource is "memory", "swap" (on v1 "memory+swap"), "cpu", "pids",
	// "cpuset.cpus", "cpuset.mems", "hugetlb.2MB" or the like; Unit is
	// "bytes", "cpus", "tasks" or "list".
	Resource string `json:"resource"`
	Unit     string `json:"unit"`
	Version  int    `json:"version"`
	// Limit is nil if nothing limits it. List is set instead for cpusets.
	Limit *float64 `json:"limit"`
	List  string   `json:"list,omitempty"`
	// Group is whose limit it is, File where it is written.
	Group string `json:"group,omitempty"`
	File  string `json:"file,omitempty"`
	// Usage is that of Group, and Headroom what is left there. Without a
	// limit, usage is the group's own.
	Usage    *float64 `json:"usage"`
	Headroom *float64 `json:"headroom"`
	// Tightest is the group with less left than that, because others below it
	// use it too; empty if Group has the least.
	Tightest         string   `json:"tightest,omitempty"`
	TightestHeadroom *float64 `json:"tightest_headroom,omitempty"`
}

// limitSource is where a resource's limit and use are written.
type limitSource struct{ resource, unit, limit, usage string }

// limitSources lists them for one hierarchy and group. A limit above binds the
// group even if its own directory lacks the file: on v2 it has those of the
// controllers that are enabled for it, and the root has none.
func (h *Hierarchy) limitSources(group string) []limitSource {
	list := []limitSource{
		{"memory", "bytes", "memory.max", "memory.current"},
		{"memory.high", "bytes", "memory.high", "memory.current"},
		{"swap", "bytes", "memory.swap.max", "memory.swap.current"},
		{"pids", "tasks", "pids.max", "pids.current"},
	}
	if h.Version == 1 {
		list = []limitSource{
			{"memory", "bytes", "memory.limit_in_bytes", "memory.usage_in_bytes"},
			{"memory+swap", "bytes", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"},
			{"pids", "tasks", "pids.max", "pids.current"},
		}
	}
	var names []string
	for _, at := range ancestors(group) {
		files, _ := h.list(at, false)
		names = append(names, files...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	list = slices.DeleteFunc(list, func(s limitSource) bool {
		return !slices.Contains(names, s.limit) && !slices.Contains(h.Controllers, s.resource)
	})
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "hugetlb.")
		size, last, ok2 := strings.Cut(rest, ".")
		switch {
		case ok && ok2 && last == "max":
			list = append(list, limitSource{"hugetlb." + size, "bytes", name, "hugetlb." + size + ".current"})
		case ok && ok2 && last == "limit_in_bytes":
			list = append(list, limitSource{"hugetlb." + size, "bytes", name, "hugetlb." + size + ".usage_in_bytes"})
		}
	}
	return list
}

// Effective finds the limits that bind a process in this group, in each
// hierarchy: where the group is missing, those of the nearest one above it.
func (g *Group) Effective() ([]Effective, error) {
	if _, err := g.need("find the limits of " + g.path); err != nil {
		return nil, err
	}
	list := []Effective{}
	for i := range g.fs.hierarchies {
		list = append(list, g.fs.hierarchies[i].effective(g.path)...)
	}
	return list, nil
}

// EffectiveOf finds the limits that bind a process, wherever each hierarchy
// has it.
func (fs *FS) EffectiveOf(memberships []Membership) ([]Effective, error) {
	list := []Effective{}
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		for _, m := range memberships {
			if !h.Holds(m) {
				continue
			}
			if outside(m.Path) {
				return nil, &Error{
					Op: "find the limits of " + m.Path, Err: unix.EXDEV,
					Cause: "the process is outside of this cgroup namespace, and its groups cannot be seen from here",
					Next:  "run in the host's cgroup namespace",
				}
			}
			list = append(list, h.effective(m.Path)...)
		}
	}
	return list, nil
}

func (h *Hierarchy) effective(group string) []Effective {
	for group != "/" && !h.has(group, "") {
		group = path.Dir(group)
	}
	var list []Effective
	for _, s := range h.limitSources(group) {
		list = append(list, h.smallest(group, s))
	}
	if e, ok := h.smallestQuota(group); ok {
		list = append(list, e)
	}
	for _, kind := range []string{"cpus", "mems"} {
		for _, file := range []string{"cpuset." + kind + ".effective", "cpuset.effective_" + kind} {
			if text, err := h.read(group, file); err == nil {
				list = append(list, Effective{
					Resource: "cpuset." + kind, Unit: "list", Version: h.Version, List: text,
					Group: group, File: path.Join(h.Dir(group), file),
				})
			}
		}
	}
	return list
}

func (h *Hierarchy) smallest(group string, s limitSource) Effective {
	e := Effective{Resource: s.resource, Unit: s.unit, Version: h.Version}
	var least *float64
	var leastAt string
	for _, at := range ancestors(group) {
		f := statFiles{h, at}
		limit, usage := toFloat(f.limit(s.limit)), toFloat(f.number(s.usage))
		if e.Limit == nil && at == group {
			e.Usage = usage
		}
		if limit == nil {
			continue
		}
		var left *float64
		if usage != nil {
			n := max(*limit-*usage, 0)
			left = &n
		}
		if e.Limit == nil || *limit < *e.Limit {
			e.Limit, e.Usage, e.Headroom = limit, usage, left
			e.Group, e.File = at, path.Join(h.Dir(at), s.limit)
		}
		if left != nil && (least == nil || *left < *least) {
			least, leastAt = left, at
		}
	}
	if least != nil && e.Headroom != nil && *least < *e.Headroom {
		e.Tightest, e.TightestHeadroom = leastAt, least
	}
	return e
}

func toFloat(n *int64) *float64 {
	if n == nil {
		return nil
	}
	x := float64(*n)
	return &x
}

// smallestQuota compares CPUs, since each group may have its own period.
func (h *Hierarchy) smallestQuota(group string) (Effective, bool) {
	e := Effective{Resource: "cpu", Unit: "cpus", Version: h.Version}
	file := map[int]string{1: "cpu.cfs_quota_us", 2: "cpu.max"}[h.Version]
	if !h.has(group, file) && !slices.Contains(h.Controllers, "cpu") {
		return e, false
	}
	for _, at := range ancestors(group) {
		c := h.quota(at)
		if c.QuotaUsec == Unlimited {
			continue
		}
		if n := c.CPUs(); e.Limit == nil || n < *e.Limit {
			e.Limit, e.Group, e.File = &n, at, path.Join(h.Dir(at), file)
		}
	}
	return e, true
}

// String is one line for people.
func (e Effective) String() string {
	switch {
	case e.Unit == "list":
		return fmt.Sprintf("%s: %s", e.Resource, e.List)
	case e.Limit == nil:
		return e.Resource + ": no limit"
	}
	return fmt.Sprintf("%s: %g %s by %s", e.Resource, *e.Limit, e.Unit, e.Group)
}
