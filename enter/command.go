package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// Cmd is a command to be run in the namespaces of a plan. It is used like
// os/exec's.
type Cmd struct {
	// Name is the command: a path, or a name that is looked for in PATH. Both
	// are looked up where the command will run.
	Name string
	// Args are its arguments, without the name.
	Args []string
	// Env is its environment; nil means the caller's or, for the target's own code,
	// the target's: see Options.OwnEnv.
	Env []string
	// Stdin, Stdout and Stderr are its standard files; nil means the caller's
	// /dev/null. It gets no other descriptors.
	Stdin, Stdout, Stderr *os.File
	// Inherited is what this process was started with and the command inherits,
	// as over execve(2); nil: what this process has, as far as Go leaves it alone.
	Inherited *Inherited
	// Signals are for Accompany; nil: it catches them itself.
	Signals *Signals

	plan    *Plan
	process *os.Process
	// terminal is which of its files becomes the controlling terminal of a
	// session of its own; nil: it stays in ours.
	terminal *int
	// ctx ends when the start is to be given up; nil: never.
	ctx context.Context
}

// Inherited is what a command inherits over execve(2) and Go's runtime changes in
// a process of its own: ignored and blocked signals, the limit on open files.
type Inherited = launcher.Inherited

// Command returns a Cmd for the plan, which has to stay open until it has
// started.
func Command(p *Plan, name string, args ...string) *Cmd {
	return &Cmd{plan: p, Name: name, Args: args}
}

// ExitError says that the command ran and ended with a status other than 0.
type ExitError struct {
	State *os.ProcessState
}

func (e *ExitError) Error() string { return e.State.String() }

// Code is the status as a shell has it: 128+N if signal N ended the command.
func (e *ExitError) Code() int {
	if status, ok := e.State.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.State.ExitCode()
}

// ExecError says that the command was not started although all namespaces were
// joined: there is no such command, if NotFound says so, or else it cannot be
// executed. errors.Is finds the errno of execve(2) in it.
type ExecError struct {
	Name string
	// InTarget says that it was looked for in the target's file system.
	InTarget bool
	Err      error

	found bool // the file is there
}

func (e *ExecError) Error() string {
	where := "on this host"
	if e.InTarget {
		where = "in the target's file system"
	}
	why := ""
	switch {
	case e.found:
		why = "the interpreter or loader that it names is missing " + where
	case e.NotFound():
		return fmt.Sprintf("running %s: there is no such command %s: %s", e.Name, where, linux.ErrnoText(e.Err))
	case errors.Is(e.Err, unix.ENOEXEC):
		why = "it is no program for this machine, or a script without a #! line and there is no /bin/sh"
	case errors.Is(e.Err, unix.EACCES):
		why = "it is not executable " + where
	}
	return explained("running "+e.Name, e.Err, why).Error()
}

// Unwrap is the error of execve(2).
func (e *ExecError) Unwrap() error { return e.Err }

// NotFound says that there is no such command.
func (e *ExecError) NotFound() bool {
	return !e.found && (errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ENOTDIR))
}

// Start starts the command. It is killed when the calling process ends, and
// when the calling thread does: do not call Start from a goroutine that is
// locked to its thread (runtime.LockOSThread) and ends before the command.
func (c *Cmd) Start() error { return c.start(false) }

// Try does everything that Start does but run the command: the kernel's word
// on whether that would work.
func (c *Cmd) Try() error { return c.start(true) }

func (c *Cmd) start(try bool) error {
	if c.process != nil {
		return errors.New("enter: the command was started before")
	}
	if launcher.Supported() != nil {
		return c.startOnThread(try)
	}
	if c.plan.Untrusted() {
		return c.startGuest(try)
	}
	null, err := c.openNull()
	if err != nil {
		return err
	}
	defer null.Close() // also if it is nil
	attr := launcher.Attr{
		Argv: append([]string{c.Name}, c.Args...), Env: c.environ(), Files: c.files(null), Inherited: c.Inherited,
		// Nothing of ours is taken into a target's mount namespace.
		KeepOpen: !c.plan.Has(inspect.Mnt) && !c.plan.options.TargetRoot,
	}
	if c.plan.plain() {
		attr.Way = launcher.Vfork
	}
	prog := &launcher.Program{}
	c.plan.groupSteps(prog, &attr)
	kept := &binds{}
	if n := c.plan.options.New; n != nil && !try {
		kept.files = n.Bind
	}
	if _, keep := kept.files[inspect.Mnt]; keep {
		outrun("/proc/self/ns/mnt")
	}
	c.steps(prog, kept)
	c.lastSteps(prog, attr.Env, try)
	process, err := launch(c.context(), prog, attr)
	if err != nil {
		kept.rollBack()
		return c.explain(err)
	}
	if try {
		_, err = process.Wait()
		return err
	}
	c.process = process
	return nil
}

