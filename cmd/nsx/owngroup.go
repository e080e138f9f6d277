package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/output"
)

// ownGroup is a new group for one command, which goes when that ends.
type ownGroup struct {
	fs    *cgroupfs.FS
	home  *cgroupfs.Group // nil: we may make none
	group *cgroupfs.Group
	plan  *cgroupfs.Plan // which makes and limits it
}

// newOwnGroup plans one. Its errors have their exit status.
func newOwnGroup(ctx context.Context, s streams, f *groupFlags, limits cgroupfs.Limits, formulaWord string) (*ownGroup, error) {
	formula, err := parseFormula(formulaWord)
	if err != nil {
		return nil, usage(err)
	}
	g := &ownGroup{}
	if g.fs, err = hierarchiesAt(cmp.Or(f.root, "/"), f.only); err != nil {
		return nil, own(err)
	}
	g.home = g.fs.Home()
	if g.group, err = f.freeGroup(ctx, g.home); err != nil {
		return nil, own(err)
	}
	if g.plan, err = makePlan(ctx, g.group, limits, formula, nil, true); err != nil {
		return nil, own(err)
	}
	notes(s, g.plan.Notes)
	return g, nil
}

// end removes the group after the command has ended with err, or has not started.
func (g *ownGroup) end(ctx context.Context, s streams, err error) error {
	if there, _ := g.group.Exists(); !there { // it did not start
		if g.home == nil {
			askManager(g.fs, err)
		}
		return err
	}
	// Now nobody waits for what is left any more.
	clear, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, step := range []func() error{
		func() error { return g.group.Kill(clear) },
		func() error { return g.group.Remove(clear, true) },
	} {
		if left := step(); left != nil {
			fmt.Fprintln(s.err, "nsx: the group is left:", output.Escape(withErrno(left)))
			break
		}
	}
	return err
}

// askManager adds to a refusal what lets an ordinary user limit a command: his own
// systemd, if it is there, to which v2's controllers are delegated.
func askManager(fs *cgroupfs.FS, err error) {
	refused, ok := errors.AsType[*cgroupfs.Error](err)
	if !ok || !errors.Is(refused, unix.EACCES) || fs.Mode() != "v2" {
		return
	}
	if unix.Access(fmt.Sprintf("/run/user/%d/systemd/private", os.Geteuid()), unix.F_OK) == nil {
		refused.Next, refused.Remedy = "start it from a group of your own systemd's: systemd-run --user --scope nsx cgroup run …", nil
	}
}

// freeGroup names a group that is not there, below the given one or, to be refused
// with the reason, below the root. Another nsx in a PID namespace of its own may have
// our number.
func (f *groupFlags) freeGroup(ctx context.Context, home *cgroupfs.Group) (*cgroupfs.Group, error) {
	at := "/"
	if home != nil {
		at = home.Path()
	}
	for n := 0; ; n++ {
		name := path.Join(at, fmt.Sprintf("nsx-run-%d", os.Getpid()))
		if n > 0 {
			name += fmt.Sprintf("-%d", n)
		}
		group, err := f.open(ctx, name)
		if err != nil {
			return nil, err
		}
		if there, err := group.Exists(); err != nil || !there {
			return group, err
		}
	}
}
