package inspect

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/linux"
	"nsx/internal/proc"
)

// readDetails reads what Options.Details and Names ask for, as far as match wants it,
// and completes the leaders.
func (m Machine) readDetails(ctx context.Context, s *Snapshot, o Options, match Match) error {
	if o.Details == NoDetails {
		return nil
	}
	chosen := s.choose(o, match)
	all, err := m.depth(ctx, o, chosen)
	if err != nil {
		return err
	}
	users := userNames(m.root)
	for i, p := range chosen {
		d := &all[i]
		p.UID, p.NSPIDs, p.Cmdline, p.CmdlineCut = d.uid, d.nsPIDs, d.cmdline, d.cut
		if p.Cgroups == nil {
			p.Cgroups = d.cgroups
		}
		if p.UID != nil {
			p.User = users[*p.UID]
			if p.User == "" {
				p.User = strconv.FormatUint(uint64(*p.UID), 10)
			}
		}
		for _, u := range d.refused {
			u.PID = p.PID
			s.Unreadable = append(s.Unreadable, u)
		}
	}
	for _, l := range s.leaders(match) {
		p := s.Process(l.PID)
		l.UID, l.User, l.Cmdline, l.CmdlineCut = p.UID, p.User, p.Cmdline, p.CmdlineCut
	}
	if o.Names && !s.named {
		if err := m.identify(ctx, s, o, chosen); err != nil {
			return err
		}
	}
	if o.Names {
		s.identifySets()
	}
	if o.Memory {
		m.measureSets(ctx, s, match)
	}
	return nil
}

// choose lists the processes whose details are asked for.
func (s *Snapshot) choose(o Options, match Match) (chosen []*Process) {
	if o.Details == AllDetails {
		for i := range s.Processes {
			if match.HasPID(s.Processes[i].PID) {
				chosen = append(chosen, &s.Processes[i])
			}
		}
		return chosen
	}
	seen := map[int]bool{}
	for _, l := range s.leaders(match) {
		if !seen[l.PID] {
			seen[l.PID] = true
			chosen = append(chosen, s.Process(l.PID))
		}
	}
	return chosen
}

// depth reads processes in depth.
func (m Machine) depth(ctx context.Context, o Options, chosen []*Process) ([]details, error) {
	look, err := newDetailsReader(m, o.MaxCmdline)
	if err != nil {
		return nil, err
	}
	defer look.close()
	look.names = (o.Names || o.Memory) && !o.Cgroups
	timeout := o.CmdlineTimeout
	if timeout == 0 {
		timeout = 500 * time.Millisecond
	}
	all := make([]details, len(chosen))
	early := make([]atomic.Pointer[details], len(chosen))
	stuck := proc.Guarded(ctx, len(chosen), o.workers(), timeout, proc.ThreadAsleep, func(i int) func() {
		d := look.read(chosen[i], &early[i])
		return func() { all[i] = d }
	})
	for _, i := range stuck {
		if d := early[i].Load(); d != nil && m.has(chosen[i]) {
			all[i] = *d
		}
		if all[i].cmdline == nil {
			all[i].refuse("cmdline", errors.New("no answer within "+timeout.String()))
		}
	}
	return all, ctx.Err()
}

// leaders lists the leaders of the namespaces and sets that match wants, or all.
func (s *Snapshot) leaders(match Match) []*Leader {
	list := make([]*Leader, 0, len(s.Namespaces)+len(s.Sets))
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		if n.Leader != nil && match.HasNamespace(n.ID()) {
			list = append(list, n.Leader)
		}
	}
	for i := range s.Sets {
		if match.HasSet(&s.Sets[i]) {
			list = append(list, s.Sets[i].Leader)
		}
	}
	return list
}

type details struct {
	uid     *uint32
	nsPIDs  []int
	cmdline []string
	cut     bool // more arguments were not read
	cgroups []cgroupfs.Membership
	refused []Unreadable // without the PID
}

func (d *details) refuse(what string, err error) {
	d.refused = append(d.refused, Unreadable{What: what, Error: errorName(err)})
}

// detailsReader reads processes in depth, from several goroutines.
type detailsReader struct {
	dir     *os.File
	at      syscall.RawConn // of dir; Control fails once it is closed
	depth   proc.Depth      // of a live /proc
	readers sync.Pool
	names   bool         // cgroups are read, if they have not been
	most    int          // of a command line
	left    atomic.Int64 // for long command lines, of all together
}

