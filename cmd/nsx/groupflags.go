package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

// deviceHelp is where the versions differ most.
const deviceHelp = `Devices are denied and allowed by devices.deny and devices.allow, in the order
given ("a" for all, "c 1:3 rwm", "b 8:* r", "/dev/null rw"), or by --device, which
denies the others. Where v1 has no controller for that, nsx attaches a BPF program
named nsx_devices to the v2 group, beside those of others: what is done must pass
them all, and those of the groups above. devices.list reads it back and names the
programs of others, whose rules cannot be read.`

const groupHelp = `A group is a path from the root of the hierarchies (/demo/web), or one below
a mount point (/sys/fs/cgroup/memory/demo/web): one name over all hierarchies. A
process (5151, self), a unit (web.service, unit:web) or a login session (session:3)
stands for its group.`

// groupFlags are those of verbs that change a group.
type groupFlags struct {
	force   bool
	only    string
	timeout time.Duration
	dryRun  bool
	root    string
}

func (f *groupFlags) addForce(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&f.force, "force", false, "change a group that others own, or set a limit that kills")
	addOnly(cmd, &f.only)
}

func (f *groupFlags) addTimeout(cmd *cobra.Command, usual time.Duration) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", usual, "give up after this `TIME` (500ms, 1m)")
}

func (f *groupFlags) check() error {
	if f.timeout < 0 {
		return usagef("--timeout: %s is over before it begins", f.timeout)
	}
	return nil
}

// within bounds what a verb waits for.
func (f *groupFlags) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, f.timeout)
}

// addDry adds --dry-run, which works on a captured tree too.
func (f *groupFlags) addDry(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the exact writes, in order, and do nothing")
	cmd.Flags().StringVar(&f.root, "root", "/", "with --dry-run: on the host whose root is `DIR`")
}

// preview prints what would be done.
func preview(s streams, p *cgroupfs.Preview, err error) error {
	if err != nil {
		return err
	}
	notes(s, p.Notes)
	for _, line := range p.Writes {
		if _, err := fmt.Fprintln(s.out, output.Escape(line)); err != nil {
			return err
		}
	}
	return nil
}

// open names the group, on the machine that is meant.
func (f *groupFlags) open(ctx context.Context, word string) (*cgroupfs.Group, error) {
	root := cmp.Or(f.root, "/")
	if root != "/" && !f.dryRun {
		return nil, usagef("--root takes --dry-run: nothing is changed there")
	}
	group, err := groupAt(ctx, root, f.only, word)
	if err == nil && f.force {
		group = group.Forced()
	}
	return group, err
}

// onePath is the argument check of verbs that take a group and nothing else.
func onePath(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one group, such as /demo")
	}
	return nil
}

// atLeastPath is that of verbs that take more.
func atLeastPath(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("want a group, such as /demo")
	}
	return nil
}

// report says on stderr what the kernel did not take as it was written.
func report(s streams, r cgroupfs.Report) {
	for _, a := range r.Adjusted() {
		fmt.Fprintln(s.err, output.Escape(a.String()))
	}
	for _, a := range r.Steps {
		notes(s, a.Effects)
	}
}

func notes(s streams, list []string) {
	for _, note := range list {
		fmt.Fprintln(s.err, "note:", output.Escape(note))
	}
}
