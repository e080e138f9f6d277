package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/linux"
	"nsx/internal/proc"
)

// procfs is the Source that reads a mounted procfs, or a captured copy of one.
// Each process costs one open directory and a handful of relative reads: a path is
// walked once, and the descriptor pins the process, so a PID that is used again
// in the middle is noticed (ESRCH) and never mixed up.
type procfs struct{ Machine }

// Fields implements Source: all except those that the details have.
func (procfs) Fields() Fields {
	return FieldNS | FieldForChildren | FieldThreads | FieldCgroups
}

// linkNames are the files of /proc/PID/ns, relative to /proc/PID.
var linkNames = func() (names [TypeLen]string) {
	for _, t := range Types {
		names[t] = "ns/" + types[t].name
	}
	return names
}()

// taskFiles are the files of a process or thread that are read, as the kernel
// takes their names.
type taskFiles struct {
	self, stat, task, cgroup        *byte
	links                           [TypeLen]*byte
	pidForChildren, timeForChildren *byte
}

func newTaskFiles(above, ns string) *taskFiles {
	f := &taskFiles{
		self: linux.CString(above + "."), stat: linux.CString(above + "stat"), task: linux.CString(above + "task"), cgroup: linux.CString(above + "cgroup"),
		pidForChildren: linux.CString(ns + "pid_for_children"), timeForChildren: linux.CString(ns + "time_for_children"),
	}
	for _, t := range Types {
		f.links[t] = linux.CString(ns + types[t].name)
	}
	return f
}

// A worker opens one directory of each process and reaches everything else from
// there. For each component of a path the kernel looks at the process again
// (pid_revalidate in fs/proc/base.c), and ten links in ns/ are read for each other
// file: so it is cheapest to open /proc/PID/ns and read the rest by "../". In a
// captured tree ns/ may be missing or unreadable: then it is /proc/PID.
var (
	filesFromNS   = newTaskFiles("../", "")
	filesFromTask = newTaskFiles("", "ns/")

	cmdlinePath = linux.CString("cmdline")
	statusPath  = linux.CString("status")
)

// Processes implements Source.
func (p procfs) Processes(ctx context.Context, want Request) ([]Process, []Unreadable, error) {
	dir, live, err := p.open()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the process table: %w", err)
	}
	defer dir.Close()
	// Workers take chunks of the sorted PIDs while the next ones are still being
	// listed, which takes the kernel as long as a worker takes to read them. The
	// results stay in the order of the chunks, so that nothing is sorted again.
	list := lister{dir: dir, live: live && want.PIDs == nil, read: want.PIDs != nil, rest: want.PIDs}
	pids, err := list.next()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the process table %s: %w", p.procDir(), err)
	}
	if len(pids) == 0 {
		return nil, nil, fmt.Errorf("%s holds no processes: is a procfs mounted there?", p.procDir())
	}
	newReader := newReaders(int(dir.Fd()), live, pids, want)
	var results []*procfsChunk
	work := make(chan *procfsChunk, 1024)
	var wg sync.WaitGroup
	for range want.Workers {
		wg.Go(func() {
			r := newReader()
			for r.out = range work {
				for _, pid := range r.out.pids {
					if ctx.Err() != nil {
						break
					}
					r.process(pid)
				}
			}
		})
	}
	slab := make([]Process, list.atMost())
	room := slab
	for len(pids) > 0 && err == nil && ctx.Err() == nil {
		if len(pids) > len(room) { // more have been born since
			room = make([]Process, len(pids)+chunkSize)
		}
		c := &procfsChunk{pids: pids, processes: room[:0:len(pids)]}
		room = room[len(pids):]
		results = append(results, c)
		work <- c
		pids, err = list.next()
	}
	close(work)
	wg.Wait()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the process table %s: %w", p.procDir(), err)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	found, unreadable := newReader().merge(ctx, results, slab[:0])
	return found, unreadable, ctx.Err()
}

// newReaders makes readers below an open /proc; pids are some of those there.
func newReaders(dir int, live bool, pids []int, want Request) func() *procfsReader {
	var missing [TypeLen]bool
	if live {
		missing = missingTypes(dir, pids)
	}
	return func() *procfsReader {
		return &procfsReader{Reader: proc.Reader{Captured: !live, Quick: linux.Quick(live)}, proc: dir, want: want, missing: missing}
	}
}

