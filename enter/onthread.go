package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"nsx/inspect"
)

// startOnThread starts the command from a thread of this program that has
// joined the namespaces. It serves the architectures that have no launcher, and
// cannot do what that does: join user and time namespaces, change rights and
// ids, end the command with this program.
func (c *Cmd) startOnThread(ctx context.Context, files []*os.File, try bool) (*os.Process, error) {
	p := c.plan
	switch {
	case p.rights != nil:
		return nil, refused(ErrUnsafe, fmt.Sprintf("running %s with the target's rights", c.Path), unix.ENOSYS, errors.ErrUnsupported.Error()+" on this architecture")
	case p.ids.uid != nil, p.ids.gid != nil, p.kept != 0, p.options.MountProc, p.options.MountSys, p.options.NoFork, p.options.DirInside != "", p.entrance() != nil, c.terminal != nil:
		return nil, fmt.Errorf("running %s with other ids, a directory inside, a new /proc or /sys, a session or in a cgroup: %w on this architecture", c.Path, errors.ErrUnsupported)
	}
	var process *os.Process
	err := Do(ctx, p, func() error {
		path, err := exec.LookPath(c.Path)
		if errors.Is(err, exec.ErrNotFound) {
			err = unix.ENOENT
		}
		if err != nil && !errors.Is(err, exec.ErrDot) {
			return &ExecError{Name: c.Path, InTarget: p.WillJoin(inspect.Mnt), Err: err}
		}
		if try {
			return nil
		}
		attr := c.attr(files)
		process, err = os.StartProcess(path, attr.Argv, &os.ProcAttr{Env: attr.Env, Files: files})
		if err != nil {
			return &ExecError{Name: c.Path, InTarget: p.WillJoin(inspect.Mnt), Err: err}
		}
		return nil
	})
	return process, err
}
