// Package enter runs commands, and Go functions, in the namespaces of other
// processes and in new ones.
//
//	target, err := inspect.Resolve(ctx, "5151")
//	…
//	plan, err := enter.NewPlan(enter.AllOf(target), enter.Options{})
//	…
//	defer plan.Close()
//	err = enter.Command(plan, "ip", "addr").Run()
//
// A Plan holds everything open that is needed before the first namespace is
// joined: afterwards no path can be trusted to mean what it meant. If one
// namespace cannot be joined, nothing is run.
//
// What runs in a target's mount namespace is the target's own code. By default
// it gets no more rights than the target has, it cannot reach this program or
// any of its files, and it ends with it: see Options.Privileged.
//
// Limits: a Go function can join all types but user and time namespaces, which
// the kernel lets only processes with a single thread join (setns(2)); Do ends
// in a *ThreadError for those. So does Command on other architectures than
// amd64 and arm64.
package enter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/linux"
)

// Request asks for one namespace: that of a type which a target is in, or is.
type Request struct {
	Type   inspect.Type
	Target *inspect.Target
}

// AllOf requests all namespaces of a process, or the one that the target is.
func AllOf(t *inspect.Target) []Request {
	if t.PID == 0 {
		return []Request{{t.ID.Type, t}}
	}
	requests := make([]Request, 0, inspect.NumTypes)
	for _, typ := range inspect.Types {
		requests = append(requests, Request{typ, t})
	}
	return requests
}

// Options say what a command gets besides namespaces. The zero value is what
// one expects of entering a container.
type Options struct {
	// Of is the process that TargetRoot, TargetDir and the ids are of; nil: the
	// one whose mount namespace, or else user namespace, is joined.
	Of *inspect.Target
	// Root is a directory of ours that becomes the root directory. Without it,
	// that is the root of the process whose mount namespace is joined, or, with
	// TargetRoot, of the target in any case. For the target's own code Root and Dir
	// are looked up inside: a directory of ours would lead it to our files.
	Root       string
	TargetRoot bool
	// Dir is a directory of ours that becomes the working directory, TargetDir
	// makes it the target's, and DirInside is a path to be looked up at last, in
	// the new root. Without them it stays what it is, or becomes the new root.
	Dir       string
	TargetDir bool
	DirInside string
	// UID and GID are who the command is, in the joined user namespace. If that
	// is joined and they are nil, they are 0 or, where 0 is not mapped, the
	// target's; otherwise they stay. KeepCredentials changes nothing at all.
	UID, GID *uint32
	// FollowUID and FollowGID make them the target's.
	FollowUID, FollowGID bool
	KeepCredentials      bool
	// KeepCaps lets the command keep capabilities although it is not root, as
	// ambient ones (capabilities(7)): those of the user namespace that is joined
	// or made, or else ours, as far as the target's bounding set goes.
	KeepCaps bool
	// UserParent joins the user namespace that owns the others, or, if one is
	// joined, its parent instead of that.
	UserParent bool
	// Privileged leaves the command our rights, environment, cgroups and keyring
	// when it is the target's own code, that is when the mount namespace or
	// TargetRoot is entered. By default it gets the capabilities, no_new_privs,
	// security label, seccomp filters, environment and cgroups of the process whose
	// mount namespace or root that is, or of one that is in it if a namespace is
	// named, and a new session keyring. It must not be run outside of that process's
	// user namespace, where capabilities mean more.
	Privileged bool
	// NoSeccomp leaves the target's seccomp filters out. To read them, the target
	// is stopped for some tenths of a millisecond (ptrace(2)), and that can be
	// seen: a call of it such as epoll_wait(2) may end with EINTR.
	NoSeccomp bool
	// OwnEnv gives a command that is the target's code our environment instead of
	// the target's. OwnCgroup leaves it in our cgroups, but for a devices hierarchy
	// of v1, and takes CAP_MKNOD away.
	OwnEnv, OwnCgroup bool
	// Cgroup starts a command of ours in the target's cgroups, Inside any in others.
	// That stays the caller's to close.
	Cgroup bool
	Inside *cgroupfs.Entrance
	// NoFork runs the command without a fork: it is then not itself in a joined
	// PID namespace, only its children are.
	NoFork bool
	// MountProc mounts a new /proc, for the joined PID namespace, in a mount
	// namespace of the command's own.
	MountProc bool
	// MountSys does what ip netns exec does, in a mount namespace of the command's
	// own: a new /sys, which shows the devices of the joined network namespace,
	// and, if ip netns has a name for that, the files of /etc/netns/NAME over
	// those of /etc. Of what is mounted below /sys only the cgroups stay.
	MountSys bool
	// New makes new namespaces, after the others are joined.
	New *New
	// HostTools leaves out the mount namespace, so that the command is ours with
	// our libraries, and the user namespace, so that the target cannot trace it. It
	// gives it a new /proc and, in the environment variable NSX_ROOT, a path of the
	// target's root directory.
	HostTools bool
}