// merge puts together what the chunks have, in room, when those processes were
// looked at again for which that is worth it.
//
// The chunks lie in the room one after the other: this moves only what comes
// after one with processes that vanished.
func (r *procfsReader) merge(ctx context.Context, results []*procfsChunk, room []Process) (found []Process, unreadable []Unreadable) {
	found = room
	var passing []int
	for _, c := range results {
		found = append(found, c.processes...)
		unreadable = append(unreadable, c.unreadable...)
		passing = append(passing, c.passing...)
	}
	if len(passing) > 0 {
		return r.lookAgain(ctx, passing, found, unreadable)
	}
	return found, unreadable
}

// lister lists the PIDs of a /proc, sorted, some at a time.
type lister struct {
	dir  *os.File
	live bool
	rest []int // of a captured copy
	read bool
}

// atMost is about how many processes there are: procfs counts them among the
// links of its root (proc_root_getattr in fs/proc/root.c), as other file systems
// count directories.
func (l *lister) atMost() int {
	var st unix.Stat_t
	if unix.Fstat(int(l.dir.Fd()), &st) != nil || st.Nlink > 1<<22 {
		return 0
	}
	return int(st.Nlink)
}

// chunkSize is how many processes a worker takes at a time.
const chunkSize = 64

// next is the next PIDs, none at the end.
func (l *lister) next() ([]int, error) {
	if l.live { // procfs lists in order; a captured copy need not
		for {
			names, err := l.dir.Readdirnames(chunkSize)
			if pids := numbersOf(names); len(pids) > 0 {
				return pids, nil
			}
			if err == io.EOF {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
		}
	}
	if !l.read {
		l.read = true
		var err error
		if l.rest, err = numericNames(l.dir); err != nil {
			return nil, err
		}
	}
	n := min(len(l.rest), chunkSize)
	pids := l.rest[:n]
	l.rest = l.rest[n:]
	return pids, nil
}

// procfsChunk is what one chunk of PIDs yielded.
type procfsChunk struct {
	pids       []int
	processes  []Process // with room for them all
	unreadable []Unreadable
	passing    []int // refused us for a moment, it may be: see lookAgain
}

// missingTypes finds the types that this kernel was built without: for those
// a link's ENOENT says nothing about the process. Any process will do, for the
// kernel lists the same names below every ns/, be it a zombie's or a stranger's.
func missingTypes(procDir int, pids []int) (missing [TypeLen]bool) {
	dir, err := -1, error(unix.ENOENT)
	for i := 0; i < len(pids) && err != nil; i++ {
		dir, err = unix.Openat(procDir, strconv.Itoa(pids[i]), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return missing
	}
	defer unix.Close(dir)
	for _, t := range Types {
		err := unix.Faccessat(dir, linkNames[t], unix.F_OK, unix.AT_SYMLINK_NOFOLLOW)
		missing[t] = err == unix.ENOENT && unix.Faccessat(dir, "ns", unix.F_OK, 0) == nil
	}
	return missing
}

// numericNames lists the entries of a /proc or task directory that are
// numbers, sorted.
func numericNames(dir *os.File) ([]int, error) {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	numbers := numbersOf(names)
	slices.Sort(numbers)
	return numbers, nil
}

// numbersOf keeps the names that are numbers.
func numbersOf(names []string) []int {
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if n, ok := proc.Decimal(name); ok && n > 0 && n < 1<<31 {
			numbers = append(numbers, int(n))
		}
	}
	return numbers
}

// procfsReader is one worker: its buffers serve every process it reads.
type procfsReader struct {
	proc.Reader     // Quick where processes are read from ns/
	proc        int // descriptor of /proc
	want        Request
	missing     [TypeLen]bool
	out         *procfsChunk
	name        [32]byte
	cgroups     map[string][]cgroupfs.Membership // by the file's text, which many processes share
}

func (r *procfsReader) stat(dir taskDir) (proc.Stat, error) { return r.Stat(dir.fd, dir.stat) }

// link reads one namespace link.
func (r *procfsReader) link(dir int, path *byte, t Type) (uint64, error) {
	text, err := r.Readlink(dir, path)
	if err != nil {
		return 0, err
	}
	inode, ok := parseLink(text, t)
	if !ok {
		return 0, fmt.Errorf("%s: %q is no namespace link", linkNames[t], text)
	}
	return inode, nil
}

func (r *procfsReader) refuse(pid int, what string, err error) {
	r.out.unreadable = append(r.out.unreadable, Unreadable{pid, what, errorName(err)})
}

// taskDir is an open directory of a process or thread.
type taskDir struct {
	fd int
	*taskFiles
}

func (r *procfsReader) openTask(dir, number int) (taskDir, error) {
	name, files := strconv.AppendInt(r.name[:0], int64(number), 10), filesFromTask
	if r.Quick {
		name, files = append(name, "/ns"...), filesFromNS
	}
	name = append(name, 0)
	fd, err := r.OpenDir(dir, &name[0], unix.O_PATH)
	return taskDir{fd, files}, err
}

// process reads one process. One that vanishes on the way is simply gone.
func (r *procfsReader) process(pid int) {
	dir, err := r.openTask(r.proc, pid)
	if err != nil {
		if !proc.Gone(err) {
			r.refuse(pid, "namespaces", err)
		}
		return
	}
	defer r.Quick.Close(dir.fd)

	st, err := r.stat(dir)
	if proc.Gone(err) {
		return
	}
	if err != nil {
		r.refuse(pid, "namespaces", err)
		return
	}
	p := Process{
		PID: pid, PPID: st.PPID, StartTicks: st.StartTicks, Comm: string(st.Comm), State: State(st.State),
		KernelThread: st.KernelThread(), NumThreads: st.NumThreads,
	}
	if r.fill(dir, &p) {
		r.out.processes = append(r.out.processes, p)
	}
}

// complete reads what is wanted of a process that another source has listed. It
// says whether that is still there.
func (r *procfsReader) complete(p *Process) bool {
	dir, err := r.openTask(r.proc, p.PID)
	if err == nil {
		defer r.Quick.Close(dir.fd)
		var st proc.Stat
		if st, err = r.stat(dir); err == nil && st.StartTicks != p.StartTicks {
			return false
		}
	}
	if proc.Gone(err) {
		return false
	}
	if err != nil {
		r.refuse(p.PID, "namespaces", err)
		return true
	}
	return r.fill(dir, p)
}

// fill reads what is wanted of p, whose directory is dir, and says whether p is
// still there.
func (r *procfsReader) fill(dir taskDir, p *Process) bool {
	var err error
	if r.want.Fields.Has(FieldNS) {
		err = r.namespaces(dir, p)
	}
	if proc.Gone(err) {
		return false
	}
	if err != nil {
		r.refuse(p.PID, "namespaces", err)
		if (p.State == 'R' || p.State == 'D') && isPassing(dir, err) {
			r.out.passing = append(r.out.passing, p.PID)
		}
	}
	// Kernel threads have no children of their own.
	if err == nil && r.want.Fields.Has(FieldForChildren) && !p.KernelThread && p.State != Zombie {
		r.forChildren(dir, p)
	}
	// A leader that has exited leaves its threads' namespaces to be found
	// under task/ only.
	if err == nil && r.want.Fields.Has(FieldThreads) && p.NumThreads > 1 {
		if err := r.threads(dir, p); err != nil && !proc.Gone(err) {
			r.refuse(p.PID, "threads", err)
			if isPassing(dir, err) { // a moment ago it did not refuse
				r.out.passing = append(r.out.passing, p.PID)
			}
		}
	}
	if r.want.Fields.Has(FieldCgroups) {
		p.Cgroups, err = r.memberships(dir)
		if err != nil && !proc.Gone(err) {
			r.refuse(p.PID, "cgroup", err)
		}
	}
	return true
}

// namespaces reads the links of p, whose directory is dir. ESRCH: p is gone.
func (r *procfsReader) namespaces(dir taskDir, p *Process) error {
	reread := false
	for _, t := range Types {
		if r.missing[t] {
			continue
		}
		inode, err := r.link(dir.fd, dir.links[t], t)
		switch {
		case err == nil:
			p.NS[t] = inode
		case errors.Is(err, unix.ENOENT) && p.State == Zombie:
			// exit_task_namespaces (kernel/nsproxy.c) took all but user and pid.
		case errors.Is(err, unix.ENOENT) && !reread:
			// It has died since its stat was read, or only its leader has.
			reread = true
			st, err := r.stat(dir)
			if err != nil {
				return unix.ESRCH
			}
			p.State, p.NumThreads = State(st.State), st.NumThreads
		case errors.Is(err, unix.ENOENT):
			// Missing in a captured tree, or a leader in the act of exiting.
		case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
			// The same check (ptrace_may_access) guards all eight links. A
			// task that is being torn down is refused as well.
			st, gone := r.stat(dir)
			if gone != nil {
				return unix.ESRCH
			}
			p.State = State(st.State)
			return err
		default:
			return err
		}
	}
	if p.State == Zombie {
		// What was read before it died is no longer true.
		p.NS = NSSet{User: p.NS[User], PID: p.NS[PID]}
		return nil
	}
	if p.NS == (NSSet{}) {
		// All that was left was user and pid, and then it was reaped.
		st, err := r.stat(dir)
		switch {
		case err != nil:
			return unix.ESRCH
		case st.State == byte(Zombie):
			p.State = Zombie
			return nil
		}
		return errNoLinks
	}
	return nil
}

// forChildren reads where p's next child will be.
func (r *procfsReader) forChildren(dir taskDir, p *Process) {
	// An ENOENT here is no error: unshare(CLONE_NEWPID) without a child yet.
	if inode, err := r.link(dir.fd, dir.pidForChildren, PID); err == nil && inode != p.NS[PID] {
		p.PIDForChildren = inode
	}
	if r.missing[Time] {
		return
	}
	if inode, err := r.link(dir.fd, dir.timeForChildren, Time); err == nil && inode != p.NS[Time] {
		p.TimeForChildren = inode
	}
}

// threads reads the threads of p that matter: those whose namespaces differ
// from the leader's, or all.
func (r *procfsReader) threads(dir taskDir, p *Process) error {
	fd, err := r.OpenDir(dir.fd, dir.task, unix.O_RDONLY)
	if err != nil {
		return err
	}
	task := os.NewFile(uintptr(fd), "task")
	defer task.Close()
	tids, err := numericNames(task)
	if err != nil {
		return err
	}
	for _, tid := range tids {
		if tid == p.PID {
			continue
		}
		thread, err := r.thread(fd, tid, p)
		if err != nil && !proc.Gone(err) {
			return err
		}
		if err == nil && (r.want.AllThreads || thread.NS != p.NS) {
			p.Threads = append(p.Threads, thread)
		}
	}
	return nil
}

func (r *procfsReader) thread(task, tid int, p *Process) (Thread, error) {
	dir, err := r.openTask(task, tid)
	if err != nil {
		return Thread{}, err
	}
	defer r.Quick.Close(dir.fd)
	thread := Thread{TID: tid, NS: p.NS}
	for _, t := range Types {
		// Threads of one process cannot differ in these (copy_process and
		// create_user_ns refuse): save two reads of eight.
		if t == User || t == PID || r.missing[t] {
			continue
		}
		thread.NS[t], err = r.link(dir.fd, dir.links[t], t)
		if errors.Is(err, unix.ENOENT) && p.NS[t] == 0 && p.State != Zombie {
			continue // the leader has none either: a captured tree
		}
		if err != nil {
			return Thread{}, err // ENOENT as well: the thread is exiting
		}
	}
	if !r.want.AllThreads && thread.NS == p.NS {
		return thread, nil
	}
	st, err := r.stat(dir)
	if err != nil {
		return Thread{}, err
	}
	thread.Comm, thread.State = string(st.Comm), State(st.State)
	if r.want.Fields.Has(FieldCgroups) {
		thread.Cgroups, err = r.memberships(dir)
	}
	return thread, err
}

// memberships reads the cgroups of a process or thread.
func (r *procfsReader) memberships(dir taskDir) ([]cgroupfs.Membership, error) {
	text, cut, err := r.ReadSlow(dir.fd, dir.cgroup, proc.MaxFile)
	if cut {
		err = unix.EFBIG
	}
	if err != nil {
		return nil, err
	}
	if list, known := r.cgroups[string(text)]; known {
		return list, nil
	}
	list, err := cgroupfs.ParseMemberships(text)
	if err != nil {
		return nil, err
	}
	if r.cgroups == nil {
		r.cgroups = map[string][]cgroupfs.Membership{}
	}
	r.cgroups[string(text)] = list
	return list, nil
}

// errNoLinks is a captured tree's lack: a live process has at least two.
var errNoLinks = errors.New("no links below ns/")
