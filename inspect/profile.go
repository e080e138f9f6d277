package inspect

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"nsx/cgroupfs"
	"nsx/identity"
)

// Profile is what can be found out about one process, namespace or group. What does
// not apply to it, or is not known, is nil or empty; what of it could not be read is
// in Unreadable.
type Profile struct {
	// Target is the word, and Kind what it names.
	Target string      `json:"target"`
	Kind   ProfileKind `json:"kind"`

	// Host and Kernel are the machine's host name and kernel release.
	Host      string    `json:"host"`
	Kernel    string    `json:"kernel"`
	ScannedAt time.Time `json:"scanned_at"`
	// Complete says that nothing was refused; what was is in Unreadable, and in that of
	// Limits and Groups.
	Complete   bool         `json:"complete"`
	Unreadable []Unreadable `json:"unreadable"`

	// Identity is whose it is, nil if nobody's.
	Identity *identity.Identity `json:"identity"`
	// Process is the one that all below is about: the target itself, the oldest of its
	// processes, or the leader of a namespace. nil if there is none.
	Process *Process `json:"process"`
	// Thread is that of the process which the target names, if it names one.
	Thread *Thread `json:"thread,omitempty"`
	// AgeSeconds is since when the process has been running.
	AgeSeconds *float64 `json:"age_seconds"`
	// PIDs are the processes that the target names.
	PIDs []int `json:"pids"`

	// Namespaces are the process's, or the one that is named.
	Namespaces []NamespaceFacts `json:"namespaces"`
	// UserNamespaces are the process's (of a namespace: its owner) and those above it,
	// the innermost first.
	UserNamespaces []UserLevel `json:"user_namespaces"`
	// PIDNamespaces are those in which the process has a number, its own first.
	PIDNamespaces []PIDLevel `json:"pid_namespaces"`
	// Rights are what the process may do.
	Rights *Rights `json:"rights"`
	// Groups are the process's cgroup, or the one that is named, with its use: several
	// where the hierarchies of v1 have the process in different ones. Limits are those
	// that bind there.
	Groups []GroupUse        `json:"groups"`
	Limits *cgroupfs.Binding `json:"limits"`
	// Network is what is in the process's network namespace, if that is not the boot's, or
	// in the one that is named.
	Network *NetworkFacts `json:"network"`
	// Files is what is mounted where the process is.
	Files *Files `json:"files"`
	// Descriptors are those of the process that are of namespaces it is not in.
	Descriptors []OpenNamespace `json:"descriptors"`
}

// ProfileKind says what a Profile is of.
type ProfileKind string

// The kinds of Profile.
const (
	OfProcess   ProfileKind = "process" // or of several with one name
	OfNamespace ProfileKind = "namespace"
	OfGroup     ProfileKind = "group"
)

// OpenNamespace is a namespace that a descriptor or a socket of a process is of.
type OpenNamespace struct {
	ID ID `json:"namespace"`
	Holder
}

// miss notes that something could not be read.
func (p *Profile) miss(pid int, what string, err error) {
	p.Unreadable = append(p.Unreadable, Unreadable{pid, what, errorName(err)})
}

// Profile finds out all that can be about what a word names (see ParseRef): the
// process, or the oldest one if it names several; a namespace, with its leader; a
// cgroup, even where no process is in it. A word that is none is ErrUsage; one that
// names nothing that is there, ErrGone.
func (m Machine) Profile(ctx context.Context, word string) (*Profile, error) {
	ref, err := ParseRef(word)
	if err != nil {
		return nil, err
	}
	s, match, err := m.Find(ctx, []string{word}, Options{
		Relations: true, Binds: true, Cgroups: true, Sets: true, Names: true, ForChildren: true,
		Details: LeaderDetails, Threads: ref.TID != 0, Holders: isNamespace(ref, Match{}),
	})
	if pid := m.refused(s, ref); err != nil && pid != 0 {
		match, err = Match{PIDs: []int{pid}}, nil // there is more to know about it
	}
	if err != nil {
		if (ref.Kind == RefCgroup || ref.Kind == RefUnit) && errors.Is(err, ErrGone) {
			return m.profileOfEmptyGroup(ctx, word, err)
		}
		return nil, err
	}
	p := &Profile{
		Target: word, Kind: OfProcess, Host: s.Host, Kernel: s.Kernel, ScannedAt: s.ScannedAt,
		Unreadable: []Unreadable{}, PIDs: match.PIDs,
		Namespaces: []NamespaceFacts{}, UserNamespaces: []UserLevel{}, PIDNamespaces: []PIDLevel{}, Descriptors: []OpenNamespace{}, Groups: []GroupUse{},
	}
	l := &look{machine: m, snapshot: s, profile: p, ref: ref, live: m.isLive()}
	switch {
	case isNamespace(ref, match):
		p.Kind = OfNamespace
		err = l.ofNamespace(ctx, match.Namespaces[0])
	default:
		if ref.Kind == RefCgroup || ref.Kind == RefUnit {
			p.Kind = OfGroup
		}
		err = l.ofProcess(ctx, l.oldest())
	}
	if err != nil {
		return nil, err
	}
	l.strangers()
	p.settle(s.Hidden)
	return p, ctx.Err()
}

