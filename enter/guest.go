package enter

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// A guest is a command that is the target's own code. It is started in an order
// that docs/security.md argues step by step. In short: whatever could be used
// against us is given up before anybody of the target can see the helper, the
// target's filters sleep until the command has been executed, and then the
// process is looked at from outside before it runs.

// startGuest starts such a command, or only tries it.
func (c *Cmd) startGuest(ctx context.Context, files []*os.File, try bool) (*os.Process, error) {
	process, err := c.startGuestBy(ctx, files, try, true)
	if _, untraced := errors.AsType[*launcher.TraceError](err); untraced && !c.plan.filtered() {
		// Without filters nothing can answer in the kernel's place: so the look
		// from outside can be had at the helper's own word.
		process, err = c.startGuestBy(ctx, files, try, false)
	}
	return process, err
}

func (c *Cmd) startGuestBy(ctx context.Context, files []*os.File, try, traced bool) (*os.Process, error) {
	prog, attr, err := c.guestProgram(ctx, files, try, traced)
	if err != nil {
		return nil, err
	}
	process, err := launcher.Start(ctx, prog, attr)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return process, nil
}

// guestProgram is what the helper does to become such a command.
func (c *Cmd) guestProgram(ctx context.Context, files []*os.File, try, traced bool) (*launcher.Program, launcher.Attr, error) {
	attr := c.attr(files)
	// A copy of this process would run /proc/PID/exe, this program itself, in sight
	// of the target, which could write to it (CVE-2019-5736).
	attr.Way = launcher.Memfd
	for i, f := range files {
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, attr, refused(nil, "starting "+c.Path, unix.EISDIR, fmt.Sprintf("descriptor %d of the command would be a directory of ours (%s), by which the target gets at our files: redirect it, for example to /dev/null", i, f.Name()))
		}
	}
	proof, err := c.newProof(ctx, files)
	if err != nil {
		return nil, attr, err
	}
	p := c.plan
	prog := &launcher.Program{}
	p.groupSteps(prog, &attr)
	if traced {
		prog.Trace("tracing the helper", launcher.Tracing{
			Filters: p.filtered(),
			// Who may trace in our own user namespace may write to the memory of the
			// child, and would have it run without filters as long as they sleep.
			Awake: !p.WillJoin(inspect.User),
			Proof: func(pid int) error { return proof.check(ctx, pid, unix.Gettid()) },
		})
	}
	p.guestSteps(prog)
	if !p.options.NoFork {
		c.fork(prog)
	}
	prog.Setsid() // else /dev/tty is our terminal, whatever its files are
	if c.terminal != nil {
		prog.SetTerminal(launcher.Int(*c.terminal))
	}
	prog.DieWithParent(p.endSignal())
	if !traced {
		prog.Parent(proving, func(pid int) error { return proof.check(ctx, pid, 0) })
	}
	if try {
		prog.Exit(0)
	} else {
		c.exec(prog, attr.Env)
	}
	return prog, attr, nil
}

// SystemCalls lists the numbers of the system calls that are made to become a
// command that is the target's own code: those that a seccomp filter of the target
// can answer in the kernel's place. For any other command there are none to be told.
func (c *Cmd) SystemCalls(ctx context.Context) ([]uint64, error) {
	if !c.plan.Untrusted() {
		return nil, nil
	}
	prog, _, err := c.guestProgram(ctx, nil, false, true)
	if err != nil {
		return nil, err
	}
	return prog.Calls(), nil
}

// guestSteps is what the helper does before the command's process is born.
func (p *Plan) guestSteps(prog *launcher.Program) {
	r := p.rights
	// While /proc, the keyrings and the user namespace are ours.
	prog.NewSessionKeyring()
	prog.NotDumpable()
	r.before(prog)
	// Here, for a user namespace may deny it: root's groups would stay.
	groups := dropGroups(prog)
	if !p.dropsGroups() {
		groups.Ignore()
	}
	p.joinSteps(prog)
	if p.root != nil {
		prog.Fchdir("going to "+p.rootOf, prog.File(p.root))
		// Before chroot(2), after which the working directory is below the root in
		// any case.
		prog.CheckDir("looking at the root directory").Explain(func(step *launcher.StepError) error {
			return explained("going to "+p.rootOf, step.Errno, "it is not in the mount namespace that is joined, or is removed")
		})
		p.rootSteps(prog)
	}
	if p.dir != nil {
		prog.Fchdir("going to the working directory", prog.File(p.dir))
	}
	prog.CloseFiles() // before a name is looked up inside
	o := &p.options
	if o.Root != "" {
		prog.Chdir(o.Root)
		prog.ChrootHere("changing the root to " + o.Root)
	}
	for _, dir := range []string{o.Dir, o.DirInside} {
		if dir != "" {
			prog.Chdir(dir)
		}
	}
	p.checkDir(prog)
	// setns(2) with a user namespace has filled these sets.
	prog.BoundingSet(r.bounding)
	prog.AmbientSet(0)
	if r.noNewPrivs {
		prog.NoNewPrivileges()
	}
	for _, filter := range r.filters {
		prog.Seccomp(filter) // with CAP_SYS_ADMIN, which goes now
	}
	if p.ids.dropGroups && !p.dropsGroups() {
		dropGroups(prog).Ignore() // an ordinary user may, in a user namespace that allows it
	}
	p.ids.setgid(prog)
	if p.kept != 0 {
		prog.KeepCapabilities()
	}
	p.ids.setuid(prog)
	// No less than execve(2) will give, if it can be: a process that gains
	// permitted capabilities by that loses PR_SET_PDEATHSIG (commit_creds in
	// kernel/cred.c).
	now := p.permitted(true)
	prog.Capabilities(now, now, p.kept)
	prog.AmbientSet(p.kept)
}
