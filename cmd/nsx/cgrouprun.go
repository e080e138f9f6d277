package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		Use:   "run [PATH] [flags] [--] [CMD [ARG…]]",
		Short: "Start a command inside a cgroup",
		Long: `Start CMD (default: your shell) in a group: it never runs a moment
elsewhere. With limits, the group is made if it is missing, and limited. Without
PATH, which takes "--" before CMD, it is one of CMD's own, that goes when CMD ends,
with all that CMD has left running in it; so it does when a signal ends nsx, except
by SIGKILL, which leaves nsx-run-PID behind (nsx cgroup rm). It is made below the
root or, for an ordinary user, below the nearest group above his own that is
delegated to him: as in a unit of his own systemd (systemd-run --user --scope). When
a limit has killed CMD, or refused it a process, it is said which, and whose.

` + groupHelp + `

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx cgroup run /demo -- make -j
  nsx cgroup run /demo --memory 2G --cpus 1 -- make -j
  nsx cgroup run --memory 2G -- make -j          # in a group of its own`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && cmd.ArgsLenAtDash() < 0 {
				return usagef("want a group, such as /demo, or -- and a command")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return completeGroups(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() == 0 {
				limits, err := o.limits(cmd, nil)
				if err != nil {
					return usage(err)
				}
				return runInOwnGroup(cmd.Context(), s, &o, limits, args)
			}
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
			group, err := o.open(cmd.Context(), args[0])
			if err != nil {
				return own(err)
			}
			plan, err := planGroup(cmd.Context(), s, group, limits, o.formula)
			if err != nil {
				return own(err)
			}
			if o.dryRun {
				return dryRunIn(s, group, plan, nil)
			}
			// From here on a signal ends us only when what was done is put back.
			caught := enter.CatchSignals()
			defer caught.Stop()
			return runCgroupRun(cmd.Context(), s, group, plan, command, caught)
		},
	}
	o.addForce(cmd)
	o.add(cmd)
	o.addDry(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// dryRunIn says what would be done to run a command in a group, and after it.
func dryRunIn(s streams, group *cgroupfs.Group, plan *cgroupfs.Plan, after []string) error {
	p, err := group.PreviewStart(plan)
	if err == nil {
		p.Writes = append(p.Writes, after...)
		err = preview(s, p, nil)
	}
	if err != nil {
		return own(err)
	}
	return nil
}

// runInOwnGroup runs the command in a new group, and removes that.
func runInOwnGroup(ctx context.Context, s streams, o *cgroupRunOptions, limits cgroupfs.Limits, command []string) error {
	at, err := newOwnGroup(ctx, s, &o.groupFlags, limits, o.formula)
	if err != nil {
		return err
	}
	if o.dryRun {
		var after []string
		for _, step := range slices.Backward(at.plan.Steps) {
			if step.Mkdir {
				after = append(after, "rmdir "+step.Path)
			}
		}
		return dryRunIn(s, at.group, at.plan, after)
	}
	// From here on a signal ends us only when the group is gone.
	caught := enter.CatchSignals()
	defer caught.Stop()
	return at.end(ctx, s, runCgroupRun(ctx, s, at.group, at.plan, command, caught))
}

func runCgroupRun(ctx context.Context, s streams, group *cgroupfs.Group, setUp *cgroupfs.Plan, command []string, caught *enter.Signals) error {
	plan, err := enter.NewPlan(ctx, nil, enter.Options{})
	if err != nil {
		return own(err)
	}
	defer plan.Close()
	return runIn(ctx, s, "cgroup: run", plan, group, setUp, command, nil, caught)
}

// runIn runs a command as the plan says in a group, which setUp makes and limits.
func runIn(ctx context.Context, s streams, who string, plan *enter.Plan, group *cgroupfs.Group, setUp *cgroupfs.Plan, command, env []string, caught *enter.Signals) error {
	in, err := setUpGroup(ctx, s, group, setUp)
	if err != nil {
		return own(err)
	}
	defer in.Close()
	plan.StartIn(in.Entrance)
	before := group.Toll()
	err = runCaught(ctx, s, plan, command, env, caught)
	sayWhy(s, who, group, before, err)
	return in.undo(err)
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

// setUpGroup does what the plan says, if there is one, and opens the group.
func setUpGroup(ctx context.Context, s streams, group *cgroupfs.Group, plan *cgroupfs.Plan) (e entered, err error) {
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
func planGroup(ctx context.Context, s streams, group *cgroupfs.Group, limits cgroupfs.Limits, formula string) (*cgroupfs.Plan, error) {
	f, err := parseFormula(formula)
	if err != nil {
		return nil, usage(err)
	}
	if len(limits.List()) == 0 {
		return nil, nil
	}
	plan, err := makePlan(ctx, group, limits, f, nil, true)
	if err != nil {
		return nil, err
	}
	notes(s, plan.Notes)
	return plan, nil
}
