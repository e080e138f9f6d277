package cgroupfs

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// explainWrite is for a control file that refuses a value.
func (fs *FS) explainWrite(s Step, err error) error {
	if s.devices != nil {
		return fs.explainBPF("set devices of "+s.group, s.h, s.group, err)
	}
	e := &Error{Op: "set limits of " + s.group, Group: s.group, File: path.Join(s.Path, s.File), Value: s.Value, Err: bare(err)}
	c := s.control()
	switch {
	case c.explain != nil && c.explain(fs, e, s):
	case fs.common(e, s.h, s.group, s.File):
	case e.errno() == unix.ENOENT:
		fs.explainNoFile(e, s.h, s.group, s.File)
	case c.explainLast != nil:
		c.explainLast(s, e)
	case e.errno() == unix.EOPNOTSUPP:
		e.Cause = s.h.typeChain(s.group)
		s.explainThreaded(e)
	}
	if e.Cause == "" {
		e.Cause = "the kernel does not take this value"
		if now, err := s.h.read(s.group, s.File); err == nil {
			e.Cause += "; it stays " + words.Quote(s.mine(now))
		}
	}
	return e
}

// explainEnable is for v2's cgroup.subtree_control.
func (fs *FS) explainEnable(e *Error, s Step) {
	name := strings.TrimLeft(s.Value, "+-")
	offered, _ := s.h.read(s.group, "cgroup.controllers")
	v1, err := fs.controller(name)
	switch {
	case err == nil && v1.Version == 1:
		e.Reason, e.Cause = ErrUnsupported, fmt.Sprintf("%s is bound to v1 at %s, and a controller is on one version only", name, v1.Mount)
		e.Next = "set it there: the same names work on both"
	case e.errno() == unix.ENOENT && !slices.Contains(strings.Fields(offered), name) && s.h.has(s.group, ""):
		e.Reason, e.Cause = ErrNotEnabled, fmt.Sprintf("the group is not offered %s (cgroup.controllers is %s)", name, words.Quote(offered))
		if s.group != "/" {
			e.Cause += ": " + s.h.notEnabled(s.group, name)
			e.Next = "enable it there first, from the top down"
		}
	case fs.common(e, s.h, s.group, s.File):
	case e.errno() == unix.EBUSY && strings.HasPrefix(s.Value, "-"):
		e.Cause = fmt.Sprintf("a child uses it: %s", s.h.childWith(s.group, name))
		e.Next = "disable it there first, from the bottom up"
	case e.errno() == unix.EBUSY:
		members, _ := s.h.pids(s.group, "cgroup.procs")
		e.Cause = fmt.Sprintf("%s in the group itself, and a v2 group has either processes or children with controllers: %s",
			words.Count(len(members), "process is", "processes are"), fs.names(members))
		e.Next, e.Remedy = "attach them to a child that is made first", &Remedy{Verb: VerbCreate, Group: path.Join(s.group, "leaf")}
	case e.errno() == unix.EOPNOTSUPP:
		e.Cause = name + " cannot control threads: " + s.h.typeChain(s.group)
		e.Next = "threaded groups take cpu, cpuset, perf_event and pids only"
	case e.errno() == unix.EINVAL && name == "cpu":
		e.Cause = "with realtime group scheduling the kernel refuses it while realtime processes are outside of the root"
		e.Next = "move those processes to the root group, or give them another policy (chrt -o -p 0 PID)"
	case e.errno() == unix.EINVAL:
		e.Cause = "the kernel knows no controller of that name"
	}
}

// explainDisk is for what only some disks do: to share by weights takes a policy
// that is on for the disk (blkg_conf_prep in block/blk-cgroup.c).
func (fs *FS) explainDisk(e *Error, s Step) bool {
	device, _, ok := s.device()
	if !ok {
		return false
	}
	scheduler, err := os.ReadFile(path.Join(fs.root, "sys/dev/block", device.String(), "queue/scheduler"))
	now := strings.TrimSpace(string(scheduler))
	switch {
	case strings.Contains(s.File, "bfq."):
		e.Cause = fmt.Sprintf("weights of disk %s are BFQ's, which is not its scheduler", device)
		if err == nil {
			e.Cause += fmt.Sprintf(": %s", now)
		}
		e.Next = fmt.Sprintf("write bfq to /sys/dev/block/%s/queue/scheduler", device)
	case s.File == "io.weight" && strings.Contains(now, "[bfq]"):
		e.Cause = fmt.Sprintf("disk %s is BFQ's, which has weights of its own", device)
		e.Next = "set io.bfq.weight"
	case s.File == "io.weight":
		e.Cause = fmt.Sprintf("weights of disk %s take the kernel's cost model, which is off for it (io.cost.qos)", device)
		e.Next = fmt.Sprintf("switch it on in the root group: io.cost.qos=%q", device.String()+" enable=1")
	default:
		e.Cause = fmt.Sprintf("the kernel has no such control of disk %s", device)
	}
	return true
}

