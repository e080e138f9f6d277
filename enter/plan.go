// Package enter runs commands, and Go functions, in the namespaces of other
// processes.
//
//	target, err := inspect.Resolve(ctx, "5151", inspect.Options{})
//	…
//	plan, err := enter.NewPlan(enter.AllOf(target))
//	…
//	defer plan.Close()
//	err = enter.Command(plan, "ip", "addr").Run()
//
// A Plan holds everything open that is needed before the first namespace is
// joined: afterwards no path can be trusted to mean what it meant. If one
// namespace cannot be joined, nothing is run.
//
// Limits: the kernel lets only a process with a single thread join a user or
// time namespace (setns(2)), and a Go program has several. Plans with one of
// these two types end in a *ThreadError.
package enter

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

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

// Plan says which namespaces will be joined, in which order, and which will
// not and why.
type Plan struct {
	Joins   []Join
	Skipped []Skip
	// root is the root directory of the process whose mount namespace is
	// joined. setns(2) would leave us at the namespace's own root, which the
	// process may never have seen (chroot(2), pivot_root(2)).
	root *os.File
}

// Join is a namespace that will be joined.
type Join struct {
	ID   inspect.ID
	From string // what the user named: "process 5151"
	file *os.File
}

// Skip is a namespace that was requested and need not be joined.
type Skip struct {
	ID     inspect.ID
	From   string
	Reason string
}

// order is the order of joining on a thread. The mount namespace comes last,
// since whatever is opened after it is the target's.
var order = [inspect.NumTypes]int{
	inspect.User: 0, inspect.Time: 1, inspect.PID: 2, inspect.Cgroup: 3,
	inspect.IPC: 4, inspect.UTS: 5, inspect.Net: 6, inspect.Mnt: 7,
}

// NewPlan opens the namespaces that are requested and differ from the
// caller's. Later requests for a type replace earlier ones. Nothing is joined
// yet; the targets may be closed when NewPlan returns.
func NewPlan(requests []Request) (*Plan, error) {
	p := &Plan{}
	for i, r := range requests {
		replaced := slices.ContainsFunc(requests[i+1:], func(later Request) bool { return later.Type == r.Type })
		if replaced {
			continue
		}
		if err := p.add(r); err != nil {
			p.Close()
			return nil, err
		}
	}
	slices.SortFunc(p.Joins, func(a, b Join) int { return order[a.ID.Type] - order[b.ID.Type] })
	return p, nil
}

func (p *Plan) add(r Request) error {
	own, err := os.Stat("/proc/thread-self/ns/" + r.Type.String())
	if errors.Is(err, unix.ENOENT) {
		p.Skipped = append(p.Skipped, Skip{inspect.ID{Type: r.Type}, r.Target.Name(), "this kernel has no such namespaces"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at our own %s namespace: %w", r.Type, err)
	}
	file, id, err := r.Target.OpenNamespace(r.Type)
	if err != nil {
		return explainOpen(r, err)
	}
	theirs, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("looking at %s: %w", id, err)
	}
	if os.SameFile(own, theirs) {
		file.Close()
		p.Skipped = append(p.Skipped, Skip{id, r.Target.Name(), "it is our own"})
		return nil
	}
	p.Joins = append(p.Joins, Join{id, r.Target.Name(), file})
	if r.Type == inspect.Mnt && r.Target.PID != 0 {
		if p.root, err = r.Target.Open("root", unix.O_PATH|unix.O_DIRECTORY); err != nil {
			return explainOpen(r, err)
		}
	}
	return nil
}

// Has says whether a namespace of type t will be joined.
func (p *Plan) Has(t inspect.Type) bool {
	return slices.ContainsFunc(p.Joins, func(j Join) bool { return j.ID.Type == t })
}

// Close closes what the plan holds open. It may be called again.
func (p *Plan) Close() error {
	for _, j := range p.Joins {
		j.file.Close()
	}
	if p.root != nil {
		p.root.Close()
	}
	return nil
}

// explainOpen says why a target's namespace could not be opened.
func explainOpen(r Request, err error) error {
	what := fmt.Sprintf("opening the %s namespace of %s: %s", r.Type, r.Target.Name(), linux.ErrnoText(err))
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT) && !r.Target.Alive():
		return &Error{what + ": it has exited", err}
	case errors.Is(err, unix.ENOENT):
		return &Error{what + ": it is a zombie, which has exited and keeps only its user and PID namespace", err}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return &Error{what + ": it takes the right to trace the process (CAP_SYS_PTRACE in its user namespace, and no security module against it): run as root or as the process's user", err}
	default:
		return &Error{what, err}
	}
}
