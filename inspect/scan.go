package inspect

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"time"

	"nsx/cgroupfs"
)

// Options says what to read. The zero value reads the namespaces of every process
// and nothing else: read only what the view needs, for each switch costs a system
// call or more a process. What is not read stays empty:
//
//	Process.Cgroups, Thread.Cgroups                Cgroups
//	Process.Threads, beyond those elsewhere        Threads
//	Process.PIDForChildren, TimeForChildren        ForChildren, Holders
//	Process.UID, User, Cmdline, NSPIDs             Details: AllDetails, or of leaders LeaderDetails
//	Leader.UID, User, Cmdline                      Details: LeaderDetails, AllDetails
//	Namespace.KernelID, Parent, Owner, OwnerUID    Relations
//	Namespace.Names                                Binds, Holders
//	Namespace.HeldBy, beyond threads               ForChildren, Relations, Binds, Holders
//	Snapshot.Sets                                  Sets
//	Set.MemoryBytes                                Memory
type Options struct {
	// Workers is how many processes are read at a time: 0 for one a core.
	Workers int

	// Relations asks the kernel for each namespace's parent, owner and id,
	// and adds the namespaces found only in that way.
	Relations bool
	// Cgroups reads each process's cgroup memberships.
	Cgroups bool
	// Sets groups the processes that share all their namespaces.
	Sets bool
	// Memory reads how much memory the sets use, where they have cgroups of their own.
	// It needs Sets and Details.
	Memory bool
	// Threads lists all threads, not only those in other namespaces than
	// their leader.
	Threads bool
	// ForChildren reads which PID and time namespace each process's next child
	// will be in, where that is not its own: two system calls of fifteen a
	// process, for a thing that is rare.
	ForChildren bool
	// Details says whose UID, User, Cmdline and NSPIDs are read.
	Details Details
	// Names says whose the processes are whose details are read, and the sets and
	// namespaces that they lead: which container, pod, unit or session.
	Names bool
	// Binds looks for names and bind mounts of namespaces in the caller's own
	// mount namespace: Namespace.Names and HeldBy.
	Binds bool
	// Holders looks further: at what ForChildren reads, at every open
	// descriptor and socket, and in every other mount namespace. It costs as
	// much as the scan itself, or more.
	Holders bool
	// CmdlineTimeout bounds the wait for one command line, which blocks for
	// as long as the process's memory is locked or its pages cannot be read.
	// 0 means half a second. A read that is not asleep, but waits for a processor
	// on a busy machine, gets ten times as long.
	CmdlineTimeout time.Duration
	// ProcessesOnly says that Find is asked for processes and not for what else is
	// in their namespaces: where it is given PIDs, it reads no other process, but
	// for those that tell what the machine booted with.
	ProcessesOnly bool
	// SkipMissing has Find leave out the words that name nothing that can be seen, as
	// suits a list of processes that goes out of date: see Match.Missing.
	SkipMissing bool
	// MaxCmdline is how many bytes of a command line are read at most; 0 and
	// more than that means 128 KiB. Where many processes have more than 1 KiB,
	// some of them are cut there: see Process.CmdlineCut.
	MaxCmdline int
}

// Details says of which processes the costlier fields are read.
type Details uint8

// The choices of Options.Details.
const (
	NoDetails     Details = iota
	LeaderDetails         // of the processes that lead a namespace
	AllDetails            // of every process
)

func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return 2 * runtime.GOMAXPROCS(0)
}

// Snapshot is what one scan found. It is not changed afterwards.
type Snapshot struct {
	// Host and Kernel are the scanned machine's host name and kernel release.
	Host      string    `json:"host"`
	Kernel    string    `json:"kernel"`
	ScannedAt time.Time `json:"scanned_at"`
	// Complete says that nothing was refused: every process was listed and
	// all that was asked for of it was read.
	Complete bool `json:"complete"`
	// Unreadable lists what was refused, by PID.
	Unreadable []Unreadable `json:"unreadable"`
	// Hidden is the mount option of /proc that hides other users' processes
	// from this reader ("hidepid=invisible"), or empty.
	Hidden string `json:"hidden,omitempty"`

	// Processes are sorted by PID, Namespaces by type and inode number.
	Processes  []Process   `json:"processes"`
	Namespaces []Namespace `json:"namespaces"`
	// Sets are sorted by size, the largest first.
	Sets []Set `json:"sets,omitempty"`

	named bool // the identity of every process is known, as far as it can be
}

