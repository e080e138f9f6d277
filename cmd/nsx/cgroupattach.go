package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

func newCgroupAttach(streams) *cobra.Command {
	var o groupFlags
	threads := false
	cmd := &cobra.Command{
		Use:   "attach PATH PID…",
		Short: "Move processes into a cgroup",
		Long: `Move whole processes, or with --threads single threads, into a group, in every
hierarchy that has it. Where they are afterwards is read back. If one cannot be
moved, or nsx is interrupted, those before it go back.

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
			group, err := o.open(args[0])
			if err != nil {
				return err
			}
			attach := group.Attach
			if threads {
				attach = group.AttachThreads
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error { return attach(ctx, pids...) })
		},
	}
	o.addForce(cmd)
	cmd.Flags().BoolVar(&threads, "threads", false, "the numbers are threads, which move alone")
	return cmd
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
