package main

import (
	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/enter"
)

type cgroupRunOptions struct {
	groupFlags
	limitFlags
}

func newCgroupRun(s streams) *cobra.Command {
	var o cgroupRunOptions
	cmd := &cobra.Command{
		Use:   "run PATH [flags] [--] [CMD [ARG…]]",
		Short: "Start a command inside a cgroup",
		Long: `Start CMD (default: your shell) in a group: it is born there, and never runs a
moment elsewhere. With limits, the group is made if it is missing, and limited.

` + groupHelp + `

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx cgroup run /demo -- make -j
  nsx cgroup run /demo --memory 2G --cpus 1 -- make -j`,
		Args:              atLeastPath,
		ValidArgsFunction: completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			// Flags go on after PATH; CMD begins at the next word that is none.
			if err := cmd.Flags().Parse(args[1:]); err != nil {
				return usage(err)
			}
			command := cmd.Flags().Args()
			limits, err := o.limits(cmd, nil)
			if err != nil {
				return usage(err)
			}
			group, err := o.open(args[0])
			if err != nil {
				return own(err)
			}
			return runCgroupRun(s, group, limits, o.formula, command)
		},
	}
	o.addForce(cmd)
	o.add(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func runCgroupRun(s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string, command []string) error {
	inside, err := enterGroup(s, group, limits, formula)
	if err != nil {
		return own(err)
	}
	defer inside.Close()
	plan, err := enter.NewPlan(nil, enter.Options{Inside: inside})
	if err != nil {
		return own(err)
	}
	defer plan.Close()
	return runCommand(s, plan, command, nil, false)
}

// enterGroup opens a group for a command to be started in. With limits it is
// made first, if it is missing, and limited.
func enterGroup(s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string) (*cgroupfs.Entrance, error) {
	f, err := parseFormula(formula)
	if err != nil {
		return nil, usage(err)
	}
	if len(limits.List()) > 0 {
		done, err := group.Create(cgroupfs.CreateOptions{Limits: limits, Formula: f})
		report(s, done)
		if err != nil {
			return nil, err
		}
	}
	return group.Open()
}
