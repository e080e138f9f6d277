package cgroupfs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Members is who is in a group itself, not in those below it.
type Members struct {
	// Processes is all that are in it in any hierarchy, sorted.
	Processes []int `json:"processes"`
	// Threads is the same for threads.
	Threads []int `json:"threads"`
	// Hierarchies has the processes of each hierarchy that has the group.
	Hierarchies []HierarchyMembers `json:"hierarchies"`
	// Elsewhere is those of Processes that one of these hierarchies has in
	// another group.
	Elsewhere []int `json:"elsewhere"`
	// Unnamed counts entries of processes in other PID namespaces, which have
	// no number here.
	Unnamed int `json:"unnamed,omitempty"`
}

// HierarchyMembers is a group's processes in one hierarchy.
type HierarchyMembers struct {
	Hierarchy Hierarchy `json:"hierarchy"`
	Processes []int     `json:"processes"`
}

// Members reads who is in the group.
func (g *Group) Members(ctx context.Context) (Members, error) {
	op := "list the members of " + g.path
	list, err := g.need(op)
	if err == nil {
		err = interrupted(ctx, op)
	}
	if err != nil {
		return Members{Processes: []int{}, Threads: []int{}, Elsewhere: []int{}}, err
	}
	return g.membersIn(list)
}

func (g *Group) membersIn(list []*Hierarchy) (Members, error) {
	m := Members{Processes: []int{}, Threads: []int{}, Elsewhere: []int{}}
	count := map[int]int{}
	for _, h := range list {
		pids, tids, unnamed, err := g.fs.members(h, g.path)
		if err != nil {
			return m, &Error{Op: "list the members of " + g.path, Group: g.path, File: h.Dir(g.path), Err: bare(err)}
		}
		for _, pid := range pids {
			count[pid]++
		}
		m.Processes = append(m.Processes, pids...)
		m.Threads = append(m.Threads, tids...)
		m.Unnamed += unnamed
		m.Hierarchies = append(m.Hierarchies, HierarchyMembers{*h, pids})
	}
	slices.Sort(m.Processes)
	slices.Sort(m.Threads)
	m.Processes, m.Threads = slices.Compact(m.Processes), slices.Compact(m.Threads)
	for _, pid := range m.Processes {
		if count[pid] < len(list) {
			m.Elsewhere = append(m.Elsewhere, pid)
		}
	}
	return m, nil
}

// members reads one hierarchy's. A process whose first thread has exited while
// others run is missing from cgroup.procs, and a threaded group has none to
// read: such processes are found by their threads.
func (fs *FS) members(h *Hierarchy, group string) (pids, tids []int, unnamed int, err error) {
	return fs.membersBy(h, func(file string) (string, error) { return h.read(group, file) })
}

// membersBy is members, of the group whose files read reads.
func (fs *FS) membersBy(h *Hierarchy, read func(file string) (string, error)) (pids, tids []int, unnamed int, err error) {
	pids, err1 := readPIDs(read("cgroup.procs"))
	if err1 != nil && !errors.Is(err1, unix.EOPNOTSUPP) {
		return nil, nil, 0, ignoreGone(err1)
	}
	tids, err = readPIDs(read(h.threadsFile()))
	if errors.Is(err, unix.ENOENT) && err1 == nil {
		// Linux before 4.14 has no cgroup.threads, a captured tree may have none. Or the
		// group has gone meanwhile.
		if pids, err = readPIDs(read("cgroup.procs")); err == nil {
			tids = slices.Clone(pids)
		}
	}
	if err != nil {
		return nil, nil, 0, ignoreGone(err)
	}
	unnamed = len(pids)
	pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == 0 })
	tids = slices.DeleteFunc(tids, func(pid int) bool { return pid == 0 })
	unnamed -= len(pids)
	// A thread that is no known process may be another thread of one.
	known := map[int]bool{}
	for _, pid := range pids {
		known[pid] = true
	}
	for _, tid := range tids {
		if known[tid] {
			continue
		}
		pid, err := fs.threadGroup(tid)
		if !proc.Gone(err) && err != nil {
			return nil, nil, 0, err
		}
		if err == nil && !known[pid] {
			known[pid] = true
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, tids, unnamed, nil
}

// ignoreGone takes a group that was removed in the middle for an empty one.
func ignoreGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

func (h *Hierarchy) threadsFile() string {
	if h.Version == 1 {
		return "tasks"
	}
	return "cgroup.threads"
}

// pids reads a file of process or thread numbers; 0 is one that has no number
// in this PID namespace.
func (h *Hierarchy) pids(group, file string) ([]int, error) {
	return readPIDs(h.read(group, file))
}

func readPIDs(text string, err error) ([]int, error) {
	if err != nil {
		return nil, err
	}
	pids := []int{}
	for word := range strings.FieldsSeq(text) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}
