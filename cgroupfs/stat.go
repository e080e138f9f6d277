package cgroupfs

import "context"

// Stat is what a group has used and what happened to it. A part is nil, and a
// number none, where no controller counts it for the group.
type Stat struct {
	Group string `json:"group"`
	// Complete says that all was read; what was not is in Unreadable.
	Complete    bool          `json:"complete"`
	Unreadable  []Unreadable  `json:"unreadable"`
	Populated   *bool         `json:"populated"` // somebody is inside, or below
	Frozen      *bool         `json:"frozen"`
	FrozenUsec  Value[int64]  `json:"frozen_usec"`       // how long, in all
	Descendants Value[int64]  `json:"descendants"`       // v2 groups below
	Dying       Value[int64]  `json:"dying_descendants"` // removed, not yet let go of
	CPU         *CPUStat      `json:"cpu"`
	Memory      *MemoryStat   `json:"memory"`
	PIDs        *PIDsStat     `json:"pids"`
	IO          []IOStat      `json:"io"`
	Hugetlb     []HugetlbStat `json:"hugetlb"`
	Misc        []CountStat   `json:"misc"`
	RDMA        []CountStat   `json:"rdma"`
	Dmem        []RegionStat  `json:"dmem"`
	Pressure    *PressureStat `json:"pressure"`
	// DevicePrograms restrict devices in the group, on v2. nil is not known:
	// without the capabilities of Group.DevicePrograms.
	DevicePrograms []DeviceProgram `json:"device_programs"`
}

// CPUStat is processor time, since the group was made. Those of throttling are
// none where no quota can be set.
type CPUStat struct {
	UsageUsec  Value[int64] `json:"usage_usec"`
	UserUsec   Value[int64] `json:"user_usec"`
	SystemUsec Value[int64] `json:"system_usec"`
	NiceUsec   Value[int64] `json:"nice_usec"`
	// LimitCPUs is the quota of the group itself, Weight its share on v2.
	LimitCPUs     Value[float64] `json:"limit_cpus"`
	Weight        Value[int64]   `json:"weight"`
	Periods       Value[int64]   `json:"periods"`
	Throttled     Value[int64]   `json:"throttled_periods"`
	ThrottledUsec Value[int64]   `json:"throttled_usec"`
	// LocalThrottledUsec is what the processes of the group had to wait for
	// whatever quota, of an ancestor too (cpu.stat.local).
	LocalThrottledUsec Value[int64] `json:"local_throttled_usec"`
	Bursts             Value[int64] `json:"bursts"`
	BurstUsec          Value[int64] `json:"burst_usec"`
}

// MemoryStat is memory now, and counts of events since the group was made.
// Limits are none where there is none.
type MemoryStat struct {
	UsageBytes Value[int64] `json:"usage_bytes"`
	// WorkingSetBytes is use less the files that were not used of late.
	WorkingSetBytes   Value[int64] `json:"working_set_bytes"`
	PeakBytes         Value[int64] `json:"peak_bytes"`
	LimitBytes        Value[int64] `json:"limit_bytes"`
	HighBytes         Value[int64] `json:"high_bytes"`
	LowBytes          Value[int64] `json:"low_bytes"` // protected, as MinBytes is
	MinBytes          Value[int64] `json:"min_bytes"`
	SwapBytes         Value[int64] `json:"swap_bytes"`
	SwapPeakBytes     Value[int64] `json:"swap_peak_bytes"`
	SwapLimitBytes    Value[int64] `json:"swap_limit_bytes"` // v1: the limit of both less that of memory
	SwapHighBytes     Value[int64] `json:"swap_high_bytes"`
	ZswapBytes        Value[int64] `json:"zswap_bytes"`
	ZswapLimitBytes   Value[int64] `json:"zswap_limit_bytes"`
	AnonBytes         Value[int64] `json:"anon_bytes"`
	FileBytes         Value[int64] `json:"file_bytes"`
	InactiveFileBytes Value[int64] `json:"inactive_file_bytes"`
	KernelBytes       Value[int64] `json:"kernel_bytes"`
	ShmemBytes        Value[int64] `json:"shmem_bytes"`
	SocketBytes       Value[int64] `json:"socket_bytes"`
	MajorFaults       Value[int64] `json:"major_faults"`
	RefaultsAnon      Value[int64] `json:"refaults_anon"` // of what was reclaimed too early
	RefaultsFile      Value[int64] `json:"refaults_file"`
	// The events are those of the group and all below it, on v1 of the group
	// alone. SocketThrottled counts how often sockets were held back.
	MemoryEvents
	SocketThrottled Value[int64] `json:"socket_throttled"`
	SwapHighEvents  Value[int64] `json:"swap_high_events"`
	SwapMaxEvents   Value[int64] `json:"swap_max_events"`
	SwapFailEvents  Value[int64] `json:"swap_fail_events"`
	// Local are the events of the group alone: whose limit was hit.
	Local *MemoryEvents `json:"local"`
}

