package main

import (
	"context"
	"errors"
	"fmt"

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
		Long: `Start CMD (default: your shell) in a group: it never runs a moment
elsewhere. With limits, the group is made if it is missing, and limited.

` + groupHelp + `

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx cgroup run /demo -- make -j
  nsx cgroup run /demo --memory 2G --cpus 1 -- make -j`,
		Args: atLeastPath,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return completeGroups(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			// Flags go on after PATH; CMD begins at the next word that is none.
			if err := cmd.Flags().Parse(args[1:]); err != nil {
				return usage(err)
			}
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
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
			return runCgroupRun(cmd.Context(), s, group, limits, o.formula, command)
		},
	}
	o.addForce(cmd)
	o.add(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func runCgroupRun(ctx context.Context, s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string, command []string) error {
	in, err := enterGroup(ctx, s, group, limits, formula)
	if err != nil {
		return own(err)
	}
	defer in.Close()
	plan, err := enter.NewPlan(nil, enter.Options{Inside: in.Entrance})
	if err != nil {
		return own(in.undo(err))
	}
	defer plan.Close()
	return in.undo(runCommand(s, plan, command, nil, false))
}

// entered is a group open for a command to be started in, and what was done to
// it for that.
type entered struct {
	*cgroupfs.Entrance
	done cgroupfs.Report
}

// undo takes back what was done to the group if the command did not start.
func (e entered) undo(err error) error {
	if status, ok := errors.AsType[*statusError](err); err == nil || ok && status.err == nil {
		return err // it ran
	}
	if ended, ok := errors.AsType[*enter.EndedError](err); ok && ended.PID != 0 {
		return err // until it was killed
	}
	if left := e.done.Undo(); left != nil {
		return fmt.Errorf("%w; and not all was put back: %w", err, left)
	}
	return err
}

// enterGroup opens a group for a command to be started in. With limits it is
// made first, if it is missing, and limited.
func enterGroup(ctx context.Context, s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string) (entered, error) {
	var e entered
	plan, err := planGroup(s, group, limits, formula)
	if err != nil {
		return e, err
	}
	if plan != nil {
		err := interruptible(ctx, func(ctx context.Context) error {
			e.done, err = plan.Apply(ctx)
			return err
		})
		if err != nil {
			return e, err
		}
		report(s, e.done)
	}
	if e.Entrance, err = group.Open(); err != nil {
		return e, e.undo(err)
	}
	return e, nil
}

// planGroup is what makes and limits the group; nil without limits.
func planGroup(s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string) (*cgroupfs.Plan, error) {
	f, err := parseFormula(formula)
	if err != nil {
		return nil, usage(err)
	}
	if len(limits.List()) == 0 {
		return nil, nil
	}
	plan, err := makePlan(group, limits, f, nil, true)
	if err != nil {
		return nil, badValue(err)
	}
	notes(s, plan.Notes)
	return plan, nil
}
