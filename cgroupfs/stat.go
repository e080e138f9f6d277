package cgroupfs

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Stat is what a group has used and what happened to it. A part is nil where
// no controller counts it for the group.
type Stat struct {
	Group       string        `json:"group"`
	Populated   *bool         `json:"populated"` // somebody is inside, or below
	Frozen      *bool         `json:"frozen"`
	Descendants *int64        `json:"descendants"`       // v2 groups below
	Dying       *int64        `json:"dying_descendants"` // removed, not yet let go of
	CPU         *CPUStat      `json:"cpu"`
	Memory      *MemoryStat   `json:"memory"`
	PIDs        *PIDsStat     `json:"pids"`
	IO          []IOStat      `json:"io"`
	Hugetlb     []HugetlbStat `json:"hugetlb"`
	Pressure    *PressureStat `json:"pressure"`
}

// CPUStat is processor time, since the group was made. The last four are nil
// where no quota can be set.
type CPUStat struct {
	UsageUsec     int64  `json:"usage_usec"`
	UserUsec      int64  `json:"user_usec"`
	SystemUsec    int64  `json:"system_usec"`
	Periods       *int64 `json:"periods"`
	Throttled     *int64 `json:"throttled_periods"`
	ThrottledUsec *int64 `json:"throttled_usec"`
	BurstUsec     *int64 `json:"burst_usec"`
}

// MemoryStat is memory now, and counts of events since the group was made.
// Limits are nil where there is none.
type MemoryStat struct {
	UsageBytes     int64  `json:"usage_bytes"`
	PeakBytes      *int64 `json:"peak_bytes"`
	LimitBytes     *int64 `json:"limit_bytes"`
	SwapBytes      *int64 `json:"swap_bytes"`
	SwapLimitBytes *int64 `json:"swap_limit_bytes"` // v1: the limit of both less that of memory
	AnonBytes      int64  `json:"anon_bytes"`
	FileBytes      int64  `json:"file_bytes"`
	KernelBytes    *int64 `json:"kernel_bytes"`
	ShmemBytes     int64  `json:"shmem_bytes"`
	// MaxEvents counts how often the limit was hit (v1: failcnt of
	// memory and of memory+swap), OOMKills
	// the processes that the OOM killer took.
	MaxEvents  *int64 `json:"max_events"`
	HighEvents *int64 `json:"high_events"`
	OOMEvents  *int64 `json:"oom_events"`
	OOMKills   *int64 `json:"oom_kills"`
}

// PIDsStat counts processes and threads.
type PIDsStat struct {
	Current int64  `json:"current"`
	Peak    *int64 `json:"peak"`
	Limit   *int64 `json:"limit"`
	// MaxEvents counts the forks that the limit refused.
	MaxEvents *int64 `json:"max_events"`
}

// IOStat is what was read from and written to one disk.
type IOStat struct {
	Device     Device `json:"device"`
	ReadBytes  int64  `json:"read_bytes"`
	WriteBytes int64  `json:"write_bytes"`
	ReadOps    int64  `json:"read_operations"`
	WriteOps   int64  `json:"write_operations"`
}

// HugetlbStat is memory in huge pages of one size, named as the kernel does.
type HugetlbStat struct {
	PageSize   string `json:"page_size"`
	UsageBytes int64  `json:"usage_bytes"`
	LimitBytes *int64 `json:"limit_bytes"`
	MaxEvents  *int64 `json:"max_events"`
}

// Stat reads the group's statistics from whatever hierarchies have it.
func (g *Group) Stat() (Stat, error) {
	s := Stat{Group: g.path, IO: []IOStat{}, Hugetlb: []HugetlbStat{}}
	list, err := g.need("read the statistics of " + g.path)
	if err != nil {
		return s, err
	}
	for _, h := range list {
		f := statFiles{h, g.path}
		if h.Version == 2 {
			f.fill2(&s)
		} else {
			f.fill1(&s)
		}
	}
	if s.Populated == nil && g.path != "/" { // v1 has no file that says so
		if pids, err := g.fs.inTree(list, g.path); err == nil {
			populated := len(pids) > 0
			s.Populated = &populated
		}
	}
	return s, nil
}

// statFiles reads a group's files in one hierarchy; what is not there is zero,
// or nil.
type statFiles struct {
	h     *Hierarchy
	group string
}

func (f statFiles) text(file string) string {
	text, _ := f.h.read(f.group, file)
	return text
}

func (f statFiles) flat(file string) flat { return flatKeyed(f.text(file)) }

