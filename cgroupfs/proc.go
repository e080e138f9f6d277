package cgroupfs

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"nsx/internal/proc"
)

// process is what has to be known of a process, or thread, before it is moved
// or killed.
type process struct {
	proc.Stat
	pid int
}

func (fs *FS) process(pid int) (process, error) {
	number, err := fs.numberOf(pid)
	if err != nil {
		return process{}, err
	}
	text, err := fs.readProc(number, "stat")
	if err != nil {
		return process{}, err
	}
	st, err := proc.ParseStat(text)
	if err != nil {
		return process{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return process{st, pid}, nil
}

// String is "5151 (sleep)", the name made safe to show.
func (p process) String() string {
	name := strconv.Quote(string(p.Comm))
	return fmt.Sprintf("%d (%s)", p.pid, name[1:len(name)-1])
}

// threads lists the live threads of a process, none if it is gone, or if /proc
// has other numbers for them than the kernel takes.
func (fs *FS) threads(pid int) ([]int, error) {
	if fs.otherPIDs {
		return nil, nil
	}
	entries, err := os.ReadDir(fs.procPath(strconv.Itoa(pid), "task"))
	if proc.Gone(err) {
		if p, err := fs.process(pid); fs.root != "/" && err == nil && !p.Dead() {
			return []int{pid}, nil // captured without task/
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []int
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := fs.process(tid)
		if err == nil && !p.Dead() {
			list = append(list, tid)
		} else if err != nil && !proc.Gone(err) {
			return nil, err
		}
	}
	return list, nil
}

// threadGroup is the process that a thread belongs to; /proc/TID exists for
// every thread, though it is not listed.
func (fs *FS) threadGroup(tid int) (int, error) {
	number, err := fs.numberOf(tid)
	if err != nil {
		return 0, err
	}
	text, err := fs.readProc(number, "status")
	if err != nil {
		return 0, err
	}
	tgid, found := proc.StatusField(string(text), "Tgid")
	if !found {
		return 0, fmt.Errorf("/proc/%d/status has no Tgid", tid)
	}
	return strconv.Atoi(tgid)
}

// name is a process for a message, as far as it can be read.
func (fs *FS) name(pid int) string {
	p, err := fs.process(pid)
	if err != nil {
		return strconv.Itoa(pid)
	}
	return p.String()
}

// names is some processes for a message.
func (fs *FS) names(pids []int) string {
	const most = 5
	var words []string
	for _, pid := range pids[:min(len(pids), most)] {
		words = append(words, fs.name(pid))
	}
	if len(pids) > most {
		words = append(words, fmt.Sprintf("%d more", len(pids)-most))
	}
	return strings.Join(words, ", ")
}

// memberOf is the group of a process, or thread, in a hierarchy.
func (fs *FS) memberOf(pid int, h *Hierarchy) (Membership, bool) {
	list, err := fs.Memberships(pid)
	if err != nil {
		return Membership{}, false
	}
	i := slices.IndexFunc(list, func(m Membership) bool { return h.Holds(m) })
	if i < 0 {
		return Membership{}, false
	}
	return list[i], true
}