// Plan says which namespaces will be joined, in which order, and which will
// not and why.
type Plan struct {
	Joins   []Join
	Skipped []Skip

	options Options
	of      *process
	root    *os.File // to become the root directory, nil: it stays
	rootOf  string   // whose it is, for people
	dir     *os.File // to become the working directory
	between ids      // who makes a new user namespace, in the joined one
	ids     ids
	rights  *rights            // nil: ours
	kept    uint64             // capabilities, of KeepCaps
	covers  []cover            // of MountSys
	inside  *cgroupfs.Entrance // the target's cgroups, to start in; nil: ours
	env     []string           // to be added to the command's
	// Of a command that is the target's code: its environment, nil for ours; the
	// cgroups that it has to be in.
	environ     []string
	newEnv      bool // that is a new one
	memberships []cgroupfs.Membership
	notes       []string
}

// Notes says what the command will not have although it was to be expected, a
// sentence each.
func (p *Plan) Notes() []string { return p.notes }

// process is what is kept of Options.Of.
type process struct {
	name   string
	pid    int
	status inspect.Status
}

// Join is a namespace that will be joined.
type Join struct {
	ID   inspect.ID
	From string // what the user named: "process 5151"
	file *os.File
	// pid is the process it is of and pidfd pins it; nil for a namespace file
	// or a thread.
	pid   int
	pidfd *os.File
	// added says that nobody has asked for it, but the target's own code must not
	// be outside of it.
	added bool
}

// Skip is a namespace that was requested and need not be joined.
type Skip struct {
	ID     inspect.ID
	From   string
	Reason string
}

// order is the order of joining one by one. The mount namespace comes last,
// since whatever is opened after it is the target's.
var order = [inspect.TypeLen]int{
	inspect.User: 0, inspect.Time: 1, inspect.PID: 2, inspect.Cgroup: 3,
	inspect.IPC: 4, inspect.UTS: 5, inspect.Net: 6, inspect.Mnt: 7,
}

// StartIn is Options.Inside for a plan that is made already: who makes a group for
// the command does that last, when there is least left to fail.
func (p *Plan) StartIn(group *cgroupfs.Entrance) { p.options.Inside = group }

