package cgroupfs

import (
	"slices"
	"strconv"
	"strings"
)

// fill1 reads what one v1 hierarchy has to say, in v2's units.
func (f statFiles) fill1(s *Stat) {
	if slices.Contains(f.h.Controllers, "freezer") {
		if state := f.text("freezer.state"); state != "" {
			frozen := state == "FROZEN"
			s.seeFrozen(&frozen)
		}
	}
	f.fillCPU1(s)
	f.fillMemory1(s)
	f.fillPIDs(s)
	f.fillIO1(s)
	f.fillHugetlb(s, "hugetlb.%s.usage_in_bytes", "hugetlb.%s.limit_in_bytes")
}

// fillCPU1: time is cpuacct's, in nanoseconds, throttling is cpu's, and they
// may be two hierarchies.
func (f statFiles) fillCPU1(s *Stat) {
	usage, periods := f.number("cpuacct.usage"), f.flat("cpu.stat").get("nr_periods")
	if usage == nil && periods == nil {
		return
	}
	if s.CPU == nil {
		s.CPU = &CPUStat{}
	}
	if usage != nil {
		s.CPU.UsageUsec = *usage / 1000
		user, system := f.number("cpuacct.usage_user"), f.number("cpuacct.usage_sys")
		if user != nil && system != nil {
			s.CPU.UserUsec, s.CPU.SystemUsec = *user/1000, *system/1000
		}
	}
	if periods != nil {
		stat := f.flat("cpu.stat")
		s.CPU.Periods, s.CPU.Throttled = periods, stat.get("nr_throttled")
		s.CPU.ThrottledUsec, s.CPU.BurstUsec = thousandth(stat.get("throttled_time")), thousandth(stat.get("burst_time"))
	}
}

func thousandth(n *int64) *int64 {
	if n == nil {
		return nil
	}
	m := *n / 1000
	return &m
}

func (f statFiles) fillMemory1(s *Stat) {
	usage := f.number("memory.usage_in_bytes")
	if usage == nil {
		return
	}
	stat, oom := f.flat("memory.stat"), f.flat("memory.oom_control")
	m := &MemoryStat{
		UsageBytes: *usage, PeakBytes: f.number("memory.max_usage_in_bytes"), LimitBytes: f.limit("memory.limit_in_bytes"),
		// total_ is with the groups below, as v2 counts.
		AnonBytes: stat["total_rss"], FileBytes: stat["total_cache"], ShmemBytes: stat["total_shmem"],
		KernelBytes: f.number("memory.kmem.usage_in_bytes"), SwapBytes: stat.get("total_swap"),
		MaxEvents: f.number("memory.failcnt"), OOMKills: oom.get("oom_kill"),
	}
	// A charge is tried against memory+swap first and fails at one of the two
	// (try_charge_memcg in mm/memcontrol.c). Linux 6.18 counts those at
	// memory+swap nowhere: then only oom_kill tells.
	if m.MaxEvents != nil {
		if both := f.number("memory.memsw.failcnt"); both != nil {
			*m.MaxEvents += *both
		}
	}
	if memsw := f.limit("memory.memsw.limit_in_bytes"); memsw != nil && m.LimitBytes != nil {
		swap := *memsw - *m.LimitBytes
		m.SwapLimitBytes = &swap
	}
	s.Memory = m
}

// fillIO1 reads lines "254:0 Read 4096", with the groups below where the
// kernel has that.
func (f statFiles) fillIO1(s *Stat) {
	for _, kind := range []string{"service_bytes", "serviced"} {
		text := f.text("blkio.throttle.io_" + kind + "_recursive")
		if text == "" {
			text = f.text("blkio.throttle.io_" + kind)
		}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}
			device, ok := parseDeviceNumber(words[0])
			n, err := strconv.ParseInt(words[2], 10, 64)
			if !ok || err != nil {
				continue
			}
			io := ioStat(s, device)
			switch kind + " " + words[1] {
			case "service_bytes Read":
				io.ReadBytes = n
			case "service_bytes Write":
				io.WriteBytes = n
			case "serviced Read":
				io.ReadOps = n
			case "serviced Write":
				io.WriteOps = n
			}
		}
	}
}
