package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
)

func newCgroupAttach(s streams) *cobra.Command {
	var o groupFlags
	threads := false
	cmd := &cobra.Command{
		Use:   "attach PATH PID…",
		Short: "Move processes into a cgroup",
		Long: `Move whole processes, or with --threads single threads, into a group, in every
hierarchy that has it. Where they are afterwards is read back. If one cannot be
moved, or nsx is interrupted, those before it go back. v2 takes single threads only
within a threaded group: a group that is on v1 as well takes them there alone. A
process of somebody else's unit or container leaves its limits only with --force.

` + groupHelp,
		Example: `  nsx cgroup attach /demo 5151
  nsx cgroup attach --threads /demo 5160 5161`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return completeGroups(cmd, args, word)
			}
			return completePIDs(word)
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("want a group and at least one PID")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			pids, err := parsePIDs(args[1:])
			if err != nil {
				return usage(err)
			}
			group, err := o.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.dryRun {
				p, err := group.PreviewAttach(cmd.Context(), threads, pids...)
				return preview(s, p, err)
			}
			attach := group.Attach
			if threads {
				attach = group.AttachThreads
			}
			undone, err := group.Leaving(cmd.Context(), pids...)
			if err != nil {
				return err
			}
			if note := group.Owner().Undoes(cgroupfs.VerbAttach); note != "" {
				undone = append(undone, note)
			}
			err = interruptible(cmd.Context(), func(ctx context.Context) error { return attach(ctx, pids...) })
			if err == nil {
				notes(s, undone) // only by force
			}
			if err == nil && threads {
				noteElsewhere(s, group, pids)
			}
			return err
		},
	}
	o.addForce(cmd)
	o.addDry(cmd)
	cmd.Flags().BoolVar(&threads, "threads", false, "move single threads: the numbers are thread ids")
	return cmd
}

// noteElsewhere says which hierarchies that have the group did not take a thread.
func noteElsewhere(s streams, group *cgroupfs.Group, tids []int) {
	for _, tid := range tids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", tid))
		if err != nil {
			continue
		}
		memberships, err := cgroupfs.ParseMemberships(text)
		if err != nil {
			continue
		}
		for _, h := range group.Hierarchies() {
			for _, m := range memberships {
				if h.Holds(m) && m.Path != group.Path() {
					notes(s, []string{fmt.Sprintf("on %s thread %d stays in %s: it is no threaded group there", h, tid, m.Path)})
				}
			}
		}
	}
}

// parsePIDs reads decimal PIDs, and nothing else: the kernel would take 0x10
// and 010 for other processes, and 0 for nsx itself.
func parsePIDs(words []string) ([]int, error) {
	pids := make([]int, 0, len(words))
	for _, word := range words {
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil || n == 0 || word[0] == '0' || word[0] == '+' {
			return nil, fmt.Errorf("%q is no PID: want a decimal number", word)
		}
		pids = append(pids, int(n))
	}
	return pids, nil
}
