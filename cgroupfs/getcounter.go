package cgroupfs

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// twins are files that can only be read and hold the same on both versions, v2's
// first.
var twins = [][2]string{
	{"cpuset.cpus.effective", "cpuset.effective_cpus"},
	{"cpuset.mems.effective", "cpuset.effective_mems"},
	{"memory.current", "memory.usage_in_bytes"},
	{"memory.peak", "memory.max_usage_in_bytes"},
	{"cgroup.threads", "tasks"},
}

// getCounter reads what is only read from the other version's file.
func (g *Group) getCounter(h *Hierarchy, key string) (KeyValue, bool) {
	name := twinOf(key, h.Version)
	if name == "" {
		return g.derive(h, key)
	}
	text, err := h.read(g.path, name)
	return KeyValue{Key: key, Value: text, File: path.Join(h.Dir(g.path), name)}, err == nil
}

// twinOf is a key's name on a version, "" if it has no other there.
func twinOf(key string, version int) string {
	for _, t := range twins {
		if key == t[version-1] {
			return t[2-version]
		}
	}
	// hugetlb.2MB.current, .rsvd.current; hugetlb.2MB.usage_in_bytes
	ours, theirs := ".usage_in_bytes", ".current"
	if version == 2 {
		ours, theirs = theirs, ours
	}
	if page, ok := strings.CutSuffix(key, theirs); ok && strings.HasPrefix(key, "hugetlb.") {
		return page + ours
	}
	return ""
}

// derive reckons what the other version counts in another way.
func (g *Group) derive(h *Hierarchy, key string) (KeyValue, bool) {
	number := func(file string) (int64, bool) {
		text, err := h.read(g.path, file)
		n, ok := parseCount(text)
		return n, ok && err == nil
	}
	word := func(file, word string) (int64, bool) {
		text, _ := h.read(g.path, file)
		n, ok := flatKeyed(text)[word]
		return n, ok
	}
	// A sum or difference of the first two, or a line of the first, and its unit.
	var file, other, line, note string
	sign, unit := int64(1), int64(1)
	page, failcnt := strings.CutSuffix(key, ".failcnt")
	switch {
	case h.Version == 1 && key == "memory.swap.current":
		file, other, sign = "memory.memsw.usage_in_bytes", "memory.usage_in_bytes", -1
		note = "less memory.usage_in_bytes, since v1 counts memory and swap together"
	case h.Version == 1:
		return KeyValue{}, false
	case key == "memory.memsw.usage_in_bytes":
		file, other, note = "memory.swap.current", "memory.current", "and memory.current, since v2 counts them apart"
	case key == "memory.failcnt":
		file, line, note = "memory.events.local", "max", "as often as memory.max was hit"
	case failcnt && strings.HasPrefix(page, "hugetlb."):
		file, line, note = page+".events.local", "max", "as often as the limit was hit"
	case key == "cpuacct.usage", key == "cpuacct.usage_user", key == "cpuacct.usage_sys":
		file, unit, note = "cpu.stat", 1000, "which counts in microseconds"
		line = map[string]string{"cpuacct.usage": "usage_usec", "cpuacct.usage_user": "user_usec", "cpuacct.usage_sys": "system_usec"}[key]
	default:
		return KeyValue{}, false
	}
	var n int64
	var ok bool
	if line != "" {
		n, ok = word(file, line)
		n *= unit
	} else {
		a, hasA := number(file)
		b, hasB := number(other)
		n, ok = max(a+sign*b, 0), hasA && hasB
	}
	return KeyValue{
		Key: key, Value: strconv.FormatInt(n, 10), File: path.Join(h.Dir(g.path), file),
		Notes: []string{fmt.Sprintf("%s is from %s, %s", key, file, note)},
	}, ok
}
