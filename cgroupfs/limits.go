package cgroupfs

import (
	"maps"
	"slices"

	"nsx/cgroupfs/keys"
)

// Limits are what to set for a group. nil leaves a thing alone; zero is a
// value. Sizes are bytes, and Unlimited takes a limit off. They mean the same
// on both versions: what one cannot do is an error of Group.Plan.
type Limits struct {
	CPU          *keys.CPUMax
	CPUBurstUsec *int64
	CPUWeight    *int64 // 1…10000, v2's scale; 100 is normal
	CPUIdle      *bool

	Memory     *int64
	MemoryHigh *int64
	MemoryLow  *int64
	MemoryMin  *int64
	Swap       *int64 // swap alone, as on v2
	OOMGroup   *bool

	PIDs *int64

	CPUSetCPUs, CPUSetMems *string // lists such as "0-3,5"; "" inherits (v2)
	CPUSetPartition        *string // member, root or isolated

	IOWeight *int64 // 1…10000, v2's scale; 100 is normal
	IOMax    []keys.IOMax
	Hugetlb  map[string]int64 // by the kernel's name of the page size, "2MB"

	// Devices are the only ones that may be used, and how: "c 1:3 rwm", "b 8:* r",
	// "/dev/null rw". An empty list that is not nil takes all devices away.
	Devices []string

	// Settings are further ones, in either version's spelling.
	Settings []keys.Setting
	// Raw are written to the file as named, as they are.
	Raw []keys.Setting
}

// List spells the limits as v2 does, Settings as they were given; without Raw.
func (l Limits) List() []keys.Setting {
	var list []keys.Setting
	add := func(key, value string) { list = append(list, keys.Setting{Key: key, Value: value}) }
	size := func(key string, n *int64) {
		if n != nil {
			add(key, keys.SpellSize(2, *n))
		}
	}
	word := func(key string, s *string) {
		if s != nil {
			add(key, *s)
		}
	}
	flag := func(key string, b *bool) {
		if b != nil {
			add(key, map[bool]string{false: "0", true: "1"}[*b])
		}
	}
	if l.CPU != nil {
		add("cpu.max", l.CPU.String())
	}
	size("cpu.max.burst", l.CPUBurstUsec)
	size("cpu.weight", l.CPUWeight)
	flag("cpu.idle", l.CPUIdle)
	size("memory.max", l.Memory)
	size("memory.swap.max", l.Swap)
	size("memory.high", l.MemoryHigh)
	size("memory.low", l.MemoryLow)
	size("memory.min", l.MemoryMin)
	flag("memory.oom.group", l.OOMGroup)
	size("pids.max", l.PIDs)
	word("cpuset.cpus", l.CPUSetCPUs)
	word("cpuset.mems", l.CPUSetMems)
	word("cpuset.cpus.partition", l.CPUSetPartition)
	size("io.weight", l.IOWeight)
	for _, m := range l.IOMax {
		add("io.max", m.String())
	}
	for _, page := range slices.Sorted(maps.Keys(l.Hugetlb)) {
		add("hugetlb."+page+".max", keys.SpellSize(2, l.Hugetlb[page]))
	}
	if l.Devices != nil {
		add("devices.deny", "a")
	}
	for _, rule := range l.Devices {
		add("devices.allow", rule)
	}
	return append(list, l.Settings...)
}

// Controllers lists the controllers that the limits need, sorted.
func (l Limits) Controllers() []string {
	var names []string
	for _, s := range slices.Concat(l.List(), l.Raw) {
		// The core's files are there with every group.
		if c := keys.Controller(s.Key); c != "cgroup" {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
