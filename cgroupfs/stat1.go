package cgroupfs

import (
	"slices"
	"strings"

	"nsx/cgroupfs/keys"
)

// fill1 reads what one v1 hierarchy has to say, in v2's units.
func (f files) fill1(s *Stat) {
	has := func(controller string) bool { return slices.Contains(f.h.Controllers, controller) }
	if has("freezer") {
		if state, ok, _ := f.text("freezer.state"); ok {
			frozen := state == "FROZEN"
			s.seeFrozen(&frozen)
		}
	}
	if has("cpu") || has("cpuacct") {
		f.fillCPU1(s)
	}
	if has("memory") {
		f.fillMemory1(s)
	}
	if has("pids") {
		f.fillPIDs(s)
	}
	if has("blkio") {
		f.fillIO1(s)
	}
	if has("hugetlb") {
		f.fillHugetlb(s, "hugetlb.%s.usage_in_bytes", "hugetlb.%s.limit_in_bytes")
	}
}

// fillCPU1: time is cpuacct's, in nanoseconds, throttling is cpu's, and they
// may be two hierarchies.
func (f files) fillCPU1(s *Stat) {
	usage, stat := f.number("cpuacct.usage"), f.flat("cpu.stat")
	periods := stat.get("nr_periods")
	if usage.IsNone() && periods.IsNone() {
		return
	}
	if s.CPU == nil {
		s.CPU = &CPUStat{}
	}
	if !usage.IsNone() {
		s.CPU.UsageUsec = thousandth(usage)
		s.CPU.UserUsec, s.CPU.SystemUsec = thousandth(f.number("cpuacct.usage_user")), thousandth(f.number("cpuacct.usage_sys"))
		if s.CPU.UserUsec.IsNone() { // until Linux 4.8
			ticks := f.flat("cpuacct.stat")
			s.CPU.UserUsec, s.CPU.SystemUsec = fromTicks(ticks.get("user")), fromTicks(ticks.get("system"))
		}
	}
	if !periods.IsNone() {
		s.CPU.Periods, s.CPU.Throttled = periods, stat.get("nr_throttled")
		s.CPU.ThrottledUsec, s.CPU.BurstUsec = thousandth(stat.get("throttled_time")), thousandth(stat.get("burst_time"))
		s.CPU.Bursts, s.CPU.LimitCPUs = stat.get("nr_bursts"), f.cpus()
	}
}

func thousandth(v Value[int64]) Value[int64] {
	v.number /= 1000
	return v
}

// fromTicks turns ticks of USER_HZ, 100 a second everywhere, into microseconds.
func fromTicks(v Value[int64]) Value[int64] {
	v.number *= 10000
	return v
}

func (f files) fillMemory1(s *Stat) {
	usage := f.number("memory.usage_in_bytes")
	if usage.IsNone() {
		return
	}
	stat, oom := f.flat("memory.stat"), f.flat("memory.oom_control")
	m := &MemoryStat{
		UsageBytes: usage, PeakBytes: f.number("memory.max_usage_in_bytes"), LimitBytes: f.limit("memory.limit_in_bytes"),
		// total_ is with the groups below, as v2 counts.
		AnonBytes: stat.get("total_rss"), FileBytes: stat.get("total_cache"), ShmemBytes: stat.get("total_shmem"),
		InactiveFileBytes: stat.get("total_inactive_file"), WorkingSetBytes: minus(usage, stat.get("total_inactive_file")),
		KernelBytes: f.number("memory.kmem.usage_in_bytes"), SocketBytes: f.number("memory.kmem.tcp.usage_in_bytes"),
		SwapBytes: stat.get("total_swap"), MajorFaults: stat.get("total_pgmajfault"),
	}
	// A charge is tried against memory+swap first and fails at one of the two
	// (try_charge_memcg in mm/memcontrol.c). Linux 6.18 counts those at
	// memory+swap nowhere: then only oom_kill tells. On v1 no event is told to
	// the groups above (memcg_memory_event in include/linux/memcontrol.h).
	m.MaxEvents = sum(f.number("memory.failcnt"), f.number("memory.memsw.failcnt"))
	m.OOMKills = oom.get("oom_kill")
	local := m.MemoryEvents
	m.Local = &local
	m.SwapLimitBytes = minus(f.limit("memory.memsw.limit_in_bytes"), m.LimitBytes)
	s.Memory = m
}

// sum counts one that is none as 0.
func sum(a, b Value[int64]) Value[int64] {
	switch {
	case a.err != nil || b.IsNone():
		return a
	case b.err != nil || a.IsNone():
		return b
	}
	return Number(a.number + b.number)
}

// minus is none if one of the two is.
func minus(a, b Value[int64]) Value[int64] {
	switch {
	case !a.is:
		return a
	case !b.is:
		return b
	}
	return Number(a.number - b.number)
}

// fillIO1 reads lines "254:0 Read 4096", with the groups below where the
// kernel has that.
func (f files) fillIO1(s *Stat) {
	for _, kind := range []string{"service_bytes", "serviced"} {
		text, there, _ := f.text("blkio.throttle.io_" + kind + "_recursive")
		if !there {
			text, _, _ = f.text("blkio.throttle.io_" + kind)
		}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}
			device, ok := keys.ParseDeviceNumber(words[0])
			key := map[string]string{
				"service_bytes Read": "rbytes", "service_bytes Write": "wbytes", "service_bytes Discard": "dbytes",
				"serviced Read": "rios", "serviced Write": "wios", "serviced Discard": "dios",
			}[kind+" "+words[1]]
			n, ok2 := parseCount(words[2])
			if !ok || !ok2 || key == "" {
				continue
			}
			*s.ioField(device, key) = Number(n)
		}
	}
}
