package cgroupfs

import (
	"slices"
	"strings"

	"nsx/cgroupfs/keys"
)

func (f files) fill2(s *Stat) {
	events := f.flat("cgroup.events")
	s.Populated = events.flag("populated")
	s.seeFrozen(events.flag("frozen"))
	stat := f.flat("cgroup.stat")
	s.Descendants, s.Dying = stat.get("nr_descendants"), stat.get("nr_dying_descendants")
	s.FrozenUsec = f.flat("cgroup.stat.local").get("frozen_usec")
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
	stat, there := f.flatIfThere("cpu.stat")
	if !there {
		return
	}
	if s.CPU == nil {
		s.CPU = &CPUStat{}
	}
	take := func(to *Value[int64], key string) {
		if to.IsNone() {
			*to = stat.get(key)
		}
	}
	if s.CPU.UsageUsec.IsNone() { // from one hierarchy, as it may have others inside
		take(&s.CPU.UsageUsec, "usage_usec")
		take(&s.CPU.UserUsec, "user_usec")
		take(&s.CPU.SystemUsec, "system_usec")
		take(&s.CPU.NiceUsec, "nice_usec")
	}
	take(&s.CPU.Periods, "nr_periods")
	take(&s.CPU.Throttled, "nr_throttled")
	take(&s.CPU.ThrottledUsec, "throttled_usec")
	take(&s.CPU.Bursts, "nr_bursts")
	take(&s.CPU.BurstUsec, "burst_usec")
	if s.CPU.LimitCPUs.IsNone() {
		s.CPU.LimitCPUs = f.cpus()
	}
	s.CPU.Weight = f.number("cpu.weight")
	s.CPU.LocalThrottledUsec = f.flat("cpu.stat.local").get("throttled_usec")
}

func (f files) fillMemory2(s *Stat) {
	usage := f.number("memory.current")
	if usage.IsNone() {
		return
	}
	stat, events, swap := f.flat("memory.stat"), f.flat("memory.events"), f.flat("memory.swap.events")
	s.Memory = &MemoryStat{
		UsageBytes: usage, WorkingSetBytes: minus(usage, stat.get("inactive_file")), PeakBytes: f.number("memory.peak"),
		LimitBytes: f.limit("memory.max"), HighBytes: f.limit("memory.high"),
		LowBytes: f.protection("memory.low"), MinBytes: f.protection("memory.min"),
		SwapBytes: f.number("memory.swap.current"), SwapPeakBytes: f.number("memory.swap.peak"),
		SwapLimitBytes: f.limit("memory.swap.max"), SwapHighBytes: f.limit("memory.swap.high"),
		ZswapBytes: f.number("memory.zswap.current"), ZswapLimitBytes: f.limit("memory.zswap.max"),
		AnonBytes: stat.get("anon"), FileBytes: stat.get("file"), InactiveFileBytes: stat.get("inactive_file"),
		KernelBytes: stat.get("kernel"), ShmemBytes: stat.get("shmem"), SocketBytes: stat.get("sock"),
		MajorFaults: stat.get("pgmajfault"), RefaultsAnon: stat.get("workingset_refault_anon"), RefaultsFile: stat.get("workingset_refault_file"),
		MemoryEvents: memoryEvents(events), SocketThrottled: events.get("sock_throttled"),
		SwapHighEvents: swap.get("high"), SwapMaxEvents: swap.get("max"), SwapFailEvents: swap.get("fail"),
	}
	if local, there := f.flatIfThere("memory.events.local"); there {
		e := memoryEvents(local)
		s.Memory.Local = &e
	}
}

// memoryEvents reads memory.events or memory.events.local.
func memoryEvents(m flat) MemoryEvents {
	return MemoryEvents{
		LowEvents: m.get("low"), HighEvents: m.get("high"), MaxEvents: m.get("max"),
		OOMEvents: m.get("oom"), OOMKills: m.get("oom_kill"), OOMGroupKills: m.get("oom_group_kill"),
	}
}

func (f files) fillPIDs(s *Stat) {
	if current := f.number("pids.current"); !current.IsNone() {
		s.PIDs = &PIDsStat{
			Current: current, Peak: f.number("pids.peak"), Limit: f.limit("pids.max"),
			MaxEvents: f.flat("pids.events").get("max"), LocalMaxEvents: f.flat("pids.events.local").get("max"),
		}
	}
}

// fillIO2 reads lines "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
// Some kernels leave out the newline after a disk that has no numbers yet: those
// that follow are of the last one named.
func (f files) fillIO2(s *Stat) {
	text, _, _ := f.text("io.stat")
	for line := range strings.Lines(text) {
		device, known := keys.Device{}, false
		for word := range strings.FieldsSeq(line) {
			key, value, pair := strings.Cut(word, "=")
			if !pair {
				device, known = keys.ParseDeviceNumber(word)
				continue
			}
			if !known {
				continue
			}
			if to := s.ioField(device, key); to != nil {
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
func (s *Stat) ioField(device keys.Device, key string) *Value[int64] {
	field := map[string]func(*IOStat) *Value[int64]{
		"rbytes":       func(io *IOStat) *Value[int64] { return &io.ReadBytes },
		"wbytes":       func(io *IOStat) *Value[int64] { return &io.WriteBytes },
		"dbytes":       func(io *IOStat) *Value[int64] { return &io.DiscardBytes },
		"rios":         func(io *IOStat) *Value[int64] { return &io.ReadOps },
		"wios":         func(io *IOStat) *Value[int64] { return &io.WriteOps },
		"dios":         func(io *IOStat) *Value[int64] { return &io.DiscardOps },
		"cost.usage":   func(io *IOStat) *Value[int64] { return &io.CostUsageUsec },
		"cost.wait":    func(io *IOStat) *Value[int64] { return &io.CostWaitUsec },
		"cost.indebt":  func(io *IOStat) *Value[int64] { return &io.CostInDebtUsec },
		"cost.indelay": func(io *IOStat) *Value[int64] { return &io.CostInDelayUsec },
	}[key]
	if field == nil {
		return nil
	}
	return field(ioStat(s, device))
}

func ioStat(s *Stat, device keys.Device) *IOStat {
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
			rsvd := func(kind string) string { return "hugetlb." + size + ".rsvd" + strings.TrimPrefix(kind, "hugetlb.%s") }
			stat := HugetlbStat{
				PageSize: size, UsageBytes: f.number(name),
				LimitBytes:     f.limit(strings.Replace(limit, "%s", size, 1)),
				RsvdUsageBytes: f.number(rsvd(usage)), RsvdLimitBytes: f.limit(rsvd(limit)),
				MaxEvents: f.flat("hugetlb." + size + ".events").get("max"),
			}
			if f.h.Version == 1 {
				stat.MaxEvents = f.number("hugetlb." + size + ".failcnt")
			}
			s.Hugetlb = append(s.Hugetlb, stat)
		}
	}
}