// The bounds of command lines, in bytes as costOf counts them. A process can
// make its own terabytes long, and a machine can have thousands like it.
const (
	maxCmdline  = 128 << 10 // as long as one argument may be for execve(2)
	longCmdline = 1 << 10   // what every process may have
	allCmdlines = 16 << 20  // what those above that may have together
)

func newDetailsReader(m Machine, most int) (*detailsReader, error) {
	dir, live, err := m.open()
	if err != nil {
		return nil, err
	}
	if most <= 0 || most > maxCmdline {
		most = maxCmdline
	}
	at, err := dir.SyscallConn()
	if err != nil {
		dir.Close()
		return nil, err
	}
	l := &detailsReader{dir: dir, at: at, most: most}
	l.left.Store(allCmdlines)
	l.readers.New = func() any { return &proc.Reader{Captured: !live} }
	if live {
		l.depth, err = proc.OpenDepth(m.procDir())
	}
	return l, err
}

// close is not for those who were left behind: their reads end when they may.
func (l *detailsReader) close() { l.dir.Close() }

// open opens the directory of a process. A reader that was left behind may still
// ask when the directory of all is closed, and its number another file's by then.
func (l *detailsReader) open(r *proc.Reader, pid int) (at int, err error) {
	closed := l.at.Control(func(dir uintptr) {
		at, err = r.OpenDir(int(dir), linux.CString(strconv.Itoa(pid)), unix.O_PATH)
	})
	return at, cmp.Or(closed, err)
}

// read reads one process. The start time is read last: if it is still the
// scan's, then all that was read before was the same process's. The others keep
// what the scan has, without details. What comes before the command line, which
// may be waited for in vain, is published early.
func (l *detailsReader) read(p *Process, early *atomic.Pointer[details]) details {
	r := l.readers.Get().(*proc.Reader)
	defer l.readers.Put(r) // not before: a stuck one may still write to its buffer
	at, err := l.open(r, p.PID)
	if err != nil {
		return details{}
	}
	defer unix.Close(at)
	var d details
	if p.UID != nil { // the source has it
		d.uid, d.nsPIDs = p.UID, p.NSPIDs
	} else if r.Captured {
		text, err := r.ReadFile(at, statusPath)
		if err == nil {
			d.uid, d.nsPIDs = proc.ParseWho(string(text))
		} else if !proc.Gone(err) {
			d.refuse("status", err)
		}
	} else if uid, pids, err := l.depth.Who(p.PID); err == nil {
		d.uid, d.nsPIDs = &uid, pids
	} else if !proc.Gone(err) {
		d.refuse("status", err)
	}
	if p.KernelThread || p.State == Zombie {
		d.cmdline = []string{}
	}
	if l.names && p.Cgroups == nil {
		text, err := r.ReadFile(at, filesFromTask.cgroup)
		if err == nil {
			d.cgroups, err = cgroupfs.ParseMemberships(text)
		}
		if err != nil && !proc.Gone(err) {
			d.refuse("cgroup", err)
		}
	}
	known := d
	early.Store(&known)
	if d.cmdline == nil {
		if text, cut, err := l.cmdline(r, at); err == nil {
			d.cmdline, d.cut = parseCmdline(text), cut
		} else if !proc.Gone(err) {
			d.refuse("cmdline", err)
		}
	}
	if st, err := r.Stat(at, filesFromTask.stat); err != nil || st.StartTicks != p.StartTicks {
		return details{}
	}
	return d
}

// cmdline reads the text of a command line as far as its bounds allow, and says
// whether there is more.
func (l *detailsReader) cmdline(r *proc.Reader, at int) (text []byte, cut bool, err error) {
	text, cut, err = r.ReadSlow(at, cmdlinePath, l.most)
	if err != nil {
		return nil, false, err
	}
	n, cost := costOf(text, l.most)
	if above := int64(cost - longCmdline); above > 0 && l.left.Add(-above) < 0 {
		l.left.Add(above)
		n, _ = costOf(text, longCmdline)
	}
	return text[:n], cut || n < len(text), nil
}

// costOf says how much of a command line has room in so many bytes, and what it
// takes there: each argument takes some of its own, or a mebibyte of empty ones
// would take 16.
func costOf(text []byte, most int) (n, cost int) {
	const each = 16
	for i, c := range text {
		more := 1
		if c == 0 {
			more += each
		}
		if cost+more > most {
			return i, cost
		}
		cost += more
	}
	return len(text), cost
}