// Scan reads all processes and groups them by namespace. It fails if there
// are none to read, or with ctx.
func (m Machine) Scan(ctx context.Context, o Options) (*Snapshot, error) {
	s, err := m.look(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	if err := m.readDetails(ctx, s, o, everything); err != nil {
		return nil, err
	}
	s.settle()
	return s, nil
}

// look is Scan without the details, and before the end is drawn. It reads no other
// processes than pids, unless that is nil.
func (m Machine) look(ctx context.Context, o Options, pids []int) (*Snapshot, error) {
	o.ForChildren = o.ForChildren || o.Holders
	s := &Snapshot{ScannedAt: time.Now().UTC().Truncate(time.Millisecond), Hidden: m.hidden()}
	s.Host, s.Kernel = m.hostAndKernel()
	var err error
	if s.Processes, s.Unreadable, err = m.processes(ctx, o.request(pids)); err != nil {
		return nil, err
	}
	if o.Cgroups {
		m.checkDeleted(s)
	}
	g := newGrouping(s.Processes)
	if o.Relations && m.isLive() {
		if err := g.relate(ctx, m, o.workers()); err != nil {
			return nil, err
		}
	}
	if o.Binds || o.Holders {
		refused, err := m.findHolders(ctx, g, o)
		if err != nil {
			return nil, err
		}
		s.Unreadable = append(s.Unreadable, refused...)
	}
	s.Namespaces, s.Sets = g.finish(o.Sets)
	s.settleCounts(pids == nil)
	return s, nil
}

// settle draws the end.
func (s *Snapshot) settle() {
	s.Complete = len(s.Unreadable) == 0 && s.Hidden == ""
	if s.Unreadable == nil {
		s.Unreadable = []Unreadable{}
	}
	slices.SortStableFunc(s.Unreadable, func(a, b Unreadable) int { return cmp.Compare(a.PID, b.PID) })
}

// checkDeleted looks at the directories of the cgroups that seem to be removed: a
// living one may be named like that.
func (m Machine) checkDeleted(s *Snapshot) {
	var fs *cgroupfs.FS
	for i := range s.Processes {
		for _, list := range append([][]cgroupfs.Membership{s.Processes[i].Cgroups}, threadCgroups(&s.Processes[i])...) {
			if !slices.ContainsFunc(list, func(m cgroupfs.Membership) bool { return m.Deleted }) {
				continue
			}
			if fs == nil {
				var err error
				if fs, err = cgroupfs.Open(cgroupfs.Options{Root: m.root.Join()}); err != nil {
					return
				}
			}
			fs.CheckDeleted(list)
		}
	}
}

func threadCgroups(p *Process) (lists [][]cgroupfs.Membership) {
	for _, t := range p.Threads {
		lists = append(lists, t.Cgroups)
	}
	return lists
}

// settleCounts takes back the counts of the namespaces and sets that a process
// whose namespaces could not be read may be in. Kernel threads are in those that
// the machine booted with, and so is the first process, which a security module
// may close even to root; anybody else may be anywhere, and so may those that were
// not looked at.
func (s *Snapshot) settleCounts(all bool) {
	some, anywhere := false, s.Hidden != "" || !all
	for _, u := range s.Unreadable {
		if u.What == "namespaces" {
			p := s.Process(u.PID)
			some = true
			anywhere = anywhere || p == nil || !p.KernelThread && p.PID != 1
		}
	}
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		boots := n.Initial == nil || *n.Initial // or may be
		if !anywhere && (!some || !boots) {
			continue
		}
		n.NProcs = UnknownCount
		if len(n.PIDs) == 0 {
			n.PIDs = nil
		}
	}
	for i := range s.Sets {
		if set := &s.Sets[i]; anywhere || some && len(set.Apart) == 0 {
			set.NProcs = UnknownCount
		}
	}
}

// Process finds a process by PID.
func (s *Snapshot) Process(pid int) *Process {
	i, found := searchPID(s.Processes, pid)
	if !found {
		return nil
	}
	return &s.Processes[i]
}

// Namespace finds a namespace.
func (s *Snapshot) Namespace(id ID) *Namespace {
	i, found := searchID(s.Namespaces, id)
	if !found {
		return nil
	}
	return &s.Namespaces[i]
}

// UnreadableProcesses counts the processes whose namespaces are not known.
func (s *Snapshot) UnreadableProcesses() int {
	n := 0
	for _, u := range s.Unreadable {
		if u.What == "namespaces" {
			n++
		}
	}
	return n
}