// threadedControllers can control single threads (cgrp_dfl_threaded_ss_mask).
var threadedControllers = []string{"cpu", "cpuset", "perf_event", "pids"}

// explainThreaded says what keeps a group from being made threaded
// (cgroup_enable_threaded in kernel/cgroup/cgroup.c).
func (s Step) explainThreaded(e *Error) {
	if s.File != "cgroup.type" {
		return
	}
	for _, at := range []string{s.group, path.Dir(s.group)} {
		text, _ := s.h.read(at, "cgroup.subtree_control")
		others := slices.DeleteFunc(strings.Fields(text), func(c string) bool { return slices.Contains(threadedControllers, c) })
		if len(others) > 0 {
			e.Cause += fmt.Sprintf("; %s is on for the children of %s, and cannot control threads", strings.Join(others, ", "), at)
			e.Next = "switch it off there, or use another place: threads take cpu, cpuset, perf_event and pids only"
			return
		}
	}
	if members, _ := s.h.pids(s.group, "cgroup.procs"); len(members) > 0 {
		e.Cause += fmt.Sprintf("; there are processes in it: %d", len(members))
		e.Next = "make it threaded while it is empty"
	}
}

// childWith names the children that use a controller.
func (h *Hierarchy) childWith(group, controller string) string {
	names, _ := h.list(group, true)
	var users []string
	for _, name := range names {
		text, _ := h.read(path.Join(group, name), "cgroup.subtree_control")
		if slices.Contains(strings.Fields(text), controller) {
			users = append(users, path.Join(group, name))
		}
	}
	return strings.Join(users, ", ")
}

// typeChain says which groups on the way up are threaded or invalid.
func (h *Hierarchy) typeChain(group string) string {
	var words []string
	for _, at := range ancestors(group) {
		if text, err := h.read(at, "cgroup.type"); err == nil {
			words = append(words, at+" is "+text)
		}
	}
	return strings.Join(words, ", ")
}

// oneLine is a file's text in one line, for messages.
func oneLine(h *Hierarchy, group, file string) string {
	text, _ := h.read(group, file)
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), ", ")
}

// explainCPU is for the rules of CFS's quotas (kernel/sched/core.c,
// tg_set_cfs_bandwidth) and of cpu.idle.
func (s Step) explainCPU(e *Error) {
	if e.errno() != unix.EINVAL {
		return
	}
	if idle, _ := s.h.read(s.group, "cpu.idle"); idle == "1" && (s.File == "cpu.shares" || s.File == "cpu.weight") {
		e.Cause = "the group is idle (cpu.idle is 1), which fixes its weight"
		e.Next = "set cpu.idle=0 first"
		return
	}
	quota := s.h.quota(s.group)
	switch s.File {
	case "cpu.cfs_burst_us", "cpu.max.burst":
		e.Cause = fmt.Sprintf("the burst must not be larger than the quota, %s", keys.SpellSize(2, quota.QuotaUsec))
		return
	case "cpu.cfs_quota_us":
		quota.QuotaUsec, _ = keys.ReadSize(s.Value)
	case "cpu.cfs_period_us":
		quota.PeriodUsec, _ = strconv.ParseInt(s.Value, 10, 64)
	case "cpu.max":
		if c, err := keys.ParseCPUMax(s.Value); err == nil && c.PeriodUsec != 0 {
			quota = c
		}
	case "cpu.rt_runtime_us", "cpu.rt_period_us":
		e.Cause = fmt.Sprintf("realtime time is shared out: the group above has %s of %s microseconds, and its children together no more",
			oneLine(s.h, path.Dir(s.group), "cpu.rt_runtime_us"), oneLine(s.h, path.Dir(s.group), "cpu.rt_period_us"))
		e.Next = "give the group above cpu.rt_runtime_us first"
		return
	default:
		return
	}
	burst, _ := keys.ReadSize(oneLine(s.h, s.group, keys.Burst(s.h.Version)))
	if burst > quota.QuotaUsec {
		e.Cause = fmt.Sprintf("the burst, %d, would be larger than the quota", burst)
		e.Next = fmt.Sprintf("set %s=0 first", keys.Burst(s.h.Version))
		return
	}
	if s.h.Version == 1 {
		s.explainShare(e, quota)
	}
}