func (f statFiles) number(file string) *int64 {
	n, err := strconv.ParseInt(f.text(file), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// limit is nil for none.
func (f statFiles) limit(file string) *int64 {
	n, ok := readSize(f.text(file))
	if !ok || n == Unlimited {
		return nil
	}
	return &n
}

// flat is a file of lines "KEY NUMBER".
type flat map[string]int64

func flatKeyed(text string) flat {
	m := flat{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		if err == nil {
			m[key] = int64(min(n, math.MaxInt64))
		}
	}
	return m
}

func (m flat) get(key string) *int64 {
	n, ok := m[key]
	if !ok {
		return nil
	}
	return &n
}

func (m flat) flag(key string) *bool {
	n, ok := m[key]
	if !ok {
		return nil
	}
	flag := n != 0
	return &flag
}

// seeFrozen takes what one hierarchy says: either version's freezer stops the
// group.
func (s *Stat) seeFrozen(frozen *bool) {
	if frozen != nil && (s.Frozen == nil || *frozen) {
		s.Frozen = frozen
	}
}

func (f statFiles) fill2(s *Stat) {
	events := f.flat("cgroup.events")
	s.Populated = events.flag("populated")
	s.seeFrozen(events.flag("frozen"))
	stat := f.flat("cgroup.stat")
	s.Descendants, s.Dying = stat.get("nr_descendants"), stat.get("nr_dying_descendants")
	s.Pressure = readPressures(f)
	// cpu.stat is there without the controller too, for the time alone.
	if cpu := f.flat("cpu.stat"); len(cpu) > 0 && s.CPU == nil {
		s.CPU = &CPUStat{
			UsageUsec: cpu["usage_usec"], UserUsec: cpu["user_usec"], SystemUsec: cpu["system_usec"],
			Periods: cpu.get("nr_periods"), Throttled: cpu.get("nr_throttled"),
			ThrottledUsec: cpu.get("throttled_usec"), BurstUsec: cpu.get("burst_usec"),
		}
	}
	if usage := f.number("memory.current"); usage != nil {
		stat, events := f.flat("memory.stat"), f.flat("memory.events")
		s.Memory = &MemoryStat{
			UsageBytes: *usage, PeakBytes: f.number("memory.peak"), LimitBytes: f.limit("memory.max"),
			SwapBytes: f.number("memory.swap.current"), SwapLimitBytes: f.limit("memory.swap.max"),
			AnonBytes: stat["anon"], FileBytes: stat["file"], KernelBytes: stat.get("kernel"), ShmemBytes: stat["shmem"],
			MaxEvents: events.get("max"), HighEvents: events.get("high"),
			OOMEvents: events.get("oom"), OOMKills: events.get("oom_kill"),
		}
	}
	f.fillPIDs(s)
	f.fillIO2(s)
	f.fillHugetlb(s, "hugetlb.%s.current", "hugetlb.%s.max")
}

func (f statFiles) fillPIDs(s *Stat) {
	if current := f.number("pids.current"); current != nil {
		s.PIDs = &PIDsStat{
			Current: *current, Peak: f.number("pids.peak"), Limit: f.limit("pids.max"),
			MaxEvents: f.flat("pids.events").get("max"),
		}
	}
}

// fillIO2 reads "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
func (f statFiles) fillIO2(s *Stat) {
	for line := range strings.Lines(f.text("io.stat")) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		device, ok := parseDeviceNumber(words[0])
		if !ok {
			continue
		}
		io := ioStat(s, device)
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			n, _ := strconv.ParseInt(value, 10, 64)
			switch key {
			case "rbytes":
				io.ReadBytes = n
			case "wbytes":
				io.WriteBytes = n
			case "rios":
				io.ReadOps = n
			case "wios":
				io.WriteOps = n
			}
		}
	}
}

func ioStat(s *Stat, device Device) *IOStat {
	i := slices.IndexFunc(s.IO, func(io IOStat) bool { return io.Device == device })
	if i < 0 {
		i = len(s.IO)
		s.IO = append(s.IO, IOStat{Device: device})
	}
	return &s.IO[i]
}

// fillHugetlb looks for the page sizes among the files.
func (f statFiles) fillHugetlb(s *Stat, usage, limit string) {
	names, _ := f.h.list(f.group, false)
	before, after, _ := strings.Cut(usage, "%s")
	for _, name := range names {
		size, ok := strings.CutPrefix(name, before)
		if size, ok2 := strings.CutSuffix(size, after); ok && ok2 && !strings.Contains(size, ".") {
			stat := HugetlbStat{PageSize: size, LimitBytes: f.limit(strings.Replace(limit, "%s", size, 1))}
			if n := f.number(name); n != nil {
				stat.UsageBytes = *n
			}
			stat.MaxEvents = f.flat("hugetlb." + size + ".events").get("max")
			if f.h.Version == 1 {
				stat.MaxEvents = f.number("hugetlb." + size + ".failcnt")
			}
			s.Hugetlb = append(s.Hugetlb, stat)
		}
	}
}
