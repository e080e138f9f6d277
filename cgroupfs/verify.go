package cgroupfs

import (
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs/keys"
)

// writeOnly says whether a file cannot be read back.
func (s Step) writeOnly() bool {
	switch s.File {
	case "devices.allow", "devices.deny", "memory.reclaim", "memory.force_empty":
		return true
	}
	return false
}

// isKeyed says whether a file has a line for each name, of which one is set.
func (s Step) isKeyed() bool {
	return s.File == "net_prio.ifpriomap" || s.File == "misc.max" || s.File == "rdma.max"
}

// device is the device that a value is for, if it is for one, and the rest.
func (s Step) device() (keys.Device, string, bool) {
	first, rest, ok := strings.Cut(s.Value, " ")
	if !ok || !strings.HasPrefix(s.File, "io.") && !strings.HasPrefix(s.File, "blkio.") {
		return keys.Device{}, "", false
	}
	d, ok := keys.ParseDeviceNumber(first)
	return d, strings.TrimSpace(rest), ok
}

// mine is the part of a file's text that a step is about.
func (s Step) mine(text string) string {
	device, _, ok := s.device()
	switch {
	case s.isKeyed():
		first, _, _ := strings.Cut(s.Value, " ")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, first+" ") {
				return strings.TrimSpace(line)
			}
		}
		return ""
	case s.File == "memory.oom_control":
		// "oom_kill_disable 0", then what is no setting.
		line, _, _ := strings.Cut(text, "\n")
		return strings.TrimPrefix(line, "oom_kill_disable ")
	case ok && s.File == "io.max":
		return keys.ReadIOMax(text, device).String()
	case ok:
		return keys.ByDevice(text, device.String())
	case s.File == "io.weight" || strings.HasSuffix(s.File, "bfq.weight"):
		// "default 100", then a line for each device.
		line, _, _ := strings.Cut(text, "\n")
		return strings.TrimPrefix(line, "default ")
	}
	return strings.TrimSpace(text)
}

// compare says how a value read back differs from the one written.
func (s Step) compare(now string) string {
	wrote := s.Value
	if device, rest, ok := s.device(); ok {
		if s.File == "io.max" {
			return s.compareIOMax(keys.ReadIOMax(now, device))
		}
		if strings.Contains(rest, "=") {
			return compareWords(rest, now)
		}
		wrote = rest
		if now == "" && wrote == "0" {
			return "" // a throttle taken off
		}
	}
	switch {
	case s.File == "cgroup.subtree_control":
		return s.compareSubtree(now)
	case s.File == "cpuset.cpus" || s.File == "cpuset.mems":
		a, err1 := keys.ParseCPUListUpTo(wrote, keys.LastOf(now))
		b, err2 := keys.ParseCPUList(now)
		if err1 == nil && err2 == nil && slices.Equal(a, b) {
			return ""
		}
	case s.File == "cpu.max":
		a, err1 := keys.ParseCPUMax(wrote)
		b, err2 := keys.ParseCPUMax(now)
		if err1 == nil && err2 == nil && a.QuotaUsec == b.QuotaUsec && (a.PeriodUsec == 0 || a.PeriodUsec == b.PeriodUsec) {
			return ""
		}
	case s.onlyForWriter():
		return "ignored"
	case strings.HasSuffix(s.File, "max_usage_in_bytes"), strings.HasSuffix(s.File, "failcnt"):
		return "" // a reset: it counts on from 0, or from what is used now
	case s.File == "rdma.max" && now != "":
		return "" // shows more than was written
	case s.File == "freezer.state" && now == "FREEZING":
		return "" // on its way
	case strings.HasSuffix(s.File, "weight"):
		wrote = strings.TrimPrefix(wrote, "default ")
	}
	if slices.Equal(strings.Fields(wrote), strings.Fields(now)) {
		return ""
	}
	return s.compareNumbers(wrote, now)
}

// onlyForWriter says that what is written is undone when the file is closed: resets
// of peaks, and triggers of pressure.
func (s Step) onlyForWriter() bool {
	return s.File == "memory.peak" || s.File == "memory.swap.peak" || strings.HasSuffix(s.File, ".pressure") && !strings.HasPrefix(s.File, "cgroup.")
}

// compareWords is for values of several words KEY=VALUE, of which those that are
// not written stay, and the file shows all.
func compareWords(wrote, now string) string {
	have := strings.Fields(now)
	for word := range strings.FieldsSeq(wrote) {
		if !slices.Contains(have, word) && !slices.ContainsFunc(have, func(h string) bool { return sameWord(word, h) }) {
			return "changed"
		}
	}
	return ""
}

// sameWord compares KEY=NUMBER by the number: 95 and 95.00 are one.
func sameWord(a, b string) bool {
	key1, x, ok1 := strings.Cut(a, "=")
	key2, y, ok2 := strings.Cut(b, "=")
	return ok1 && ok2 && key1 == key2 && sameNumber(x, y)
}

func sameNumber(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

// compareNumbers does not look at what was there before: what is rounded or
// clamped stays so when it is written again.
func (s Step) compareNumbers(wrote, now string) string {
	a, ok1 := keys.ReadSize(wrote)
	if n, err := keys.ParseSize(wrote); !ok1 && err == nil {
		a, ok1 = n, true // the kernel takes 1M too
	}
	b, ok2 := keys.ReadSize(now)
	switch {
	case ok1 && ok2 && a == b:
		return "" // -1 and v1's number for it
	case sameNumber(wrote, now):
		return ""
	case ok1 && ok2 && b == keys.Unlimited:
		return "ignored"
	case ok1 && ok2 && b < a && a-b < 64<<10 && !strings.HasPrefix(s.File, "cpu."):
		return "rounded" // down to a page, which has 64 KiB at most
	case ok1 && ok2:
		return "clamped"
	}
	return "changed"
}

func (s Step) compareIOMax(now keys.IOMax) string {
	want, err := keys.ParseIOMax(s.Value)
	if err != nil {
		return "changed"
	}
	for _, f := range keys.IOMaxFields {
		a, b := *f.Of(&want), *f.Of(&now)
		if a != nil && (b == nil || *a != *b) {
			return "clamped"
		}
	}
	return ""
}

func (s Step) compareSubtree(now string) string {
	have := strings.Fields(now)
	for word := range strings.FieldsSeq(s.Value) {
		if slices.Contains(have, word[1:]) != (word[0] == '+') {
			return "ignored"
		}
	}
	return ""
}
