package cgroupfs

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs/keys"
)

// source is where a resource's limit and use are written.
type source struct {
	resource, unit, limit, usage string
	// rare is not worth a line unless it is limited.
	rare bool
}

// sources lists what one number limits. A limit above binds the group even if
// its own directory lacks the file: on v2 it has those of the controllers that
// are enabled for it, and the root has none.
func (w *way) sources(fs *FS) []source {
	has := func(controller, file string) bool {
		return slices.Contains(w.names, file) || !w.allNames && slices.Contains(w.h.Controllers, controller)
	}
	var list []source
	add := func(s source) { list = append(list, s) }
	if slices.Contains(w.h.Controllers, "memory") || slices.Contains(w.names, "memory.max") {
		if w.h.Version == 2 {
			add(source{"memory", "bytes", "memory.max", "memory.current", false})
		} else {
			add(source{"memory", "bytes", "memory.limit_in_bytes", "memory.usage_in_bytes", false})
		}
	}
	for _, s := range []source{
		{"memory.high", "bytes", "memory.high", "memory.current", false},
		{"swap", "bytes", "memory.swap.max", "memory.swap.current", false},
		{"swap.high", "bytes", "memory.swap.high", "memory.swap.current", true},
		{"zswap", "bytes", "memory.zswap.max", "memory.zswap.current", true},
	} {
		if w.h.Version == 2 && has("memory", s.limit) {
			add(s)
		}
	}
	for _, s := range []source{
		{"memory+swap", "bytes", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", false},
		{"kernel memory", "bytes", "memory.kmem.limit_in_bytes", "memory.kmem.usage_in_bytes", true},
		{"TCP memory", "bytes", "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes", true},
	} {
		if w.h.Version == 1 && has("memory", s.limit) {
			add(s)
		}
	}
	if slices.Contains(w.h.Controllers, "pids") || slices.Contains(w.names, "pids.max") {
		add(source{"pids", "tasks", "pids.max", "pids.current", false})
	}
	for _, name := range w.names {
		limit, usage := ".max", ".current"
		if w.h.Version == 1 {
			limit, usage = ".limit_in_bytes", ".usage_in_bytes"
		}
		size, ok := strings.CutPrefix(name, "hugetlb.")
		if size, ok2 := strings.CutSuffix(size, limit); ok && ok2 {
			add(source{"hugetlb." + size, "bytes", name, "hugetlb." + size + usage, !fs.hasHugePages(size)})
		}
	}
	return list
}

// hasHugePages says whether there are huge pages of a size, by the kernel's name
// of it, or may be (Documentation/admin-guide/mm/hugetlbpage.rst).
func (fs *FS) hasHugePages(size string) bool {
	bytes, err := keys.ParseSize(strings.TrimSuffix(size, "B"))
	if err != nil {
		return false
	}
	dir := filepath.Join(fs.root, "sys/kernel/mm/hugepages", fmt.Sprintf("hugepages-%dkB", bytes>>10))
	for _, file := range []string{"nr_hugepages", "nr_overcommit_hugepages"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if n, err2 := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && err2 == nil && n > 0 {
			return true
		}
	}
	return false
}

// numbers are the limits that one number gives.
func (w *way) numbers(fs *FS) []Effective {
	var list []Effective
	for _, s := range w.sources(fs) {
		e := w.tightest(s)
		if _, limited := e.Limit.Get(); !s.rare || limited {
			list = append(list, e)
		}
	}
	return list
}

// tightest finds the group that has the least left. Where its use is not known
// it has at most its limit left.
func (w *way) tightest(s source) Effective {
	e := Effective{Resource: s.resource, Unit: s.unit, Version: w.h.Version, Known: true}
	least := math.Inf(1)
	for _, l := range w.levels {
		if l.hidden != nil {
			e.miss(*l.hidden)
			continue
		}
		f := files{h: w.h, group: l.group}
		if l.group != w.group && w.h.Version == 1 && strings.HasPrefix(s.limit, "memory.") && f.countsAlone() {
			break
		}
		limit := toFloat(f.limit(s.limit))
		if err := limit.Err(); err != nil {
			e.miss(err)
			continue
		}
		n, limited := limit.Get()
		if !limited && l.group != w.group {
			continue
		}
		usage := toFloat(f.number(s.usage))
		used, known := usage.Get()
		switch {
		case !limited:
			e.Usage = usage
			if err := usage.Err(); err != nil {
				e.note(err)
			}
			continue
		case usage.Err() != nil:
			e.miss(usage.Err())
		}
		if left := max(n-used, 0); left < least || math.IsInf(least, 1) {
			least = left
			e.Limit, e.Usage, e.Headroom = limit, usage, Number(left)
			if !known {
				e.Headroom = Value[float64]{err: usage.Err()}
			}
			e.setBy(w.h, l.group, s.limit)
		}
	}
	e.settle()
	if err := e.Limit.Err(); err != nil && e.Usage.IsNone() {
		e.Usage = NotKnown[float64](err)
	}
	return e
}

// countsAlone says whether what is below a v1 group does not count in it: then
// neither its limit nor those above it bind (memory.use_hierarchy, section 6 of
// the kernel's cgroup-v1/memory.rst; always 1 since Linux 5.11).
func (f files) countsAlone() bool {
	text, ok, _ := f.text("memory.use_hierarchy")
	return ok && text == "0"
}

func toFloat(v Value[int64]) Value[float64] {
	return Value[float64]{float64(v.number), v.is, v.err}
}
