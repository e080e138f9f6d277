package enter

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
)

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
