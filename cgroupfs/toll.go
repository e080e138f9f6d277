package cgroupfs

import (
	"cmp"
	"math"
	"path"
	"slices"
)

// Toll is what limits have done so far to the processes of a group: its own, and
// those of the groups above, which may take as well. Take one before and one after,
// and Since tells what happened in between.
type Toll struct{ memory, pids *tollOf }

// tollOf is that of one resource, from the group up.
type tollOf struct {
	levels []tollLevel
	hidden bool // groups on the way up cannot be seen
	// taken counts the processes that were killed, or not started, in the group and,
	// on v2, in those below it; hits how often a limit in there was hit.
	taken, hits int64
	// byGroup says that each limit that is hit is counted in its own group. If not,
	// the one that came nearest to its limit is meant.
	byGroup bool
}

// tollLevel is one group of the way up.
type tollLevel struct {
	limit HitLimit
	hits  int64
	left  int64 // how near it has come to its limit, at the nearest
}

// Hit is what limits have done between two tolls.
type Hit struct {
	// Resource is "memory" or "pids".
	Resource string
	// Count is how many processes were killed, or how often none could be started.
	Count int64
	// Limits are those that were hit. Where the kernel does not count that for each
	// group, it is the one that came nearest to its limit.
	Limits []HitLimit
	// Below says that it was the limit of a group below, Machine that it was none:
	// the machine's memory ran out. Without any of these it is not known.
	Below, Machine bool
}

// HitLimit is the limit of one group.
type HitLimit struct {
	Group string
	File  string
	Limit Value[int64]
}

// Toll reads what the limits have done until now. What cannot be read counts as
// nothing.
func (g *Group) Toll() Toll {
	return Toll{memory: g.toll("memory", (*tollOf).memory), pids: g.toll("pids", (*tollOf).pids)}
}

// toll is nil where the resource is not counted.
func (g *Group) toll(controller string, add func(*tollOf, files)) *tollOf {
	h, err := g.fs.controller(controller)
	if err != nil {
		return nil
	}
	t := &tollOf{}
	for _, l := range g.fs.wayUp(h, g.path, false).levels {
		if l.hidden != nil {
			t.hidden = true
			continue
		}
		add(t, files{h: h, group: l.group})
	}
	return t
}

// level adds a group, with its limit.
func (t *tollOf) level(f files, hits Value[int64], limit, peak string) {
	l := tollLevel{limit: HitLimit{f.group, path.Join(f.h.Dir(f.group), limit), f.limit(limit)}, left: math.MaxInt64}
	l.hits, _ = hits.Get()
	most, _ := f.number(peak).Get()
	if n, limited := l.limit.Limit.Get(); limited {
		l.left = n - most
	}
	t.levels = append(t.levels, l)
}

// memory: a limit that was hit for good is an event "oom" of the group whose it is,
// and in memory.events.local of no other (mem_cgroup_oom in mm/memcontrol.c); before
// Linux 5.2 memory.events was like that. "oom_kill" is counted where the process was.
func (t *tollOf) memory(f files) {
	if f.h.Version == 1 {
		t.memory1(f)
		return
	}
	t.byGroup = true
	all := f.flat("memory.events")
	local, there := f.flatIfThere("memory.events.local")
	if !there {
		local = all
	}
	if len(t.levels) == 0 {
		t.taken, _ = all.get("oom_kill").Get()
		t.hits, _ = all.get("oom").Get()
	}
	t.level(f, local.get("oom"), "memory.max", "memory.peak")
}

// memory1: v1 counts a try that failed at the limit of memory (failcnt), and only
// until Linux 6.12 one that failed at that of memory+swap, which is tried first.
func (t *tollOf) memory1(f files) {
	if len(t.levels) == 0 {
		t.taken, _ = f.flat("memory.oom_control").get("oom_kill").Get()
	}
	hits := sum(f.number("memory.failcnt"), f.number("memory.memsw.failcnt"))
	memory, _ := f.limit("memory.limit_in_bytes").Get()
	if both, limited := f.limit("memory.memsw.limit_in_bytes").Get(); limited && both <= memory {
		t.level(f, hits, "memory.memsw.limit_in_bytes", "memory.memsw.max_usage_in_bytes")
		return
	}
	t.level(f, hits, "memory.limit_in_bytes", "memory.max_usage_in_bytes")
}

// pids: pids.events.local, since Linux 6.11, counts where the limit was hit; on v1
// and before that pids.events counts where the process was that could not fork
// (pids_event in kernel/cgroup/pids.c).
func (t *tollOf) pids(f files) {
	local, there := f.flatIfThere("pids.events.local")
	t.byGroup = f.h.Version == 2 && (there || t.byGroup) // the root has none
	if len(t.levels) == 0 {
		t.taken, _ = f.flat("pids.events").get("max").Get()
		t.hits = t.taken
	}
	hits := Value[int64]{}
	if f.h.Version == 2 {
		hits = local.get("max")
	}
	t.level(f, hits, "pids.max", "pids.peak")
}

// Since is what happened since an earlier toll of the same group.
func (t Toll) Since(before Toll) []Hit {
	var list []Hit
	if hit, ok := t.memory.since(before.memory); ok && t.memory.taken > before.memory.taken {
		hit.Resource, hit.Count = "memory", t.memory.taken-before.memory.taken // most hits kill nobody
		// Nobody is killed for want of memory but by a limit, or by the machine.
		hit.Machine = len(hit.Limits) == 0 && !hit.Below && !t.memory.hidden
		list = append(list, hit)
	}
	if hit, ok := t.pids.since(before.pids); ok {
		hit.Resource = "pids"
		list = append(list, hit)
	}
	return list
}

func (t *tollOf) since(before *tollOf) (hit Hit, ok bool) {
	if t == nil || before == nil || len(t.levels) != len(before.levels) {
		return hit, false
	}
	hit.Count = t.taken - before.taken
	for i, l := range t.levels {
		if more := l.hits - before.levels[i].hits; more > 0 {
			hit.Limits = append(hit.Limits, l.limit)
			// What the limit of a group above refuses may not be told to those below.
			hit.Count = max(hit.Count, more)
		}
	}
	switch {
	case hit.Count <= 0:
		return hit, false
	case len(hit.Limits) > 0:
	case t.byGroup:
		hit.Below = t.hits > before.hits
	default:
		hit.Limits = t.nearest()
	}
	return hit, true
}

// nearest is the limit that was most nearly reached, if there is one.
func (t *tollOf) nearest() []HitLimit {
	if len(t.levels) == 0 {
		return nil
	}
	l := slices.MinFunc(t.levels, func(a, b tollLevel) int { return cmp.Compare(a.left, b.left) })
	if l.left == math.MaxInt64 {
		return nil
	}
	return []HitLimit{l.limit}
}
