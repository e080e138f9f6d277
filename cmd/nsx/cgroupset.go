package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

type cgroupSetOptions struct {
	groupFlags
	limitFlags
	controllers []string
}

func newCgroupCreate(s streams) *cobra.Command {
	var o cgroupSetOptions
	cmd := &cobra.Command{
		Use:   "create PATH [KEY=VALUE…]",
		Short: "Make a cgroup, with limits",
		Long: `Make a group, and those above it that are missing, in every hierarchy that its
limits or --controllers need; on v2 the controllers are enabled down to it. Where
a v2 hierarchy is mounted it is made there too, since freezing, killing and
pressure live there. If something fails, all of it is undone.

` + groupHelp,
		Example: `  nsx cgroup create /demo
  nsx cgroup create /demo/web --memory 512M --pids 100
  nsx cgroup create /demo --controllers cpu,memory
  nsx cgroup create /demo --cpus 0.5 --dry-run`,
		Args:              atLeastPath,
		ValidArgsFunction: completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCgroupSet(s, &o, cmd, args, true)
		},
	}
	o.addForce(cmd)
	cmd.Flags().StringSliceVar(&o.controllers, "controllers", nil, "controllers that it is to have, `LIST` (cpu,memory)")
	complete(cmd, "controllers", completeControllers)
	o.add(cmd)
	o.addDry(cmd)
	return cmd
}

func newCgroupSet(s streams) *cobra.Command {
	var o cgroupSetOptions
	cmd := &cobra.Command{
		Use:   "set PATH [KEY=VALUE…]",
		Short: "Limit a cgroup",
		Long: `Set limits of a group, by flags or by keys in v1 or v2 spelling (memory.max=1G,
memory.limit_in_bytes=1G), which are translated for the version that the
controller is on; with --raw they are written as they are. Every value is read
back, and what the kernel changed is reported. If a write fails, those before it
are undone. A limit below the present use, which on v2 kills, needs --force.

` + deviceHelp + `

` + groupHelp,
		Example: `  nsx cgroup set /demo --memory 1G --swap 0
  nsx cgroup set /demo memory.max=1G pids.max=100
  nsx cgroup set /demo cpu.shares=512            # v1's spelling, whatever it is on
  nsx cgroup set /demo --io-max '/dev/vda rbps=10M' --dry-run`,
		Args:              atLeastPath,
		ValidArgsFunction: completeKeys("="),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCgroupSet(s, &o, cmd, args, false)
		},
	}
	o.addForce(cmd)
	o.add(cmd)
	cmd.Flags().BoolVar(&o.raw, "raw", false, "write KEY=VALUE to the file of that name as it is")
	o.addDry(cmd)
	return cmd
}

func runCgroupSet(s streams, o *cgroupSetOptions, cmd *cobra.Command, args []string, create bool) error {
	o.elsewhere = o.root != "/"
	limits, err := o.limits(cmd, args[1:])
	if err != nil {
		return usage(err)
	}
	formula, err := parseFormula(o.formula)
	if err != nil {
		return usage(err)
	}
	group, err := o.open(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	if !create && len(limits.List())+len(limits.Raw) == 0 {
		return usagef("nothing to set: give KEY=VALUE or a flag such as --memory")
	}
	plan, err := makePlan(cmd.Context(), group, limits, formula, o.controllers, create)
	if err != nil {
		return err
	}
	notes(s, plan.Notes)
	if o.dryRun {
		_, err := fmt.Fprintln(s.out, plan)
		return err
	}
	return interruptible(cmd.Context(), func(ctx context.Context) error {
		done, err := plan.Apply(ctx)
		report(s, done)
		return err
	})
}

func makePlan(ctx context.Context, group *cgroupfs.Group, limits cgroupfs.Limits, formula keys.Formula, controllers []string, create bool) (*cgroupfs.Plan, error) {
	if create {
		return group.PlanCreate(ctx, cgroupfs.CreateOptions{Controllers: controllers, Limits: limits, Formula: formula})
	}
	return group.Plan(ctx, limits, cgroupfs.PlanOptions{Formula: formula})
}