// explainShare finds whose share of the CPUs v1 sees exceeded: no group may
// have more than one above it.
func (s Step) explainShare(e *Error, want keys.CPUMax) {
	for _, at := range ancestors(s.group)[1:] {
		if c := s.h.quota(at); want.CPUs() > c.CPUs() && c.QuotaUsec != keys.Unlimited {
			e.Cause = fmt.Sprintf("it would be %.5g CPUs, and %s above it has %.5g (%s)", want.CPUs(), at, c.CPUs(), c)
			e.Next = "raise the quota of " + at + " first"
			return
		}
	}
	below, _ := s.h.subtree(context.Background(), s.group)
	for _, at := range below {
		if c := s.h.quota(at); at != s.group && c.QuotaUsec != keys.Unlimited && want.CPUs() < c.CPUs() {
			e.Cause = fmt.Sprintf("it would be %.5g CPUs, and %s below it has %.5g (%s)", want.CPUs(), at, c.CPUs(), c)
			e.Next = "lower the quota of " + at + " first"
			return
		}
	}
}

// quota is a group's quota, unlimited where it has no such file.
func (h *Hierarchy) quota(group string) keys.CPUMax {
	c := keys.CPUMax{QuotaUsec: keys.Unlimited, PeriodUsec: keys.StandardPeriod}
	if h.Version == 2 {
		text, _ := h.read(group, "cpu.max")
		if read, err := keys.ParseCPUMax(text); err == nil {
			c = read
		}
		return c
	}
	text, _ := h.read(group, "cpu.cfs_quota_us")
	if n, ok := keys.ReadSize(text); ok {
		c.QuotaUsec = n
	}
	text, _ = h.read(group, "cpu.cfs_period_us")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		c.PeriodUsec = n
	}
	return c
}

// explainMemory is for v1's limits: memory <= memory and swap together, and
// neither below what cannot be reclaimed.
func (s Step) explainMemory(e *Error) {
	limit, _ := keys.ReadSize(oneLine(s.h, s.group, "memory.limit_in_bytes"))
	memsw, _ := keys.ReadSize(oneLine(s.h, s.group, "memory.memsw.limit_in_bytes"))
	want, _ := keys.ReadSize(s.Value)
	switch {
	case e.errno() == unix.EAGAIN && s.File == "memory.reclaim":
		used, _ := keys.ReadSize(oneLine(s.h, s.group, "memory.current"))
		e.Cause = fmt.Sprintf("less than that could be reclaimed; what could be, was, and the group uses %s now (memory.current)", keys.FormatSize(used))
	case e.errno() == unix.EBUSY:
		use := strings.Replace(s.File, "limit_in_bytes", "usage_in_bytes", 1)
		used, _ := keys.ReadSize(oneLine(s.h, s.group, use))
		e.Cause = fmt.Sprintf("the group uses %s (%s), and the kernel could not reclaim enough; the limit stays as it was", keys.FormatSize(used), use)
		e.Next = "end or shrink its processes, or choose a higher limit"
	case e.errno() == unix.EINVAL && s.File == "memory.limit_in_bytes" && want > memsw:
		e.Cause = fmt.Sprintf("memory.memsw.limit_in_bytes is %s, and memory and swap together cannot be less than memory alone", keys.FormatSize(memsw))
		e.Next = "give memory.memsw.limit_in_bytes too, or set memory.max or memory.swap.max, which keep them in order"
	case e.errno() == unix.EINVAL && s.File == "memory.memsw.limit_in_bytes" && want < limit:
		e.Cause = fmt.Sprintf("memory.limit_in_bytes is %s, and memory and swap together cannot be less than memory alone", keys.FormatSize(limit))
		e.Next = "give memory.limit_in_bytes too"
	}
}
