package cgroupfs

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// control is what is peculiar to a control file. Of the zero control, the file holds
// one value, which is read back as it was written.
type control struct {
	writeOnly bool   // it cannot be read back
	forWriter bool   // what is written is undone when the file is closed
	perDevice bool   // a value may begin with a device, and the file has a line for each
	prefix    string // what the kernel puts in front of the value, and takes there

	// mine is the part of the file's text that a step is about; false: it is as with
	// any other file.
	mine func(s Step, text string) (string, bool)
	// change says how what is read back differs from what was written; false: it is
	// compared as with any other file.
	change func(s Step, now string) (string, bool)
	// before is what to write to put back what the file held; false: nothing.
	before func(a Applied) (string, bool)
	// besides notes the files that a write may change, too.
	besides func(s Step, note func(group, file string))
	// explain says why a value was refused, where it can tell.
	explain func(fs *FS, e *Error, s Step) bool
	// explainLast is asked when what is common to all files is not why.
	explainLast func(s Step, e *Error)
}

func (s Step) control() control { return controlOf(s.File) }

// controlOf is where a file is told by its name: how its values are read, compared, put
// back and explained. Each is one line here, and its functions are named after it.
func controlOf(file string) control {
	switch file {
	case "cgroup.subtree_control":
		return control{change: Step.changeOfSubtree, before: Applied.subtreeBefore, explain: explainSubtree}
	case "cgroup.type":
		return control{besides: Step.besidesType}
	case "cpu.max":
		return control{change: changeOfCPUMax, explainLast: Step.explainCPU}
	case "cpuset.cpus", "cpuset.mems":
		return control{change: changeOfList, besides: Step.besidesCpuset, explain: (*FS).explainCpuset}
	case "cpuset.cpus.partition":
		return control{before: partitionBefore, besides: Step.besidesCpuset, explain: (*FS).explainCpuset}
	case "freezer.state":
		return control{change: changeOfFreezer}
	case "io.max":
		return control{perDevice: true, mine: mineOfIOMax, change: Step.changeOfIOMax, before: ioMaxBefore, explain: explainIO}
	case "memory.oom_control":
		return control{mine: mineOfOOMControl, explainLast: Step.explainMemory}
	case "memory.peak", "memory.swap.peak":
		return control{forWriter: true, explainLast: Step.explainMemory}
	case "memory.reclaim", "memory.force_empty":
		return control{writeOnly: true, explainLast: Step.explainMemory}
	case "devices.allow", "devices.deny":
		return control{writeOnly: true, explain: explainDevices}
	case "net_prio.ifpriomap", "misc.max":
		return control{mine: mineByName}
	case "rdma.max": // shows more than was written
		return control{mine: mineByName, change: func(_ Step, now string) (string, bool) { return "", now != "" }}
	}
	return controlOfKind(file)
}

// controlOfKind is for files of which there are many alike.
func controlOfKind(file string) control {
	controller, _, _ := strings.Cut(file, ".")
	var c control
	switch controller {
	case "cpu":
		c.explainLast = Step.explainCPU
	case "memory":
		c.explainLast = Step.explainMemory
	case "cpuset":
		c.besides, c.explain = Step.besidesCpuset, (*FS).explainCpuset
	case "devices":
		c.explain = explainDevices
	case "io", "blkio":
		c.perDevice, c.explain = true, explainIO
	}
	switch {
	case strings.HasSuffix(file, "max_usage_in_bytes"), strings.HasSuffix(file, "failcnt"):
		// A reset: it counts on from 0, or from what is used now.
		c.change = func(Step, string) (string, bool) { return "", true }
	case strings.HasSuffix(file, ".pressure") && controller != "cgroup": // a trigger
		c.forWriter = true
	case strings.HasSuffix(file, "weight"):
		c.prefix = "default "
		if file == "io.weight" || strings.HasSuffix(file, "bfq.weight") {
			c.mine = mineByDefault
		}
	}
	return c
}

// mineByName is of files with a line for each name, of which one is set.
func mineByName(s Step, text string) (string, bool) {
	first, _, _ := strings.Cut(s.Value, " ")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, first+" ") {
			return strings.TrimSpace(line), true
		}
	}
	return "", true
}

// mineOfOOMControl: "oom_kill_disable 0", then what is no setting.
func mineOfOOMControl(_ Step, text string) (string, bool) {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimPrefix(line, "oom_kill_disable "), true
}

func mineOfIOMax(s Step, text string) (string, bool) {
	device, _, ok := s.device()
	if !ok {
		return "", false
	}
	return keys.ReadIOMax(text, device).String(), true
}

// mineByDefault: "default 100", then a line for each device.
func mineByDefault(s Step, text string) (string, bool) {
	if _, _, ok := s.device(); ok {
		return "", false
	}
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimPrefix(line, "default "), true
}

func changeOfCPUMax(s Step, now string) (string, bool) {
	a, err1 := keys.ParseCPUMax(s.Value)
	b, err2 := keys.ParseCPUMax(now)
	return "", err1 == nil && err2 == nil && a.QuotaUsec == b.QuotaUsec && (a.PeriodUsec == 0 || a.PeriodUsec == b.PeriodUsec)
}

func changeOfList(s Step, now string) (string, bool) {
	a, err1 := keys.ParseCPUListUpTo(s.Value, keys.LastOf(now))
	b, err2 := keys.ParseCPUList(now)
	return "", err1 == nil && err2 == nil && slices.Equal(a, b)
}

// changeOfFreezer: FREEZING is on its way.
func changeOfFreezer(_ Step, now string) (string, bool) { return "", now == "FREEZING" }

// partitionBefore: "root invalid (…)" is written as "root".
func partitionBefore(a Applied) (string, bool) {
	word, _, _ := strings.Cut(a.Old, " ")
	return word, true
}

func ioMaxBefore(a Applied) (string, bool) {
	device, _, ok := a.device()
	if !ok {
		return a.Old, true
	}
	return keys.ReadIOMax(a.Old, device).String(), true
}

func explainSubtree(fs *FS, e *Error, s Step) bool {
	e.Op = "enable " + strings.TrimPrefix(s.Value, "+") + " for the children of " + s.group
	fs.explainEnable(e, s)
	return true
}

// explainDevices is for v1's lists.
func explainDevices(_ *FS, e *Error, s Step) bool {
	switch e.errno() {
	case unix.EPERM:
		have := oneLine(s.h, path.Dir(s.group), "devices.list")
		e.Reason, e.Cause = ErrValue, "the group above does not allow that much, only "+words.Quote(have)
		if strings.HasPrefix(have, "a ") {
			e.Cause = "the group above allows everything but some devices, and that is one of them"
		}
		e.Next = "allow it there first"
	case unix.EINVAL:
		e.Cause = "v1 takes \"a\", which is all devices, only where the group has no other below, and this one has groups below"
		e.Next = "name devices, such as \"c *:* rwm\" and \"b *:* rwm\", or remove those groups first"
	default:
		return false
	}
	return true
}

func explainIO(fs *FS, e *Error, s Step) bool {
	switch {
	case e.errno() == unix.ENODEV && s.h.has(s.group, ""):
		e.Reason, e.Cause = ErrValue, "there is no disk of that number; a partition cannot be limited, only its whole disk"
		e.Next = "see lsblk"
		return true
	case e.errno() == unix.EOPNOTSUPP:
		return fs.explainDisk(e, s)
	}
	return false
}
