package enter

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"

	"nsx/internal/launcher"
	"nsx/internal/tty"
)

// Signals are caught to be handed on to commands: see [Cmd.Accompany].
type Signals struct{ tty *tty.Signals }

// CatchSignals begins to catch the signals that are meant for the command and
// would end or stop this program, but for those that are ignored. Set
// [Cmd.Signals] to share them between several commands that run one after the
// other: otherwise each of them takes Go two milliseconds for this.
func CatchSignals() *Signals { return &Signals{tty.Catch()} }

// Stop gives the signals the effects back that they had before.
func (s *Signals) Stop() { s.tty.Stop() }

// Ended says, between two commands, which signal came since CatchSignals that
// would have ended this program, whether a command got it or not; 0: none. If
// the terminal said to stop in between, it does.
func (s *Signals) Ended() syscall.Signal { return s.tty.Ended() }

// Cmd is a command to be run in the namespaces of a plan, made by [Command] or
// [CommandContext]. Its fields and methods are those of os/exec's Cmd as far as it
// has them, and mean what they mean there. Like that it is for one run, and not for
// several goroutines; several commands may use one plan at the same time.
type Cmd struct {
	// Path is the command: a path, or a name that is looked for in PATH. Both are
	// looked up where the command will run.
	Path string
	// Args are its arguments, with argv[0]; none means {Path}.
	Args []string
	// Env is its environment; nil means the caller's or, for the target's own code,
	// the target's: see Options.OwnEnv.
	Env []string
	// Stdin, Stdout and Stderr are its standard files. nil is the caller's
	// /dev/null, an *os.File is handed over as it is; anything else is copied, from
	// or to a pipe, by goroutines that Wait waits for. Stdout and Stderr may be the
	// same, and then only one goroutine at a time writes. It gets no other
	// descriptors.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Process is the command, once started, and ProcessState how it has ended, once
	// Wait has returned.
	Process      *os.Process
	ProcessState *os.ProcessState
	// Cancel is called when the context of CommandContext ends while the command
	// runs; nil: the command is killed.
	Cancel func() error
	// WaitDelay is how long Wait waits after the end of the context, or of the
	// command, until the command is killed and its pipes are closed, which others
	// may hold open. 0: for ever.
	WaitDelay time.Duration

	// Inherited is what this process was started with and the command inherits,
	// as over execve(2); nil: what this process has, as far as Go leaves it alone.
	Inherited *Inherited
	// Signals are for Accompany; nil: it catches them itself.
	Signals *Signals

	plan *Plan
	ctx  context.Context // nil: it does not end
	// terminal is which of its files becomes the controlling terminal of a
	// session of its own; nil: it stays in ours.
	terminal *int

	pipes   []*os.File // our ends of them
	copying chan error // of each goroutine that copies
	copies  int
	watch   *watch
}

// Inherited is what a command inherits over execve(2) and Go's runtime changes in
// a process of its own: ignored and blocked signals, the limit on open files.
type Inherited = launcher.Inherited

// Command returns a Cmd for the plan, which has to stay open until it has
// started.
func Command(p *Plan, name string, args ...string) *Cmd {
	return &Cmd{plan: p, Path: name, Args: append([]string{name}, args...)}
}

// CommandContext is Command with a context. If that ends before the command has
// started, what was done for it is undone; afterwards Cancel is called. In both
// cases errors.Is finds the context's error.
func CommandContext(ctx context.Context, p *Plan, name string, args ...string) *Cmd {
	c := Command(p, name, args...)
	c.ctx = ctx
	return c
}

func (c *Cmd) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}

// watch waits for the end of a context while the command runs.
type watch struct {
	ended     chan struct{} // closed when the command has
	cancelled chan error    // what came of it; nil: the command was quicker
}