// MemoryEvents counts how often the use went below a protected part (low), above
// memory.high, to the limit (max; v1: failcnt of memory and of memory+swap), and
// out of memory; the processes that the OOM killer took, and whole groups at once.
type MemoryEvents struct {
	LowEvents     Value[int64] `json:"low_events"`
	HighEvents    Value[int64] `json:"high_events"`
	MaxEvents     Value[int64] `json:"max_events"`
	OOMEvents     Value[int64] `json:"oom_events"`
	OOMKills      Value[int64] `json:"oom_kills"`
	OOMGroupKills Value[int64] `json:"oom_group_kills"`
}

// PIDsStat counts processes and threads.
type PIDsStat struct {
	Current Value[int64] `json:"current"`
	Peak    Value[int64] `json:"peak"`
	Limit   Value[int64] `json:"limit"`
	// MaxEvents counts the forks that the limit refused, LocalMaxEvents those
	// that this group's own did.
	MaxEvents      Value[int64] `json:"max_events"`
	LocalMaxEvents Value[int64] `json:"local_max_events"`
}

// IOStat is what was read from, written to and discarded on one disk. The costs
// are those of iocost, where it is enabled.
type IOStat struct {
	Device          Disk         `json:"device"`
	ReadBytes       Value[int64] `json:"read_bytes"`
	WriteBytes      Value[int64] `json:"write_bytes"`
	DiscardBytes    Value[int64] `json:"discard_bytes"`
	ReadOps         Value[int64] `json:"read_operations"`
	WriteOps        Value[int64] `json:"write_operations"`
	DiscardOps      Value[int64] `json:"discard_operations"`
	CostUsageUsec   Value[int64] `json:"cost_usage_usec"`
	CostWaitUsec    Value[int64] `json:"cost_wait_usec"`
	CostInDebtUsec  Value[int64] `json:"cost_indebt_usec"`
	CostInDelayUsec Value[int64] `json:"cost_indelay_usec"`
}

// HugetlbStat is memory in huge pages of one size, named as the kernel does.
type HugetlbStat struct {
	PageSize   string       `json:"page_size"`
	UsageBytes Value[int64] `json:"usage_bytes"`
	LimitBytes Value[int64] `json:"limit_bytes"`
	// Rsvd is what was set aside, by mmap(2).
	RsvdUsageBytes Value[int64] `json:"rsvd_usage_bytes"`
	RsvdLimitBytes Value[int64] `json:"rsvd_limit_bytes"`
	MaxEvents      Value[int64] `json:"max_events"`
}

// Stat reads the group's statistics from whatever hierarchies have it. On v1 it may
// have to look for processes in all groups below.
func (g *Group) Stat(ctx context.Context) (Stat, error) {
	s := Stat{Group: g.path, IO: []IOStat{}, Hugetlb: []HugetlbStat{}, Misc: []CountStat{}, RDMA: []CountStat{}, Dmem: []RegionStat{}}
	op := "read the statistics of " + g.path
	list, err := g.need(op)
	if err != nil {
		return s, err
	}
	missing := &gaps{list: []Unreadable{}}
	for _, h := range list {
		if err := interrupted(ctx, op); err != nil {
			return s, err
		}
		f := files{h, g.path, missing}
		if h.Version == 2 {
			f.fill2(&s)
		} else {
			f.fill1(&s)
		}
		f.fillKeyed(&s)
	}
	for i := range s.IO {
		s.IO[i].Device = g.fs.disk(s.IO[i].Device.Device)
	}
	if s.Populated == nil && g.path != "/" { // v1 has no file that says so
		populated, err := g.fs.populated(ctx, list, g.path)
		if err := interrupted(ctx, op); err != nil {
			return s, err
		}
		if err == nil {
			s.Populated = &populated
		} else {
			missing.add(newUnreadable(g.path, list[0].Dir(g.path), bare(err)))
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
