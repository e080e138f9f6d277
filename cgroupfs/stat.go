package cgroupfs

import (
	"slices"
	"strings"
)

// Stat is what a group has used and what happened to it. A part is nil, and a
// number none, where no controller counts it for the group.
type Stat struct {
	Group string `json:"group"`
	// Complete says that all was read; what was not is in Unreadable.
	Complete    bool          `json:"complete"`
	Unreadable  []Unreadable  `json:"unreadable"`
	Populated   *bool         `json:"populated"` // somebody is inside, or below
	Frozen      *bool         `json:"frozen"`
	Descendants Value[int64]  `json:"descendants"`       // v2 groups below
	Dying       Value[int64]  `json:"dying_descendants"` // removed, not yet let go of
	CPU         *CPUStat      `json:"cpu"`
	Memory      *MemoryStat   `json:"memory"`
	PIDs        *PIDsStat     `json:"pids"`
	IO          []IOStat      `json:"io"`
	Hugetlb     []HugetlbStat `json:"hugetlb"`
	Pressure    *PressureStat `json:"pressure"`
	// DevicePrograms restrict devices in the group, on v2. nil is not known:
	// without the capabilities of Group.DevicePrograms.
	DevicePrograms []DeviceProgram `json:"device_programs"`
}

// CPUStat is processor time, since the group was made. Those of throttling are
// none where no quota can be set.
type CPUStat struct {
	UsageUsec     Value[int64] `json:"usage_usec"`
	UserUsec      Value[int64] `json:"user_usec"`
	SystemUsec    Value[int64] `json:"system_usec"`
	Periods       Value[int64] `json:"periods"`
	Throttled     Value[int64] `json:"throttled_periods"`
	ThrottledUsec Value[int64] `json:"throttled_usec"`
	BurstUsec     Value[int64] `json:"burst_usec"`
}

// MemoryStat is memory now, and counts of events since the group was made.
// Limits are none where there is none.
type MemoryStat struct {
	UsageBytes     Value[int64] `json:"usage_bytes"`
	PeakBytes      Value[int64] `json:"peak_bytes"`
	LimitBytes     Value[int64] `json:"limit_bytes"`
	SwapBytes      Value[int64] `json:"swap_bytes"`
	SwapLimitBytes Value[int64] `json:"swap_limit_bytes"` // v1: the limit of both less that of memory
	AnonBytes      Value[int64] `json:"anon_bytes"`
	FileBytes      Value[int64] `json:"file_bytes"`
	KernelBytes    Value[int64] `json:"kernel_bytes"`
	ShmemBytes     Value[int64] `json:"shmem_bytes"`
	// MaxEvents counts how often the limit was hit (v1: failcnt of
	// memory and of memory+swap), OOMKills
	// the processes that the OOM killer took.
	MaxEvents  Value[int64] `json:"max_events"`
	HighEvents Value[int64] `json:"high_events"`
	OOMEvents  Value[int64] `json:"oom_events"`
	OOMKills   Value[int64] `json:"oom_kills"`
}

// PIDsStat counts processes and threads.
type PIDsStat struct {
	Current Value[int64] `json:"current"`
	Peak    Value[int64] `json:"peak"`
	Limit   Value[int64] `json:"limit"`
	// MaxEvents counts the forks that the limit refused.
	MaxEvents Value[int64] `json:"max_events"`
}

// IOStat is what was read from and written to one disk.
type IOStat struct {
	Device     Disk         `json:"device"`
	ReadBytes  Value[int64] `json:"read_bytes"`
	WriteBytes Value[int64] `json:"write_bytes"`
	ReadOps    Value[int64] `json:"read_operations"`
	WriteOps   Value[int64] `json:"write_operations"`
}

// HugetlbStat is memory in huge pages of one size, named as the kernel does.
type HugetlbStat struct {
	PageSize   string       `json:"page_size"`
	UsageBytes Value[int64] `json:"usage_bytes"`
	LimitBytes Value[int64] `json:"limit_bytes"`
	MaxEvents  Value[int64] `json:"max_events"`
}

// Stat reads the group's statistics from whatever hierarchies have it.
func (g *Group) Stat() (Stat, error) {
	s := Stat{Group: g.path, IO: []IOStat{}, Hugetlb: []HugetlbStat{}}
	list, err := g.need("read the statistics of " + g.path)
	if err != nil {
		return s, err
	}
	missing := &gaps{list: []Unreadable{}}
	for _, h := range list {
		f := files{h, g.path, missing}
		if h.Version == 2 {
			f.fill2(&s)
		} else {
			f.fill1(&s)
		}
	}
	for i := range s.IO {
		s.IO[i].Device = g.fs.disk(s.IO[i].Device.Device)
	}
	if s.Populated == nil && g.path != "/" { // v1 has no file that says so
		if pids, err := g.fs.inTree(list, g.path); err == nil {
			populated := len(pids) > 0
			s.Populated = &populated
		}
	}
	if programs, err := g.DevicePrograms(); err == nil {
		s.DevicePrograms = programs
	}
	s.Unreadable, s.Complete = missing.list, len(missing.list) == 0
	return s, nil
}

// seeFrozen takes what one hierarchy says: either version's freezer stops the
// group.
func (s *Stat) seeFrozen(frozen *bool) {
	if frozen != nil && (s.Frozen == nil || *frozen) {
		s.Frozen = frozen
	}
}

