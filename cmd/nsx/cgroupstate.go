package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
)

// newStateVerb makes a verb that brings a group into a state and waits for it.
func newStateVerb(s streams, verb, short, long, example string, usual time.Duration, v cgroupfs.Verb,
	do func(context.Context, *cgroupfs.Group) error, would func(context.Context, *cgroupfs.Group) (*cgroupfs.Preview, error),
) *cobra.Command {
	var o groupFlags
	cmd := &cobra.Command{
		Use:               verb + " PATH",
		Short:             short,
		Long:              long + "\n\n" + groupHelp,
		Example:           example,
		Args:              onePath,
		ValidArgsFunction: completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			group, err := o.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.dryRun {
				p, err := would(cmd.Context(), group)
				return preview(s, p, err)
			}
			owner := group.Owner()
			err = interruptible(cmd.Context(), func(ctx context.Context) error {
				ctx, cancel := o.within(ctx)
				defer cancel()
				return do(ctx, group)
			})
			if note := owner.Undoes(v); err == nil && note != "" { // only by force
				notes(s, []string{note})
			}
			return err
		},
	}
	o.addForce(cmd)
	o.addTimeout(cmd, usual)
	o.addDry(cmd)
	return cmd
}

func newCgroupRm(s streams) *cobra.Command {
	recursive := false
	cmd := newStateVerb(s, "rm", "Remove a cgroup",
		`Remove a group from every hierarchy that has it. Nobody is killed: processes
inside are waited for until --timeout, and then named.`,
		`  nsx cgroup rm /demo
  nsx cgroup rm -r /demo       # with all groups below it
  nsx cgroup rm -r /demo --dry-run
  nsx cgroup kill /demo && nsx cgroup rm /demo`,
		2*time.Second, cgroupfs.VerbRemove, func(ctx context.Context, g *cgroupfs.Group) error { return g.Remove(ctx, recursive) },
		func(ctx context.Context, g *cgroupfs.Group) (*cgroupfs.Preview, error) {
			return g.PreviewRemove(ctx, recursive)
		})
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "remove the groups below it too")
	return cmd
}

func newCgroupFreeze(s streams) *cobra.Command {
	return newStateVerb(s, "freeze", "Stop all processes of a cgroup",
		`Stop all processes of a group and below it, and wait until they are stopped. If
they are not before --timeout, the group is thawed again and they are named; so it
is when nsx is interrupted, or killed, before they are.`,
		`  nsx cgroup freeze /demo`,
		10*time.Second, cgroupfs.VerbFreeze, func(ctx context.Context, g *cgroupfs.Group) error { return g.Freeze(ctx) },
		func(ctx context.Context, g *cgroupfs.Group) (*cgroupfs.Preview, error) {
			return g.PreviewFreeze(ctx, true)
		})
}

func newCgroupThaw(s streams) *cobra.Command {
	return newStateVerb(s, "thaw", "Let frozen processes go on",
		`Let the processes of a frozen group go on. Below a frozen group they cannot, and
that is an error.`,
		`  nsx cgroup thaw /demo`,
		10*time.Second, cgroupfs.VerbThaw, func(ctx context.Context, g *cgroupfs.Group) error { return g.Thaw(ctx) },
		func(ctx context.Context, g *cgroupfs.Group) (*cgroupfs.Preview, error) {
			return g.PreviewFreeze(ctx, false)
		})
}

func newCgroupKill(s streams) *cobra.Command {
	return newStateVerb(s, "kill", "Kill all processes of a cgroup",
		`Kill all processes of a group and below it, and wait until none is left: by
cgroup.kill on v2, frozen, signalled and thawed on v1, so that nothing that forks
escapes. Those that are left at --timeout are named. Nothing stays frozen, not even
if nsx is killed meanwhile.`,
		`  nsx cgroup kill /demo --dry-run    # whom it would kill
  nsx cgroup kill /demo`,
		10*time.Second, cgroupfs.VerbKill, func(ctx context.Context, g *cgroupfs.Group) error { return g.Kill(ctx) },
		func(ctx context.Context, g *cgroupfs.Group) (*cgroupfs.Preview, error) { return g.PreviewKill(ctx) })
}
