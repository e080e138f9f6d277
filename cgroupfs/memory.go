package cgroupfs

import "slices"

// MemoryBytes is what the group and those below it use, with their caches: the number
// that a limit is compared with (memory.current in Documentation/admin-guide/cgroup-v2.rst,
// memory.usage_in_bytes with v1). None: no hierarchy has the controller, the group is
// in none that has it, or it is the root of v2, which has no such number.
func (g *Group) MemoryBytes() Value[int64] {
	for i := range g.fs.hierarchies {
		h := &g.fs.hierarchies[i]
		if !slices.Contains(h.Controllers, "memory") {
			continue
		}
		file := "memory.current"
		if h.Version == 1 {
			file = "memory.usage_in_bytes"
		}
		var missing gaps
		return files{h, g.path, &missing}.number(file)
	}
	return Value[int64]{}
}
