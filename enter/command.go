package enter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"nsx/internal/launcher"
)

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

// Start starts the command. It is killed when the calling process ends, and
// when the calling thread does: do not call Start from a goroutine that is
// locked to its thread (runtime.LockOSThread) and ends before the command.
func (c *Cmd) Start() error { return c.start(c.context()) }

func (c *Cmd) start(ctx context.Context) error {
	switch {
	case c.plan == nil:
		return usagef("enter: a command without a plan: make it by Command")
	case c.Process != nil:
		return errors.New("enter: already started")
	}
	files, err := c.openFiles()
	if err == nil {
		c.Process, err = c.startProcess(ctx, files.theirs(), false)
	}
	files.close()
	if err != nil {
		c.closePipes()
		return interruption(ctx, err)
	}
	c.copy(files.copies)
	c.watchContext()
	return nil
}

// Try does everything that Start does but run the command: the kernel's word
// on whether that would work.
func (c *Cmd) Try() error {
	if c.plan == nil {
		return usagef("enter: a command without a plan: make it by Command")
	}
	try := *c
	for i, f := range []any{c.Stdin, c.Stdout, c.Stderr} {
		if _, isFile := f.(*os.File); !isFile { // it is not to be read, or written to
			switch i {
			case 0:
				try.Stdin = nil
			case 1:
				try.Stdout = nil
			case 2:
				try.Stderr = nil
			}
		}
	}
	files, err := try.openFiles()
	if err != nil {
		return err
	}
	defer files.close()
	process, err := try.startProcess(c.context(), files.theirs(), true)
	if err == nil && process != nil {
		_, err = process.Wait()
	}
	return interruption(c.context(), err)
}

// startProcess starts the command's process, with these standard files, or only
// tries to. A try that has ended already has none.
func (c *Cmd) startProcess(ctx context.Context, files []*os.File, try bool) (*os.Process, error) {
	switch {
	case launcher.Supported() != nil:
		return c.startOnThread(ctx, files, try)
	case c.plan.Untrusted():
		return c.startGuest(ctx, files, try)
	}
	return c.startOwn(ctx, files, try)
}

func (c *Cmd) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}

// interruption is the error, or that of the context if it has ended; errors.Is
// finds ctx.Err() in it.
func interruption(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, ctx.Err()) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
}

// Wait waits for the command to end, and for what copies its standard files. A
// status other than 0 is an *ExitError, a file that was not copied to its end
// within WaitDelay os/exec's ErrWaitDelay.
func (c *Cmd) Wait() error {
	switch {
	case c.Process == nil:
		return errors.New("enter: not started")
	case c.ProcessState != nil:
		return errors.New("enter: Wait was already called")
	}
	state, err := c.Process.Wait()
	return c.finish(state, err)
}

// finish is what Wait returns when the process has ended.
func (c *Cmd) finish(state *os.ProcessState, err error) error {
	c.ProcessState = state
	cancelled := c.endWatch()
	if err != nil {
		err = fmt.Errorf("waiting for %s: %w", c.Path, err)
	} else if !state.Success() {
		err = &ExitError{ProcessState: state}
	}
	copied := c.endCopying()
	switch {
	case cancelled != nil && err != nil:
		return fmt.Errorf("%w: %w", cancelled, err)
	case cancelled != nil:
		return cancelled
	case err == nil:
		return copied
	}
	return err
}

// Run starts the command and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the command and returns what it writes to its standard output. What
// it writes to its standard error, if Stderr is nil, is in the *ExitError.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("enter: Stdout already set")
	}
	var out, errout bytes.Buffer
	c.Stdout = &out
	catch := c.Stderr == nil
	if catch {
		c.Stderr = &errout
	}
	err := c.Run()
	if exit, ok := errors.AsType[*ExitError](err); ok && catch {
		exit.Stderr = errout.Bytes()
	}
	return out.Bytes(), err
}

// CombinedOutput runs the command and returns what it writes to its standard output
// and standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("enter: Stdout or Stderr already set")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