// NewPlan opens the namespaces that are requested and differ from the
// caller's, and whatever else the options need. Later requests for a type
// replace earlier ones. Nothing is joined yet; the targets may be closed when
// NewPlan returns.
func NewPlan(requests []Request, o Options) (*Plan, error) {
	if err := o.New.check(); err != nil {
		return nil, err
	}
	const tries = 10 // a process in the middle of unshare(2) is soon done
	for try := 1; ; try++ {
		p := &Plan{options: o}
		err := p.build(requests)
		if err == nil {
			return p, nil
		}
		p.Close()
		if !errors.Is(err, ErrMoved) {
			return nil, err
		}
		if try == tries {
			return nil, &Error{What: "entering the target", Err: unix.EAGAIN, Why: "it was in other namespaces each time that it was looked at again: stop it first, or try again", Reason: ErrMoved}
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
}

func (p *Plan) build(requests []Request) error {
	if p.options.HostTools {
		requests = p.outside(requests)
	}
	var mnt, user *inspect.Target
	for i, r := range requests {
		replaced := slices.ContainsFunc(requests[i+1:], func(later Request) bool { return later.Type == r.Type })
		if replaced {
			continue
		}
		if err := p.add(r); err != nil {
			return err
		}
		switch {
		case r.Target.PID == 0 || !p.Has(r.Type):
		case r.Type == inspect.Mnt:
			mnt = r.Target
		case r.Type == inspect.User:
			user = r.Target
		}
	}
	if p.options.UserParent {
		if err := p.addParent(); err != nil {
			return err
		}
		user = nil
	}
	p.sortJoins()
	of := p.options.Of
	for _, t := range []*inspect.Target{mnt, user} {
		if of == nil {
			of = t
		}
	}
	if err := p.setProcess(of); err != nil {
		return err
	}
	if err := p.openDirs(of, mnt); err != nil {
		return err
	}
	if err := p.chooseIDs(of, user); err != nil {
		return err
	}
	if p.options.HostTools {
		if err := p.showRoot(of); err != nil {
			return err
		}
		if err := p.checkTracers(); err != nil {
			return err
		}
	}
	if err := p.chooseRights(of, mnt); err != nil {
		return err
	}
	if p.Untrusted() && user != nil && user != mnt {
		file, id, err := user.OpenNamespace(inspect.User)
		if err != nil || id != p.Joins[p.index(inspect.User)].ID {
			return ErrMoved // and the id maps are those of another one
		}
		file.Close()
	}
	p.chooseCaps()
	if err := p.findCovers(); err != nil {
		return err
	}
	if p.Has(inspect.Mnt) && p.options.Privileged {
		p.notes = append(p.notes, "the command is the target's own program, and has our rights")
	}
	if p.options.Cgroup && !p.Untrusted() {
		if of == nil {
			return usagef("joining cgroups: no process is named whose they are")
		}
		return p.openGroups(of)
	}
	return nil
}

func (p *Plan) sortJoins() {
	slices.SortFunc(p.Joins, func(a, b Join) int { return order[a.ID.Type] - order[b.ID.Type] })
}

// openGroups opens the target's group in every mounted hierarchy.
func (p *Plan) openGroups(t *inspect.Target) error {
	theirs, fs, err := groupsOf(t)
	if err == nil {
		p.inside, err = fs.OpenOf(theirs)
	}
	return err
}

// add opens one namespace.
func (p *Plan) add(r Request) error {
	own, err := ownNamespace(r.Type)
	if errors.Is(err, unix.ENOENT) {
		p.Skipped = append(p.Skipped, Skip{inspect.ID{Type: r.Type}, r.Target.Name(), "this kernel has no such namespaces"})
		return nil
	}
	if err != nil {
		return err
	}
	file, id, err := r.Target.OpenNamespace(r.Type)
	if err != nil {
		return explainOpen("the "+r.Type.String()+" namespace", r.Target, err)
	}
	j := Join{ID: id, From: r.Target.Name(), file: file}
	if skipped, err := p.skipOwn(j, own); skipped || err != nil {
		return err
	}
	if r.Target.TID == 0 && r.Target.PIDFD() >= 0 {
		j.pid = r.Target.PID
		if j.pidfd, err = dup(r.Target.PIDFD(), "pidfd"); err != nil {
			file.Close()
			return err
		}
	}
	p.Joins = append(p.Joins, j)
	return nil
}

// ownNamespace looks at the namespace that we are in. ENOENT: the kernel has none.
func ownNamespace(t inspect.Type) (os.FileInfo, error) {
	own, err := os.Stat("/proc/thread-self/ns/" + t.String())
	if err != nil {
		return nil, fmt.Errorf("looking at our own %s namespace: %w", t, err)
	}
	return own, nil
}

// skipOwn closes and skips a namespace that is our own.
func (p *Plan) skipOwn(j Join, own os.FileInfo) (bool, error) {
	theirs, err := j.file.Stat()
	if err != nil {
		j.file.Close()
		return false, fmt.Errorf("looking at %s: %w", j.ID, err)
	}
	if !os.SameFile(own, theirs) {
		return false, nil
	}
	j.file.Close()
	p.Skipped = append(p.Skipped, Skip{j.ID, j.From, "it is our own"})
	return true, nil
}

// addParent joins the user namespace that owns one of the others or, of a user
// namespace, its parent, which is its owner as well (user_namespaces(7)).
func (p *Plan) addParent() error {
	if len(p.Joins) == 0 {
		return errors.New("joining the user namespace above the others: there are no others")
	}
	i := p.index(inspect.User)
	of := p.Joins[max(i, 0)]
	what := "the user namespace above " + of.ID.String()
	own, err := ownNamespace(inspect.User)
	if err != nil {
		return err
	}
	fd, err := linux.NSUserns(int(of.file.Fd()))
	if err != nil {
		e := explained("opening "+what, err, "")
		if errors.Is(err, unix.EPERM) {
			e.Why, e.Reason = "our own user namespace is not above it, or there is none above", ErrPermission
		}
		return e
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return fmt.Errorf("looking at %s: %w", what, err)
	}
	j := Join{ID: inspect.ID{Type: inspect.User, Inode: st.Ino}, From: of.ID.String(), file: os.NewFile(uintptr(fd), what)}
	if i >= 0 {
		of.close()
		p.Joins = slices.Delete(p.Joins, i, i+1)
	}
	if skipped, err := p.skipOwn(j, own); skipped || err != nil {
		return err
	}
	p.Joins = append(p.Joins, j)
	return nil
}

// setProcess notes the process that the options mean.
func (p *Plan) setProcess(of *inspect.Target) error {
	if of == nil || of.PID == 0 {
		return nil
	}
	status, err := of.Status()
	if err != nil {
		return explainOpen("the status", of, err)
	}
	p.of = &process{name: of.Name(), pid: of.PID, status: status}
	return nil
}

// openDirs opens the root and working directory. setns(2) leaves us at the
// mount namespace's own root, which the process may never have seen
// (chroot(2), pivot_root(2)): so the process's root it is.
func (p *Plan) openDirs(of, mnt *inspect.Target) (err error) {
	o := p.options
	const how = unix.O_PATH | unix.O_DIRECTORY
	switch {
	case o.Root != "" && !p.Untrusted():
		p.root, err = openDir(o.Root)
		p.rootOf = o.Root
	case o.TargetRoot && of == nil, o.TargetDir && of == nil:
		return usagef("no process is named whose root or working directory it is")
	case o.TargetRoot:
		p.root, err = openOf(of, "root", how)
		p.rootOf = "the root of " + of.Name()
	case mnt != nil:
		p.root, err = openOf(mnt, "root", how)
		p.rootOf = "the root of " + mnt.Name()
	}
	if err != nil {
		return err
	}
	switch {
	case o.Dir != "" && !p.Untrusted():
		p.dir, err = openDir(o.Dir)
	case o.TargetDir:
		p.dir, err = openOf(of, "cwd", how)
	}
	return err
}

func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
}

func openOf(t *inspect.Target, name string, flags int) (*os.File, error) {
	f, err := t.Open(name, flags)
	if err != nil {
		return nil, explainOpen("the "+name, t, err)
	}
	return f, nil
}

func dup(fd int, name string) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(n), name), nil
}

// Has says whether a namespace of type t will be joined.
func (p *Plan) Has(t inspect.Type) bool { return p.index(t) >= 0 }

// index is where in Joins the namespace of a type is, -1 if it is not joined.
func (p *Plan) index(t inspect.Type) int {
	return slices.IndexFunc(p.Joins, func(j Join) bool { return j.ID.Type == t })
}

// Untrusted says that the command is the target's own code with the target's
// rights, which must not get hold of anything of ours.
func (p *Plan) Untrusted() bool {
	return (p.Has(inspect.Mnt) || p.options.TargetRoot) && !p.options.Privileged
}

// Close closes what the plan holds open. It may be called again.
func (p *Plan) Close() error {
	for _, j := range p.Joins {
		j.close()
	}
	p.root.Close()
	p.dir.Close()
	if p.inside != nil {
		p.inside.Close()
	}
	return nil
}

func (j Join) close() {
	j.file.Close()
	j.pidfd.Close() // nil is no harm
}
