package enter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// Do runs fn in the namespaces of the plan, on an operating system thread of
// its own that ends with it, and returns fn's error. Other goroutines, those
// that fn starts included, stay where they are. Of the options only the root
// and working directory count.
//
// In fn, a PID namespace is that of processes started there, not of this process
// (setns(2)); /proc/self means nothing under another /proc, so open what you
// need of it before; and os/exec.Cmd with a nil Stdin, Stdout or Stderr opens
// the target's /dev/null. Use Command to run commands.
//
// Plans with a user or time namespace end in a *ThreadError. If the context ends
// before fn is called, it is not called; fn itself is not interrupted.
func Do(ctx context.Context, p *Plan, fn func() error) error {
	if p == nil {
		return usagef("enter: no plan")
	}
	for _, j := range p.Joins {
		if j.ID.Type == inspect.User || j.ID.Type == inspect.Time {
			return &ThreadError{j.ID, j.From}
		}
	}
	if err := ctx.Err(); err != nil {
		return interruption(ctx, err)
	}
	return onThread(func() error {
		if err := p.join(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return interruption(ctx, err)
		}
		return fn()
	})
}

// join moves the calling thread, which must be locked and not be used for
// anything else any more.
func (p *Plan) join() error {
	// Threads of a Go program share their root, working directory and umask;
	// mntns_install (fs/namespace.c) refuses to move them all with EINVAL.
	// A pidfd that joins several namespaces at once would even do it.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare(CLONE_FS): %w", err)
	}
	for _, j := range p.Joins {
		if j.added {
			continue
		}
		if err := unix.Setns(int(j.file.Fd()), j.ID.Type.CloneFlag()); err != nil {
			return j.explain(err)
		}
	}
	if p.root != nil {
		if err := unix.Fchdir(int(p.root.Fd())); err != nil {
			return explained("going to "+p.rootOf, err, "")
		}
		if err := unix.Chroot("."); err != nil {
			return explained("changing the root to "+p.rootOf, err, "")
		}
	}
	if p.dir != nil {
		if err := unix.Fchdir(int(p.dir.Fd())); err != nil {
			return explained("going to the working directory", err, "")
		}
	}
	return nil
}

// errGoexit says that a function ended its goroutine instead of returning.
var errGoexit = errors.New("enter: the function called runtime.Goexit")

// onThread runs fn on a thread of its own, which the runtime ends, whatever
// namespaces it is in by then.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	linux.OnThread(func() {
		err := errGoexit
		defer func() { done <- err }()
		err = fn()
	})
	return <-done
}
