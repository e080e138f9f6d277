package inspect

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// readDetails reads what Options.Details asks for and completes the leaders.
func (s *Snapshot) readDetails(ctx context.Context, o Options) error {
	if o.Details == NoDetails {
		return nil
	}
	proc := o.procfs()
	fs, err := procfs.NewFS(proc.Dir)
	if err != nil {
		return err
	}
	var chosen []*Process
	if o.Details == AllDetails {
		for i := range s.Processes {
			chosen = append(chosen, &s.Processes[i])
		}
	} else {
		seen := map[int]bool{}
		for _, l := range s.leaders() {
			if !seen[l.PID] {
				seen[l.PID] = true
				chosen = append(chosen, s.Process(l.PID))
			}
		}
	}

	timeout := o.CmdlineTimeout
	if timeout == 0 {
		timeout = 500 * time.Millisecond
	}
	all := make([]details, len(chosen))
	early := make([]atomic.Pointer[details], len(chosen))
	readers := sync.Pool{New: func() any { return new(procfsReader) }}
	stuck := guarded(ctx, len(chosen), o.workers(), timeout, threadAsleep, func(i int) func() {
		d := readDetails(fs, proc, &readers, chosen[i], &early[i])
		return func() { all[i] = d }
	})
	for _, i := range stuck {
		if d := early[i].Load(); d != nil && proc.isStill(chosen[i]) {
			all[i] = *d
		}
		if all[i].cmdline == nil {
			all[i].refused = "no answer within " + timeout.String()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	users := userNames(o.root())
	for i, p := range chosen {
		d := &all[i]
		p.UID, p.NSPIDs, p.Cmdline = d.uid, d.nsPIDs, d.cmdline
		if p.UID != nil {
			p.User = users[*p.UID]
			if p.User == "" {
				p.User = strconv.FormatUint(uint64(*p.UID), 10)
			}
		}
		if d.refused != "" {
			s.Unreadable = append(s.Unreadable, Unreadable{p.PID, "cmdline", d.refused})
		}
	}
	for _, l := range s.leaders() {
		p := s.Process(l.PID)
		l.UID, l.User, l.Cmdline = p.UID, p.User, p.Cmdline
	}
	return nil
}

// leaders lists the leaders of all namespaces and sets.
func (s *Snapshot) leaders() []*Leader {
	list := make([]*Leader, 0, len(s.Namespaces)+len(s.Sets))
	for i := range s.Namespaces {
		if l := s.Namespaces[i].Leader; l != nil {
			list = append(list, l)
		}
	}
	for i := range s.Sets {
		list = append(list, s.Sets[i].Leader)
	}
	return list
}

type details struct {
	uid     *uint32
	nsPIDs  []int
	cmdline []string
	refused string // why there is no cmdline
}

// readDetails reads one process in depth. The start time is read last: if it
// is still the scan's, then all that was read before was the same process's.
// The others keep what the scan has, without details. What comes before the
// command line, which may be waited for in vain, is published early.
func readDetails(fs procfs.FS, dir Procfs, readers *sync.Pool, p *Process, early *atomic.Pointer[details]) details {
	at, err := unix.Open(dir.join(strconv.Itoa(p.PID)), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return details{}
	}
	defer unix.Close(at)
	proc, err := fs.Proc(p.PID)
	if err != nil {
		return details{}
	}
	r := readers.Get().(*procfsReader)
	defer readers.Put(r) // not before: a stuck one may still write to its buffer
	var d details
	if status, err := proc.NewStatus(); err == nil {
		uid := uint32(status.UIDs[1])
		d.uid = &uid
		for _, pid := range status.NSpids {
			d.nsPIDs = append(d.nsPIDs, int(pid))
		}
	}
	if p.KernelThread || p.State == Zombie {
		d.cmdline = []string{}
	}
	known := d
	early.Store(&known)
	if d.cmdline == nil {
		if text, err := r.readFile(false, at, cmdlinePath); err == nil {
			d.cmdline = parseCmdline(text)
		} else if !vanished(err) {
			d.refused = errorName(err)
		}
	}
	if st, err := r.stat(taskDir{at, filesFromTask}); err != nil || st.startTicks != p.StartTicks {
		return details{}
	}
	return d
}

// isStill says that the process is the one of the scan.
func (p Procfs) isStill(process *Process) bool {
	at, err := unix.Open(p.join(strconv.Itoa(process.PID)), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(at)
	var r procfsReader
	st, err := r.stat(taskDir{at, filesFromTask})
	return err == nil && st.startTicks == process.StartTicks
}