// settle draws the end.
func (p *Profile) settle(hidden string) {
	p.Complete = len(p.Unreadable) == 0 && hidden == "" && (p.Limits == nil || p.Limits.Complete) &&
		!slices.ContainsFunc(p.Groups, func(g GroupUse) bool { return g.Use != nil && !g.Use.Complete })
}

// refused is the process that a word names by its number, if the snapshot has it and
// not its namespaces.
func (m Machine) refused(s *Snapshot, ref Ref) int {
	if s == nil || ref.Kind != RefProcess || ref.TID != 0 {
		return 0
	}
	if p := s.Process(ref.PID); p == nil || p.NS != (NSSet{}) || m.checkNumber(ref) != nil {
		return 0
	}
	return ref.PID
}

// strangers adds what could not be read of others, where they may share a namespace
// with the target. Kernel threads are in those of the boot, and so is its first process.
func (l *look) strangers() {
	initial := true
	for i := range l.profile.Namespaces {
		initial = initial && l.profile.Namespaces[i].IsInitial()
	}
	if initial && l.profile.Kind != OfNamespace {
		return
	}
	for _, u := range l.snapshot.Unreadable {
		p := l.snapshot.Process(u.PID)
		known := !initial && (u.PID == 1 && l.snapshot.isBoots() || p != nil && p.KernelThread)
		if l.process != nil && u.PID == l.process.PID || known {
			continue
		}
		l.profile.Unreadable = append(l.profile.Unreadable, u)
	}
}

// isNamespace says that a word names a single namespace, and no process. A bare name
// is either: no process is in one namespace alone.
func isNamespace(ref Ref, match Match) bool {
	switch ref.Kind {
	case RefNamespace, RefFile, RefNetns:
		return true
	case RefName:
		return len(match.Namespaces) == 1
	}
	return false
}

// look gathers a Profile.
type look struct {
	machine  Machine
	snapshot *Snapshot
	profile  *Profile
	ref      Ref
	live     bool
	process  *Process
	own      NSSet // of the process, or of its thread
	files    *processFiles
}

// oldest is the process of those that the target names which everything is about:
// never ourselves where there is another.
func (l *look) oldest() *Process {
	self, _ := l.machine.self()
	rank := func(p *Process) int {
		switch {
		case p.State == Zombie:
			return 0
		case p.PID == self:
			return 1
		}
		return 2
	}
	var best *Process
	for _, pid := range l.profile.PIDs {
		p := l.snapshot.Process(pid)
		switch {
		case p == nil:
		case best == nil, rank(p) > rank(best), rank(p) == rank(best) && p.StartTicks < best.StartTicks:
			best = p
		}
	}
	return best
}

func (l *look) ofProcess(ctx context.Context, process *Process) error {
	if process == nil {
		return gonef("no living process is in %s", l.profile.Target)
	}
	if err := l.open(process); err != nil {
		return err
	}
	defer l.files.close()
	p := l.profile
	for _, u := range l.snapshot.Unreadable {
		if u.PID == process.PID {
			p.Unreadable = append(p.Unreadable, u)
		}
	}
	if err := l.details(ctx); err != nil {
		return err
	}
	if err := l.namespaces(ctx); err != nil {
		return err
	}
	l.userNamespaces(l.own[User])
	l.pidNamespaces()
	l.rights()
	l.groups(ctx)
	l.mounts()
	l.descriptors()
	if err := l.network(ctx); err != nil {
		return err
	}
	if !l.files.isStill(process) {
		return noProcess(process.PID)
	}
	p.Identity = process.Identity
	return ctx.Err()
}

