package enter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"nsx/inspect"
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
	// Env is its environment; nil means the caller's.
	Env []string
	// Stdin, Stdout and Stderr are its standard files; nil means the caller's
	// /dev/null.
	Stdin, Stdout, Stderr *os.File

	plan    *Plan
	process *os.Process
}

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
	if status, ok := e.State.Sys().(interface {
		Signaled() bool
		Signal() unix.Signal
	}); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.State.ExitCode()
}

// ExecError says that the command was not started although all namespaces were
// joined: there is no such command, if NotFound says so, or else it cannot be
// executed.
type ExecError struct {
	Name string
	// InTarget says that it was looked for in the target's mount namespace.
	InTarget bool
	Err      error

	found bool // the file is there
}

func (e *ExecError) Error() string {
	where := "on this host"
	if e.InTarget {
		where = "in the target's file system"
	}
	switch {
	case e.found && errors.Is(e.Err, unix.ENOENT):
		return fmt.Sprintf("running %s: %s: the interpreter or loader that it names is missing %s", e.Name, linux.ErrnoText(unix.ENOENT), where)
	case e.NotFound():
		err := e.Err
		if errors.Is(err, exec.ErrNotFound) {
			err = unix.ENOENT // what os/exec calls it
		}
		return fmt.Sprintf("running %s: there is no such command %s: %s", e.Name, where, linux.ErrnoText(err))
	case errors.Is(e.Err, unix.ENOEXEC):
		return fmt.Sprintf("running %s: %s: it is no program for this machine, or a script without a #! line", e.Name, linux.ErrnoText(unix.ENOEXEC))
	case errors.Is(e.Err, unix.EACCES):
		return fmt.Sprintf("running %s: %s: it is not executable %s", e.Name, linux.ErrnoText(unix.EACCES), where)
	default:
		return fmt.Sprintf("running %s: %s", e.Name, linux.ErrnoText(e.Err))
	}
}

// Unwrap is the error of the look-up or of execve(2).
func (e *ExecError) Unwrap() error { return e.Err }

// NotFound says that there is no such command.
func (e *ExecError) NotFound() bool {
	return !e.found && (errors.Is(e.Err, exec.ErrNotFound) || errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ENOTDIR))
}

// Start starts the command.
func (c *Cmd) Start() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr}
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	return Do(c.plan, func() error {
		path, err := exec.LookPath(c.Name)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			return c.execError(err, false)
		}
		attr := &os.ProcAttr{Env: env, Files: files}
		c.process, err = os.StartProcess(path, append([]string{c.Name}, c.Args...), attr)
		if errors.Is(err, unix.ENOMEM) && c.plan.Has(inspect.PID) {
			return &Error{fmt.Sprintf("starting %s: %s: the PID namespace has lost its init, so nothing can be started in it any more; this is not about memory", c.Name, linux.ErrnoText(err)), err}
		}
		if err != nil {
			return c.execError(err, true)
		}
		return nil
	})
}

func (c *Cmd) execError(err error, found bool) error {
	return &ExecError{Name: c.Name, InTarget: c.plan.Has(inspect.Mnt), Err: err, found: found}
}

// Wait waits for the command to end. A status other than 0 is an *ExitError.
func (c *Cmd) Wait() error {
	state, err := c.process.Wait()
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", c.Name, err)
	}
	if !state.Success() {
		return &ExitError{state}
	}
	return nil
}

// Signal sends the running command a signal.
func (c *Cmd) Signal(sig os.Signal) error { return c.process.Signal(sig) }

// Run starts the command and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}
