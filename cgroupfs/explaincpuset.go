package cgroupfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// explainCpuset is for what only cpusets refuse.
func (fs *FS) explainCpuset(e *Error, s Step) bool {
	up := path.Dir(s.group)
	base := strings.TrimPrefix(s.File, "cpuset.")
	if base != "cpus" && base != "mems" {
		return s.explainCpusetSwitch(e)
	}
	switch e.errno() {
	case unix.ENOSPC:
		members, _ := s.h.pids(s.group, "cgroup.procs")
		e.Cause = fmt.Sprintf("%s in the group, and would have none left: %s", words.Count(len(members), "process is", "processes are"), fs.names(members))
		e.Reason, e.Next = ErrBusy, "move them out first"
	case unix.EACCES:
		// The group above does not have them, if it is not a matter of rights.
		have, err1 := keys.ParseCPUList(oneLine(s.h, up, s.File))
		want, err2 := keys.ParseCPUList(s.Value)
		if err1 != nil || err2 != nil || !slices.ContainsFunc(want, func(n int) bool { return !slices.Contains(have, n) }) {
			return false
		}
		e.Reason = ErrValue
		e.Cause = fmt.Sprintf("the group above has only %s of %s", words.Quote(keys.FormatCPUList(have)), base)
		e.Next = "give it more first"
	case unix.EBUSY:
		e.Cause = fmt.Sprintf("a child has more than that: %s", s.h.childValues(s.group, s.File))
		e.Next = "shrink the children first"
	case unix.ERANGE, unix.EINVAL:
		have := oneLine(s.h, "/", s.File)
		if text := oneLine(s.h, "/", s.File+".effective"); text != "" {
			have = text
		}
		if siblings := s.overlapping("cpuset." + strings.TrimSuffix(base, "s") + "_exclusive"); siblings != "" && within(s.Value, have) {
			e.Cause = "one of two groups that share them would be exclusive: " + siblings
			e.Next = "leave those out, or set its " + "cpuset." + strings.TrimSuffix(base, "s") + "_exclusive=0"
			return true
		}
		e.Cause = fmt.Sprintf("the machine has only %s", words.Quote(have))
	default:
		return false
	}
	return true
}

// explainCpusetSwitch is for the files of a cpuset that hold no list. Exclusive
// is what no sibling shares and what the group above is too (validate_change in
// kernel/cgroup/cpuset.c).
func (s Step) explainCpusetSwitch(e *Error) bool {
	base := strings.TrimPrefix(s.File, "cpuset.")
	list, exclusive := strings.CutSuffix(base, "_exclusive")
	switch {
	case base == "sched_relax_domain_level" && e.errno() == unix.EINVAL:
		e.Cause = "it is a level of the scheduler's domains, from -1 (the default) to as many as this machine has (cpuset(7))"
	case !exclusive:
		return false
	case e.errno() == unix.EINVAL:
		siblings := s.overlapping("")
		if siblings == "" {
			return false
		}
		e.Cause = fmt.Sprintf("other groups have some of its %ss: %s", list, siblings)
		e.Next = "give them others first"
	case e.errno() == unix.EACCES && oneLine(s.h, path.Dir(s.group), s.File) == "0":
		e.Reason, e.Cause = ErrValue, fmt.Sprintf("the group above, %s, is not exclusive itself", path.Dir(s.group))
		e.Next = fmt.Sprintf("set %s=1 there first", s.File)
	case e.errno() == unix.EBUSY:
		e.Cause = "a child is exclusive: " + s.h.childValues(s.group, s.File)
		e.Next = "set it to 0 there first"
	default:
		return false
	}
	return true
}

// overlapping names the siblings of a group that share a CPU or node with it, or
// with what it is to get: those only that have a switch on, if one is named and
// the group itself has not.
func (s Step) overlapping(only string) string {
	base, _, _ := strings.Cut(strings.TrimPrefix(s.File, "cpuset."), "_")
	file := "cpuset." + strings.TrimSuffix(base, "s") + "s"
	mine := oneLine(s.h, s.group, file)
	if s.File == file {
		mine = s.Value
	}
	if only != "" && oneLine(s.h, s.group, only) == "1" {
		only = ""
	}
	up := path.Dir(s.group)
	names, _ := s.h.list(up, true)
	var words []string
	for _, name := range names {
		at := path.Join(up, name)
		theirs := oneLine(s.h, at, file)
		if at == s.group || !shares(mine, theirs) || only != "" && oneLine(s.h, at, only) != "1" {
			continue
		}
		words = append(words, fmt.Sprintf("%s has %s", at, theirs))
	}
	return strings.Join(words, ", ")
}

// shares says that two lists have a number in common, within that the second has
// all of the first.
func shares(a, b string) bool {
	return slices.ContainsFunc(listOf(a), func(n int) bool { return slices.Contains(listOf(b), n) })
}

func within(a, b string) bool {
	return !slices.ContainsFunc(listOf(a), func(n int) bool { return !slices.Contains(listOf(b), n) })
}

// listOf is a list that the kernel shows, empty if it is none.
func listOf(text string) []int {
	list, _ := keys.ParseCPUList(text)
	return list
}

// childValues is what each child has in a file.
func (h *Hierarchy) childValues(group, file string) string {
	names, _ := h.list(group, true)
	var words []string
	for _, name := range names {
		if text := oneLine(h, path.Join(group, name), file); text != "" {
			words = append(words, fmt.Sprintf("%s has %s", path.Join(group, name), text))
		}
	}
	return strings.Join(words, ", ")
}