func (f files) fill2(s *Stat) {
	events := f.flat("cgroup.events")
	s.Populated = events.flag("populated")
	s.seeFrozen(events.flag("frozen"))
	stat := f.flat("cgroup.stat")
	s.Descendants, s.Dying = stat.get("nr_descendants"), stat.get("nr_dying_descendants")
	s.Pressure = readPressures(f)
	f.fillCPU2(s)
	if s.Memory == nil {
		f.fillMemory2(s)
	}
	if s.PIDs == nil {
		f.fillPIDs(s)
	}
	f.fillIO2(s)
	f.fillHugetlb(s, "hugetlb.%s.current", "hugetlb.%s.max")
}

// fillCPU2: cpu.stat is there without the controller too, for the time alone.
// Where v1 has the controller, what it does not count is taken from here.
func (f files) fillCPU2(s *Stat) {
	text, there, err := f.text("cpu.stat")
	if !there && err == nil {
		return
	}
	if s.CPU == nil {
		s.CPU = &CPUStat{}
	}
	stat := flat{flatKeyed(text), err}
	take := func(to *Value[int64], key string) {
		if to.IsNone() {
			*to = stat.get(key)
		}
	}
	if s.CPU.UsageUsec.IsNone() { // from one hierarchy, as it may have others inside
		take(&s.CPU.UsageUsec, "usage_usec")
		take(&s.CPU.UserUsec, "user_usec")
		take(&s.CPU.SystemUsec, "system_usec")
	}
	take(&s.CPU.Periods, "nr_periods")
	take(&s.CPU.Throttled, "nr_throttled")
	take(&s.CPU.ThrottledUsec, "throttled_usec")
	take(&s.CPU.BurstUsec, "burst_usec")
}

func (f files) fillMemory2(s *Stat) {
	usage := f.number("memory.current")
	if usage.IsNone() {
		return
	}
	stat, events := f.flat("memory.stat"), f.flat("memory.events")
	s.Memory = &MemoryStat{
		UsageBytes: usage, PeakBytes: f.number("memory.peak"), LimitBytes: f.limit("memory.max"),
		SwapBytes: f.number("memory.swap.current"), SwapLimitBytes: f.limit("memory.swap.max"),
		AnonBytes: stat.get("anon"), FileBytes: stat.get("file"), KernelBytes: stat.get("kernel"), ShmemBytes: stat.get("shmem"),
		MaxEvents: events.get("max"), HighEvents: events.get("high"),
		OOMEvents: events.get("oom"), OOMKills: events.get("oom_kill"),
	}
}

func (f files) fillPIDs(s *Stat) {
	if current := f.number("pids.current"); !current.IsNone() {
		s.PIDs = &PIDsStat{
			Current: current, Peak: f.number("pids.peak"), Limit: f.limit("pids.max"),
			MaxEvents: f.flat("pids.events").get("max"),
		}
	}
}

// fillIO2 reads lines "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
// Some kernels leave out the newline after a disk that has no numbers yet: those
// that follow are of the last one named.
func (f files) fillIO2(s *Stat) {
	text, _, _ := f.text("io.stat")
	for line := range strings.Lines(text) {
		device, known := Device{}, false
		for word := range strings.FieldsSeq(line) {
			key, value, pair := strings.Cut(word, "=")
			if !pair {
				device, known = parseDeviceNumber(word)
				continue
			}
			if to := s.ioField(device, key); known && to != nil {
				if n, ok := parseCount(value); ok {
					*to = Number(n)
				} else {
					*to = NotKnown[int64](f.bad("io.stat", line))
				}
			}
		}
	}
}

// ioField is where a key of io.stat is counted, nil if it is not.
func (s *Stat) ioField(device Device, key string) *Value[int64] {
	switch key {
	case "rbytes", "wbytes", "rios", "wios":
	default:
		return nil
	}
	io := ioStat(s, device)
	return map[string]*Value[int64]{"rbytes": &io.ReadBytes, "wbytes": &io.WriteBytes, "rios": &io.ReadOps, "wios": &io.WriteOps}[key]
}

func ioStat(s *Stat, device Device) *IOStat {
	i := slices.IndexFunc(s.IO, func(io IOStat) bool { return io.Device.Device == device })
	if i < 0 {
		i = len(s.IO)
		s.IO = append(s.IO, IOStat{Device: Disk{Device: device}})
	}
	return &s.IO[i]
}

// fillHugetlb looks for the page sizes among the files.
func (f files) fillHugetlb(s *Stat, usage, limit string) {
	names, err := f.h.list(f.group, false)
	if err != nil && slices.Contains(f.h.Controllers, "hugetlb") {
		_ = f.unreadable("", err)
	}
	before, after, _ := strings.Cut(usage, "%s")
	for _, name := range names {
		size, ok := strings.CutPrefix(name, before)
		if size, ok2 := strings.CutSuffix(size, after); ok && ok2 && !strings.Contains(size, ".") {
			stat := HugetlbStat{
				PageSize: size, UsageBytes: f.number(name),
				LimitBytes: f.limit(strings.Replace(limit, "%s", size, 1)),
				MaxEvents:  f.flat("hugetlb." + size + ".events").get("max"),
			}
			if f.h.Version == 1 {
				stat.MaxEvents = f.number("hugetlb." + size + ".failcnt")
			}
			s.Hugetlb = append(s.Hugetlb, stat)
		}
	}
}