// open opens the process's directory and makes sure that it is this process's.
func (l *look) open(process *Process) (err error) {
	l.process, l.own = process, process.NS
	if l.ref.TID != 0 && l.ref.TID != process.PID {
		i := slices.IndexFunc(process.Threads, func(t Thread) bool { return t.TID == l.ref.TID })
		if i >= 0 {
			l.profile.Thread, l.own = &process.Threads[i], process.Threads[i].NS
		}
	}
	tid := 0
	if l.profile.Thread != nil {
		tid = l.profile.Thread.TID
	}
	if l.files, err = l.machine.openProcess(process.PID, tid, l.live); err == nil && !l.files.isStill(process) {
		l.files.close()
		err = noProcess(process.PID)
	}
	if err != nil {
		l.files, l.process = nil, nil
	}
	return err
}

// details completes what is shown of the process itself.
func (l *look) details(ctx context.Context) error {
	p := l.process
	l.profile.Process = p
	if p.Identity == nil {
		if err := l.machine.identify(ctx, l.snapshot, Options{Names: true, Cgroups: true}, []*Process{p}); err != nil {
			return err
		}
	}
	if p.Cmdline == nil || p.NSPIDs == nil {
		s := &Snapshot{Processes: []Process{*p}}
		if err := l.machine.readDetails(ctx, s, Options{Details: AllDetails}, everything); err != nil {
			return err
		}
		d := &s.Processes[0]
		p.UID, p.User, p.Cmdline, p.CmdlineCut, p.NSPIDs = d.UID, d.User, d.Cmdline, d.CmdlineCut, d.NSPIDs
		l.profile.Unreadable = append(l.profile.Unreadable, s.Unreadable...)
	}
	uptime, _, _ := strings.Cut(l.machine.readText("uptime"), " ")
	if seconds, err := strconv.ParseFloat(uptime, 64); err == nil {
		const ticks = 100 // USER_HZ, which is the same everywhere
		age := max(seconds-float64(p.StartTicks)/ticks, 0)
		l.profile.AgeSeconds = &age
	}
	return nil
}

func (l *look) ofNamespace(ctx context.Context, id ID) error {
	n := l.snapshot.Namespace(id)
	if n == nil {
		return l.snapshot.noNamespace(l.ref)
	}
	p := l.profile
	p.Identity = n.Identity
	if n.Leader != nil {
		if process := l.snapshot.Process(n.Leader.PID); process != nil && process.State != Zombie {
			if err := l.open(process); err != nil && !errors.Is(err, ErrGone) {
				return err
			}
		}
	}
	if l.files != nil {
		defer l.files.close()
		if err := l.details(ctx); err != nil {
			return err
		}
	}
	l.own = NSSet{}
	l.own[id.Type] = id.Inode
	if err := l.namespaces(ctx); err != nil {
		return err
	}
	owner := n.Owner
	if id.Type == User {
		owner = &id.Inode
	}
	if owner != nil {
		l.userNamespaces(*owner)
	}
	if id.Type == Mnt && l.files != nil {
		l.mounts()
	}
	if err := l.network(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// profileOfEmptyGroup is of a group that no process is in.
func (m Machine) profileOfEmptyGroup(ctx context.Context, word string, gone error) (*Profile, error) {
	group, err := m.Group(ctx, word)
	if err != nil {
		return nil, gone
	}
	if there, err := group.Exists(); err != nil || !there {
		return nil, gone
	}
	p := &Profile{
		Target: word, Kind: OfGroup, ScannedAt: time.Now().UTC().Truncate(time.Millisecond), Unreadable: []Unreadable{}, PIDs: []int{},
		Namespaces: []NamespaceFacts{}, UserNamespaces: []UserLevel{}, PIDNamespaces: []PIDLevel{}, Descriptors: []OpenNamespace{}, Groups: []GroupUse{},
	}
	p.Host, p.Kernel = m.hostAndKernel()
	if id, ok := identity.Of([]string{group.Path()}, nil); ok {
		p.Identity = &id
	}
	p.addGroup(ctx, group)
	if binding, err := group.Effective(ctx); err == nil {
		p.Limits = &binding
	} else {
		p.miss(0, "limits", err)
	}
	p.settle("")
	return p, ctx.Err()
}
