package enter

import (
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// setns adds the step that joins it.
func (j Join) setns(prog *launcher.Program) launcher.Step {
	return prog.Setns("join "+j.ID.String(), prog.File(j.file), j.ID.Type.CloneFlag()).
		Explain(func(step *launcher.StepError) error { return j.explain(step.Errno) })
}

// oneProcess is the pidfd and the CLONE_NEW* mask, if all namespaces are of one
// process: then a single setns(2) does it (Linux 5.8). The kernel checks each
// against the rights from before, so that no order has to be found, and joins
// all or none.
func (p *Plan) oneProcess() (pidfd *os.File, mask int) {
	for _, j := range p.Joins {
		if j.pidfd == nil || j.pid != p.Joins[0].pid {
			return nil, 0
		}
		mask |= j.ID.Type.CloneFlag()
	}
	if len(p.Joins) < 2 {
		return nil, 0
	}
	return p.Joins[0].pidfd, mask
}

// joinSteps joins the namespaces.
//
// Namespace by namespace, root has to join the user namespace last, because in
// it root has no rights over the others any more, and its owner has to join it
// first, because it is the user namespace that gives the rights. Both work in
// three passes: all except the user namespace as far as allowed, the user
// namespace, and then those that were refused.
func (p *Plan) joinSteps(prog *launcher.Program) {
	if pidfd, mask := p.oneProcess(); pidfd != nil && (!p.Untrusted() || !linux.HasCapability(unix.CAP_SYS_ADMIN)) {
		// A pidfd joins what the process is in by then. For the target's code and
		// root, it has to be what was looked at. An ordinary user may need the
		// kernel to check all against his rights from before, and the look from
		// outside tells where the command is.
		prog.Setns("join", prog.File(pidfd), mask).Explain(p.explainJoin)
		return
	}
	if !p.WillJoin(inspect.User) {
		for _, j := range p.Joins {
			j.setns(prog)
		}
		return
	}
	results := make([]launcher.Slot, len(p.Joins))
	for i, j := range p.Joins {
		results[i] = prog.Slot(1)
		if j.ID.Type != inspect.User {
			j.setns(prog).Ignore().Into(results[i])
		}
	}
	for _, j := range p.Joins {
		if j.ID.Type == inspect.User {
			j.setns(prog)
		}
	}
	for i, j := range p.Joins {
		if j.ID.Type == inspect.User {
			continue
		}
		joined := prog.Label()
		prog.JumpIf(results[i].Value(), ^uint64(0), 0, joined)
		j.setns(prog)
		prog.Place(joined)
	}
}

// explainJoin says why several namespaces could not be joined at once. The one to
// blame is one that we have no right to; if there is none that can be seen, the
// first stands for all.
func (p *Plan) explainJoin(step *launcher.StepError) error {
	blame, err := p.Joins[0], step.Errno
	for _, j := range p.Joins {
		if err == unix.EPERM && !p.mayJoin(j) ||
			err == unix.EINVAL && (j.ID.Type == inspect.PID || j.ID.Type == inspect.User) {
			blame = j
			break
		}
	}
	if err == unix.ESRCH {
		return exited("joining the namespaces of "+blame.From, err)
	}
	return blame.explain(err)
}
