// Package enter runs commands, and Go functions, in the namespaces of other
// processes and in new ones.
//
//	target, err := inspect.Resolve(ctx, "5151")
//	…
//	plan, err := enter.NewPlan(ctx, enter.AllOf(target), enter.Options{})
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
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// Plan says which namespaces will be joined, in which order, and which will
// not and why.
type Plan struct {
	Joins   []Join
	Skipped []Skip

	options Options
	of      *process
	root    *os.File    // to become the root directory, nil: it stays
	rootOf  string      // whose it is, for people
	dir     *os.File    // to become the working directory
	between credentials // who makes a new user namespace, in the joined one
	ids     credentials
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

// process is what is kept of Options.Process.
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

// StartIn is Options.Cgroup for a plan that is made already: who makes a group for
// the command does that last, when there is least left to fail.
func (p *Plan) StartIn(group *cgroupfs.Entrance) { p.options.Cgroup = group }

// NewPlan opens the namespaces that are requested and differ from the
// caller's, and whatever else the options need. Later requests for a type
// replace earlier ones. Nothing is joined yet; the targets may be closed when
// NewPlan returns.
//
// It may look at every process of the machine, and a target with seccomp filters
// may take a second to be stopped: both end with the context, whose error that is.
func NewPlan(ctx context.Context, requests []Request, o Options) (*Plan, error) {
	if err := o.Unshare.check(); err != nil {
		return nil, err
	}
	for _, r := range requests {
		if r.Target == nil || !slices.Contains(inspect.Types[:], r.Type) {
			return nil, usagef("a namespace is requested of no target, or of no type")
		}
	}
	const tries = 10 // a process in the middle of unshare(2) is soon done
	for try := 1; ; try++ {
		p := &Plan{options: o}
		err := p.build(ctx, requests)
		if err == nil {
			return p, nil
		}
		p.Close()
		if ctx.Err() != nil || !errors.Is(err, ErrMoved) {
			return nil, interruption(ctx, err)
		}
		if try == tries {
			return nil, &Error{What: "entering the target", Err: unix.EAGAIN, Why: "it was in other namespaces each time that it was looked at again: stop it first, or try again", Reason: ErrMoved}
		}
		select {
		case <-time.After(time.Duration(try) * time.Millisecond):
		case <-ctx.Done():
			return nil, interruption(ctx, err)
		}
	}
}

func (p *Plan) build(ctx context.Context, requests []Request) error {
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
		case r.Target.PID == 0 || !p.WillJoin(r.Type):
		case r.Type == inspect.Mnt:
			mnt = r.Target
		case r.Type == inspect.User:
			user = r.Target
		}
	}
	if p.options.JoinOwner {
		if err := p.addParent(); err != nil {
			return err
		}
		user = nil
	}
	p.sortJoins()
	of := p.options.Process
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
		if err := p.checkTracers(ctx); err != nil {
			return err
		}
	}
	if err := p.chooseRights(ctx, of, mnt); err != nil {
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
	if p.WillJoin(inspect.Mnt) && p.options.Privileged {
		p.notes = append(p.notes, "the command is the target's own program, and has our rights")
	}
	if p.options.TargetCgroup && !p.Untrusted() {
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

// WillJoin says whether a namespace of type t will be joined.
func (p *Plan) WillJoin(t inspect.Type) bool { return p.index(t) >= 0 }

// index is where in Joins the namespace of a type is, -1 if it is not joined.
func (p *Plan) index(t inspect.Type) int {
	return slices.IndexFunc(p.Joins, func(j Join) bool { return j.ID.Type == t })
}

// Untrusted says that the command is the target's own code with the target's
// rights, which must not get hold of anything of ours.
func (p *Plan) Untrusted() bool {
	return (p.WillJoin(inspect.Mnt) || p.options.TargetRoot) && !p.options.Privileged
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
