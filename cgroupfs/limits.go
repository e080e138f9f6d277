package cgroupfs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are what to set for a group. nil leaves a thing alone; zero is a
// value. Sizes are bytes, and Unlimited takes a limit off. They mean the same
// on both versions: what one cannot do is an error of Group.Plan.
type Limits struct {
	CPU          *CPUMax
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
	IOMax    []IOMax
	Hugetlb  map[string]int64 // by the kernel's name of the page size, "2MB"

	// Devices are the only ones that may be used, and how: "c 1:3 rwm", "b 8:* r",
	// "/dev/null rw". An empty list that is not nil takes all devices away.
	Devices []string

	// Settings are further ones, in either version's spelling.
	Settings []Setting
	// Raw are written to the file as named, as they are.
	Raw []Setting
}

// List spells the limits as v2 does, Settings as they were given; without Raw.
func (l Limits) List() []Setting {
	var list []Setting
	add := func(key, value string) { list = append(list, Setting{key, value}) }
	size := func(key string, n *int64) {
		if n != nil {
			add(key, sizeFor(2, *n))
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
		add("hugetlb."+page+".max", sizeFor(2, l.Hugetlb[page]))
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
		if c := controllerOf(s.Key); c != "cgroup" {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ParseHugetlb reads "2M=64M": a page size, and how much memory of such pages.
// The page size comes back by the kernel's name, "2MB".
func ParseHugetlb(word string) (page string, limit int64, err error) {
	left, right, ok := strings.Cut(word, "=")
	if !ok {
		return "", 0, fmt.Errorf("hugetlb limit %s: want PAGESIZE=LIMIT such as 2M=64M: %w", quote(word), unix.EINVAL)
	}
	size, err := ParseSize(strings.TrimSuffix(left, "B"))
	if err == nil && (size == Unlimited || size < 1024 || size&(size-1) != 0) {
		err = fmt.Errorf("huge page size %s: want a power of two such as 2M: %w", quote(left), unix.EINVAL)
	}
	if err != nil {
		return "", 0, err
	}
	limit, err = ParseSize(right)
	return hugetlbName(size), limit, err
}

// hugetlbName is mem_fmt of mm/hugetlb_cgroup.c.
func hugetlbName(size int64) string {
	switch {
	case size >= 1<<30:
		return strconv.FormatInt(size>>30, 10) + "GB"
	case size >= 1<<20:
		return strconv.FormatInt(size>>20, 10) + "MB"
	}
	return strconv.FormatInt(size>>10, 10) + "KB"
}
