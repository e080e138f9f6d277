package enter

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// steps brings the helper to where a command of ours will run, and changes who it
// is. For the target's own code see guestSteps.
func (c *Cmd) steps(ctx context.Context, prog *launcher.Program, b *binds) {
	p := c.plan
	n := p.options.Unshare
	if n == nil && !p.plain() {
		prog.NotDumpable()
	}
	p.joinSteps(prog)
	p.betweenSteps(prog)
	n.userSteps(ctx, prog, p.userNS())
	n.timeSteps(prog)
	if n != nil {
		prog.NotDumpable() // before, an ordinary user could not have written id maps and offsets
	}
	p.dirSteps(prog)
	// A new mount namespace takes root and working directory along.
	n.otherSteps(prog, b, p.root != nil)
	if p.options.MountProc || p.options.MountSys {
		prog.Unshare("unshare(CLONE_NEWNS)", unix.CLONE_NEWNS).Explain(because(explainUnshare(inspect.Mnt)))
		prog.Mount("making our mounts private", "none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	p.insideSteps(prog)
	p.sysSteps(prog)
	// What takes rights is done before the fork, if it can be: the helper is not
	// in the PID namespace and cannot be seen there, its child is.
	late := p.options.MountProc || n != nil
	if !late {
		p.giveUp(prog)
	}
	if p.forks() {
		c.fork(prog)
	}
	n.childSteps(prog, b, p.root != nil)
	if p.options.MountProc {
		prog.Mount("mounting /proc", "proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
			Explain(onErrno(unix.ENOENT, "there is no directory /proc below the root directory", nil))
	}
	if late {
		p.giveUp(prog)
	}
}

// giveUp takes away the rights and then the ids that the command must not have.
func (p *Plan) giveUp(prog *launcher.Program) {
	if p.kept != 0 {
		prog.KeepCapabilities()
	}
	p.ids.steps(prog)
	if p.kept != 0 {
		// Changing to a uid that is not 0 has emptied the effective set.
		prog.Capabilities(p.kept, p.kept, p.kept)
		prog.AmbientSet(p.kept)
	}
}

// lastSteps becomes the command, or ends where that would begin.
func (c *Cmd) lastSteps(prog *launcher.Program, env []string, try bool) {
	prog.DieWithParent(c.plan.endSignal())
	if try {
		prog.Exit(0)
		return
	}
	c.exec(prog, env)
}

// exec becomes the command.
func (c *Cmd) exec(prog *launcher.Program, env []string) {
	prog.Exec(c.Path, strings.Join(searchPath(env), ":")).Explain(func(step *launcher.StepError) error {
		if step.Faked() {
			return refused(ErrFiltered, "starting "+c.Path, unix.EPERM, "the target's seccomp filter forbids execve(2), and says that it has been carried out")
		}
		return &ExecError{c.Path, c.plan.root != nil, step.Errno, step.NoLoader, c.plan.rights.context()}
	})
}

// fork makes the command's own process.
func (c *Cmd) fork(prog *launcher.Program) {
	what := "starting " + c.Path
	prog.Fork().Explain(func(step *launcher.StepError) error {
		if refused := c.plan.groupRefusal(step); refused != nil {
			return refused
		}
		switch step.Errno {
		case unix.ENOMEM:
			return &Error{What: what, Err: step.Errno, Reason: ErrEnded, Why: "the PID namespace has lost its init, so nothing can be started in it any more; this is not about memory"}
		case unix.EAGAIN:
			return &Error{What: what, Err: step.Errno, Reason: ErrLimit, Why: processLimits}
		}
		return nil
	})
}

// endSignal is what the command gets when we end.
func (p *Plan) endSignal() unix.Signal {
	if n := p.options.Unshare; n != nil && n.KillSignal != 0 {
		return n.KillSignal
	}
	return unix.SIGKILL
}

// plain says that the command is our own program, in our own file systems, with
// our own rights, and only joins namespaces in which nobody can see its process who
// could not see ours before.
func (p *Plan) plain() bool {
	o := &p.options
	if o.Unshare != nil || o.MountProc || o.MountSys || p.root != nil || p.dir != nil || p.entrance() != nil || p.ids.any() {
		return false
	}
	return !slices.ContainsFunc(p.Joins, func(j Join) bool {
		return !slices.Contains([]inspect.Type{inspect.Net, inspect.UTS, inspect.IPC, inspect.Cgroup}, j.ID.Type)
	})
}