func (c *Cmd) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}

func (c *Cmd) environ() []string {
	env := c.Env
	if env == nil {
		env = c.plan.environ
	}
	if env == nil {
		env = os.Environ()
	}
	return append(slices.Clip(env), c.plan.env...)
}

// openNull opens what stands for the files that are nil; nil if none is.
func (c *Cmd) openNull() (*os.File, error) {
	if c.Stdin != nil && c.Stdout != nil && c.Stderr != nil {
		return nil, nil
	}
	return os.OpenFile(os.DevNull, os.O_RDWR, 0)
}

func (c *Cmd) files(null *os.File) []*os.File {
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr}
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	return files
}

// steps brings the helper to where a command of ours will run, and changes who it
// is. For the target's own code see guestSteps.
func (c *Cmd) steps(prog *launcher.Program, b *binds) {
	p := c.plan
	n := p.options.New
	if n == nil && !p.plain() {
		prog.NotDumpable()
	}
	p.joinSteps(prog)
	p.betweenSteps(prog)
	n.userSteps(prog, p.userNS())
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

// plain says that the command is our own program, in our own file systems, with
// our own rights, and that all it takes is to join namespaces in which nobody
// sees its process who did not see ours.
func (p *Plan) plain() bool {
	o := &p.options
	if o.New != nil || o.MountProc || o.MountSys || p.root != nil || p.dir != nil || p.entrance() != nil || p.ids.any() {
		return false
	}
	return !slices.ContainsFunc(p.Joins, func(j Join) bool {
		return !slices.Contains([]inspect.Type{inspect.Net, inspect.UTS, inspect.IPC, inspect.Cgroup}, j.ID.Type)
	})
}

// entrance is the cgroups that the command starts in, nil if they are ours.
func (p *Plan) entrance() *cgroupfs.Entrance {
	if p.options.Inside != nil {
		return p.options.Inside
	}
	return p.inside
}

// groupSteps starts the helper in the cgroups: in that of v2 it is born
// (CLONE_INTO_CGROUP), unless that fails, to the others we move it while it waits.
func (p *Plan) groupSteps(prog *launcher.Program, attr *launcher.Attr) {
	if in := p.entrance(); in != nil && in.String() != "" {
		attr.Cgroup = in.Dir()
		prog.Parent("joining the cgroups", in.Admit)
	}
}

// groupRefusal explains why the helper was not born in its group of v2, or its
// child in any; nil if that is not why it failed.
func (p *Plan) groupRefusal(err error) error {
	in := p.entrance()
	if in == nil {
		return nil
	}
	if refused, ok := errors.AsType[*cgroupfs.Error](in.Explain(err)); ok {
		return refused
	}
	return nil
}

// dirSteps goes to the root and working directory, and closes all that could
// lead outside.
//
// The propagation of mounts can be set from the root of a mount only (mount(2)),
// which the new root need not be. So that becomes the root afterwards, unless a
// working directory takes its place.
func (p *Plan) dirSteps(prog *launcher.Program) {
	if p.root != nil {
		prog.Fchdir("going to "+p.rootOf, prog.File(p.root))
	}
	if p.dir != nil {
		p.rootSteps(prog)
		prog.Fchdir("going to the working directory", prog.File(p.dir))
	}
	prog.CloseFiles()
}

func (p *Plan) rootSteps(prog *launcher.Program) {
	if p.root != nil {
		prog.ChrootHere("changing the root to " + p.rootOf)
	}
}

// insideSteps does what is left of dirSteps. From here on, names are looked up.
func (p *Plan) insideSteps(prog *launcher.Program) {
	if p.dir == nil {
		p.rootSteps(prog)
	}
	if p.options.DirInside != "" {
		prog.Chdir(p.options.DirInside)
	}
	if p.root != nil || p.Has(inspect.Mnt) {
		p.checkDir(prog)
	}
}

// checkDir looks whether the working directory is below the root.
func (p *Plan) checkDir(prog *launcher.Program) {
	prog.CheckDir("looking at the working directory").
		Explain(because(func(unix.Errno) (string, error) { return p.explainDir(), nil }))
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

// forks says that the command has to be a child of the helper: setns(2) into a
// PID namespace, and unshare(2) of one or of a time namespace, is for children
// only.
func (p *Plan) forks() bool {
	n := p.options.New
	return (p.Has(inspect.PID) || n.has(inspect.PID) || n.has(inspect.Time)) && !p.options.NoFork
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
	prog.Exec(c.Name, searchPath(env)).Explain(func(step *launcher.StepError) error {
		if step.Faked() {
			return refused(ErrFiltered, "starting "+c.Name, unix.EPERM, "the target's seccomp filter forbids execve(2), and says that it has been carried out")
		}
		return &ExecError{c.Name, c.plan.root != nil, step.Errno, step.NoLoader}
	})
}

// fork makes the command's own process.
func (c *Cmd) fork(prog *launcher.Program) {
	what := "starting " + c.Name
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
	if n := p.options.New; n != nil && n.KillSignal != 0 {
		return n.KillSignal
	}
	return unix.SIGKILL
}

// processLimits is what EAGAIN of a new process means.
const processLimits = "a limit on processes is reached: pids.max of a cgroup, RLIMIT_NPROC, or kernel.pid_max"

// explain says why the command did not start, for what no step has said itself.
func (c *Cmd) explain(err error) error {
	if step, ok := errors.AsType[*launcher.StepError](err); ok {
		e := explained(step.Step, step.Errno, "")
		if c.plan.filtered() {
			e.Why, e.Reason = "it may be a seccomp filter of the target", ErrFiltered
		}
		return e
	}
	if trace, ok := errors.AsType[*launcher.TraceError](err); ok && c.plan.filtered() {
		return explainTrace(trace)
	}
	if helper, ok := errors.AsType[*launcher.HelperError](err); ok {
		return c.explainHelper(helper)
	}
	if died, ok := errors.AsType[*launcher.DiedError](err); ok {
		return c.explainDeath(died)
	}
	return err
}

// explainHelper says why there is no helper.
func (c *Cmd) explainHelper(err *launcher.HelperError) error {
	const what = "starting the helper"
	switch refused := c.plan.groupRefusal(err.Err); {
	case refused != nil:
		return refused
	case c.plan.Untrusted() && errors.Is(err, unix.EACCES):
		return &Error{What: what, Err: unix.EACCES, Reason: ErrUnsafe, Why: "this machine does not execute memfds (vm.memfd_noexec, or a policy such as fapolicyd's), without which the target could overwrite this program"}
	case errors.Is(err, unix.EAGAIN):
		return &Error{What: what, Err: unix.EAGAIN, Reason: ErrLimit, Why: processLimits}
	}
	return err
}

// explainDeath says what killed the helper.
func (c *Cmd) explainDeath(err *launcher.DiedError) error {
	if refused := c.plan.groupRefusal(err); refused != nil {
		return refused
	}
	e := &Error{What: "starting " + c.Name, Err: err}
	switch {
	case c.plan.filtered() && err.Status.Signaled() && err.Status.Signal() == unix.SIGSYS:
		e.Why, e.Reason = "a seccomp filter of the target did it", ErrFiltered
	case c.plan.Has(inspect.PID):
		e.Why, e.Reason = "its PID namespace has ended, it seems, and everything in there with it", ErrEnded
	default:
		return err
	}
	return e
}

// explainTrace says why a command cannot be put under the target's filters. It is
// never said where there are none.
func explainTrace(e *launcher.TraceError) error {
	why := "ptrace(2) is restricted (kernel.yama.ptrace_scope), or it takes CAP_SYS_ADMIN in the initial user namespace"
	if self, err := inspect.Resolve(context.Background(), "self"); err == nil {
		defer self.Close()
		if s, err := self.Status(); err == nil && s.Tracer != 0 {
			why = fmt.Sprintf("this program is traced itself, by process %d", s.Tracer)
		}
	}
	return &Error{What: "putting the command under the target's seccomp filters", Err: e.Errno, Why: why, Reason: ErrUntraceable}
}

// explainDir says why the working directory cannot be seen from the root.
func (p *Plan) explainDir() string {
	for _, d := range []struct {
		file *os.File
		name string
	}{{p.root, p.rootOf}, {p.dir, "it"}} {
		if d.file == nil {
			continue
		}
		if st, err := d.file.Stat(); err == nil && st.Sys().(*syscall.Stat_t).Nlink == 0 {
			return d.name + " has been deleted"
		}
	}
	return "it is not below the new root directory, where the command could see it"
}

// Wait waits for the command to end. A status other than 0 is an *ExitError.
func (c *Cmd) Wait() error {
	state, err := c.process.Wait()
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", c.Name, err)
	}
	return exitError(state)
}

func exitError(state *os.ProcessState) error {
	if state.Success() {
		return nil
	}
	return &ExitError{state}
}

// Signal sends the running command a signal.
func (c *Cmd) Signal(sig os.Signal) error { return c.process.Signal(sig) }

// PID is the running command's.
func (c *Cmd) PID() int { return c.process.Pid }

// Run starts the command and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}
