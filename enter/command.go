package enter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"nsx/internal/launcher"
)

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
	if err := c.checkSearch(); err != nil {
		return nil, err
	}
	switch {
	case launcher.Supported() != nil:
		return c.startOnThread(ctx, files, try)
	case c.plan.Untrusted():
		return c.startGuest(ctx, files, try)
	}
	return c.startOwn(ctx, files, try)
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
