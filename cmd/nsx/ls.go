package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/output"
)

type lsOptions struct {
	viewFlags
	types   []string
	tree    string
	sets    bool
	all     bool
	targets []string
}

func newLs(s streams) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls [TARGET…]",
		Short: "List namespaces",
		Long: `List the namespaces that processes are in, one a row, with the process that each
is named by: the topmost and oldest one in it. Namespaces that no process is in
are listed too, with what keeps them: as far as they are parents or owners of
others, or have a bind mount in our mount namespace. --all also looks at every
open descriptor and socket, into other mount namespaces, and at the namespaces
that processes chose for their future children.

With targets, list only the namespaces that the targets are in. "-" takes targets
from standard input, the first number or word of each line.
` + targetHelp + `

--filter compares columns: == != < <= > >=, =~ and !~ for regular expressions,
and && || ! with parentheses. Documents (-o json, ndjson, yaml) list the chosen
namespaces with all that is known, whatever the columns; --tree shapes only
tables.

Columns (* by default):
` + nsView.Help() + `
Columns of --sets:
` + setView.Help() + `
Exit status: 0 done, 1 nothing found, 2 wrong usage, 4 partial under --strict.`,
		Example: `  nsx ls                     # every namespace
  nsx ls -t net,mnt          # of these types
  nsx ls 5151                # those of process 5151
  nsx ls --tree              # who owns what
  nsx ls --sets              # who shares all: containers, services
  nsx ls --all -t net        # also those that only a descriptor or socket holds
  nsx ls -o json | jq -r '.namespaces[] | select(.nprocs == 0) | .inode'`,
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.targets = args
			if cmd.Flags().Changed("type") && len(o.types) == 0 {
				o.types = []string{""} // else -t "$UNSET" would mean all types
			}
			return runLs(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, nsView.Names())
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.types, "type", "t", nil, "only `TYPES`: "+strings.Join(typeNames(), ","))
	flags.StringVar(&o.tree, "tree", "", "as a `TREE`: who owns what; with =pid how PID namespaces nest")
	flags.Lookup("tree").NoOptDefVal = "owner"
	flags.BoolVar(&o.sets, "sets", false, "one row for each set of processes that share all namespaces")
	flags.BoolVar(&o.all, "all", false, "look at open descriptors, sockets and other mount namespaces too")
	complete(cmd, "type", completeList(typeNames()...))
	complete(cmd, "tree", cobra.FixedCompletions([]string{"owner", "pid"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runLs(ctx context.Context, s streams, o *lsOptions) error {
	if err := o.resolve(s.out); err != nil {
		return err
	}
	types, err := parseTypes(o.types)
	if err != nil {
		return usage(fmt.Errorf("-t: %w", err))
	}
	switch {
	case o.tree != "" && o.tree != "owner" && o.tree != "pid":
		return usagef("--tree: unknown tree %q: there are owner and pid", o.tree)
	case o.tree != "" && o.sets:
		return usagef("--tree and --sets exclude each other: a set owns nothing")
	case o.sets && types != nil:
		return usagef("--sets and -t exclude each other: a set has namespaces of all types")
	case o.tree == "pid" && types != nil:
		return usagef("--tree=pid and -t exclude each other: only PID namespaces are nested like that")
	}
	check := nsView.Check
	if o.sets {
		check = setView.Check
	}
	if err := check(o.Options); err != nil {
		return usage(err)
	}
	if o.tree == "pid" {
		types = []inspect.Type{inspect.PID}
	}

	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	targets, listed, err := withInput(ctx, s.in, o.targets)
	if err != nil {
		return err
	}
	snapshot, match, err := machine.Find(ctx, targets, inspect.Options{
		SkipMissing: listed,
		Relations:   !o.sets, Binds: !o.sets, Sets: o.sets, Holders: o.all,
		Details: inspect.LeaderDetails, Names: true, MaxCmdline: o.maxCmdline(),
	})
	noteMissing(s.err, match)
	if err != nil {
		return err
	}
	if o.sets {
		err = o.showSets(s, snapshot, match)
	} else {
		err = o.showNamespaces(s, snapshot, match, types)
	}
	return o.finish(s.err, snapshot, err)
}

func (o *lsOptions) showNamespaces(s streams, snapshot *inspect.Snapshot, match inspect.Match, types []inspect.Type) error {
	wanted := func(n *inspect.Namespace) bool {
		return (types == nil || slices.Contains(types, n.Type)) && match.HasNamespace(n.ID())
	}
	if o.tree != "" && o.Format.Tabular() && o.Format != output.Name {
		forest := snapshot.OwnerForest
		if o.tree == "pid" {
			forest = snapshot.PIDForest
		}
		return showTree(s.out, &o.viewFlags, nsView, nsNodes(snapshot, forest(), wanted))
	}
	rows := make([]inspect.Namespace, 0, len(snapshot.Namespaces))
	for i := range snapshot.Namespaces {
		if n := &snapshot.Namespaces[i]; wanted(n) {
			rows = append(rows, *n)
		}
	}
	return show(s.out, &o.viewFlags, nsView, rows, headOf("nsx/ls/1", snapshot), func(head document, rows []inspect.Namespace) any {
		return struct {
			document
			Namespaces []inspect.Namespace `json:"namespaces"`
		}{head, rows}
	})
}

func (o *lsOptions) showSets(s streams, snapshot *inspect.Snapshot, match inspect.Match) error {
	rows := slices.DeleteFunc(snapshot.Sets, func(set inspect.Set) bool {
		return !match.HasSet(&set)
	})
	return show(s.out, &o.viewFlags, setView, rows, headOf("nsx/ls/1", snapshot), func(head document, rows []inspect.Set) any {
		return struct {
			document
			Sets []inspect.Set `json:"sets"`
		}{head, rows}
	})
}

// nsNodes are the rows of a forest. Namespaces that are not wanted stay as far
// as wanted ones hang below them.
func nsNodes(s *inspect.Snapshot, forest []*inspect.Node, wanted func(*inspect.Namespace) bool) []*output.Node[inspect.Namespace] {
	var nodes []*output.Node[inspect.Namespace]
	for _, node := range forest {
		n := s.Namespace(node.ID)
		children := nsNodes(s, node.Children, wanted)
		if len(children) > 0 || wanted(n) {
			nodes = append(nodes, &output.Node[inspect.Namespace]{Row: *n, Children: children})
		}
	}
	return nodes
}

func parseTypes(words []string) ([]inspect.Type, error) {
	var types []inspect.Type
	for _, word := range words {
		t, err := inspect.ParseType(word)
		if err != nil {
			return nil, err
		}
		types = append(types, t)
	}
	return types, nil
}
