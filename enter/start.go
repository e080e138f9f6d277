package enter

import (
	"context"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// startOwn starts a command that is a program of ours.
func (c *Cmd) startOwn(ctx context.Context, files []*os.File, try bool) (*os.Process, error) {
	p := c.plan
	attr := c.attr(files)
	// Nothing of ours is taken into a target's mount namespace.
	attr.KeepOpen = !p.WillJoin(inspect.Mnt) && !p.options.TargetRoot
	if p.plain() {
		attr.Way = launcher.Vfork
	}
	prog := &launcher.Program{}
	p.groupSteps(prog, &attr)
	kept := &binds{}
	if n := p.options.Unshare; n != nil && !try {
		kept.files = n.Bind
	}
	if _, keep := kept.files[inspect.Mnt]; keep {
		outrun("/proc/self/ns/mnt")
	}
	c.steps(ctx, prog, kept)
	c.lastSteps(prog, attr.Env, try)
	process, err := launch(ctx, prog, attr)
	if err != nil {
		kept.rollBack()
		return nil, c.explain(ctx, err)
	}
	return process, nil
}

// attr is what the launcher has to know of the command.
func (c *Cmd) attr(files []*os.File) launcher.Attr {
	argv := c.Args
	if len(argv) == 0 {
		argv = []string{c.Path}
	}
	return launcher.Attr{Argv: argv, Env: c.environ(), Files: files, Inherited: c.Inherited}
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

// launch starts the helper, in attr.Cgroup if the kernel can have it born there.
// Since Linux 6.14 it kills at birth (SIGKILL) whoever is born in a group that was
// killed another number of times than its parent's (cgroup.kill): what should find
// a kill in the middle of a fork compares the counts of two groups
// (cgroup_css_set_fork and cgroup_post_fork in kernel/cgroup/cgroup.c). Then the
// helper is born outside, and moved in by the step of the program that waits for
// Entrance.Admit, as on v1. That is always possible, but takes the kernel some
// milliseconds, or sixty where others keep the machine busy.
func launch(ctx context.Context, prog *launcher.Program, attr launcher.Attr) (*os.Process, error) {
	process, err := launcher.Start(ctx, prog, attr)
	died, ok := errors.AsType[*launcher.DiedError](err)
	if attr.Cgroup == nil || !ok || !died.Silent || died.Status.Signal() != unix.SIGKILL {
		return process, err
	}
	attr.Cgroup = nil
	return launcher.Start(ctx, prog, attr)
}
