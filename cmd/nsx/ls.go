package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

type lsOptions struct {
	viewFlags
	types   []string
	tree    string
	each    bool
	sets    bool // --each=false
	all     bool
	noFold  bool
	targets []string
}

func newLs(s streams) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls [TARGET…]",
		Short: "List who is isolated from whom",
		Long: `List who is isolated from whom: one row for each set of processes that share all
their namespaces, which is what most people call a container, and one for each
namespace that no process is in, with what keeps it. APART has the types in
which the set is not in the namespace of the boot; a container that shares with
the host what such ones usually do not SHARES it. MEMORY is what the set's group
uses, if it has one of its own. Containers are listed below their pod. On a
terminal, four and more rows that differ in the last part of their name alone
are one.

With --each, with -t, with targets, and where a column is asked for that only
namespaces have, list each namespace, with the process
that it is named by: the topmost and oldest one in it. With targets, list only
the namespaces that the targets are in; --each=false lists their sets.

Namespaces that no process is in are found as far as they are parents or owners
of others, or have a bind mount in our mount namespace. --all also looks at
every open descriptor and socket, into other mount namespaces, and at the
namespaces that processes chose for their future children.

"-" takes targets from standard input, the first number or word of each line.
` + targetHelp + `

--filter compares columns: == != < <= > >=, =~ and !~ for regular expressions,
and && || ! with parentheses. Documents (-o json, ndjson, yaml) list the chosen
sets and namespaces with all that is known, whatever the columns; --tree shapes
only tables.

Columns (* by default):
` + isolatedView.Help() + `
Columns of --each:
` + nsView.Help() + `
Exit status: 0 done, 1 nothing found, 2 wrong usage, 4 partial under --strict.`,
		Example: `  nsx ls                     # containers, services, what else is apart
  nsx ls --each              # every namespace
  nsx ls -t net,mnt          # every one of these types
  nsx ls web                 # those of container web
  nsx ls --tree              # who owns what
  nsx ls --all -t net        # also those that only a descriptor or socket holds
  nsx ls --filter 'apart =~ pid && memory > 1G'
  nsx ls -o json | jq -r '.namespaces[] | select(.nprocs == 0) | .inode'`,
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.targets = args
			o.sets = cmd.Flags().Changed("each") && !o.each
			if !cmd.Flags().Changed("each") {
				o.each = len(args) > 0 || cmd.Flags().Changed("type") || o.tree != ""
			}
			if cmd.Flags().Changed("type") && len(o.types) == 0 {
				o.types = []string{""} // else -t "$UNSET" would mean all types
			}
			return runLs(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, append(isolatedView.Names(), nsView.Names()...))
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.types, "type", "t", nil, "only `TYPES`: "+strings.Join(typeNames(), ","))
	flags.StringVar(&o.tree, "tree", "", "as a `TREE`: who owns what; with =pid how PID namespaces nest")
	flags.Lookup("tree").NoOptDefVal = "owner"
	flags.BoolVar(&o.each, "each", false, "one row for each namespace")
	flags.BoolVar(&o.noFold, "no-fold", false, "one row for each of what is alike")
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
	case o.tree != "" && !o.each:
		return usagef("--tree and --each=false exclude each other: a set owns nothing")
	case !o.each && types != nil:
		return usagef("--each=false and -t exclude each other: a set has namespaces of all types")
	case o.tree == "pid" && types != nil:
		return usagef("--tree=pid and -t exclude each other: only PID namespaces are nested like that")
	}
	if err := o.checkView(); err != nil {
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
		Relations:   true, Binds: true, Holders: o.all, Sets: !o.each || !o.Format.Tabular(), Memory: !o.each,
		Details: inspect.LeaderDetails, Names: true, MaxCmdline: o.maxCmdline(),
	})
	noteMissing(s.err, match)
	if err != nil {
		return err
	}
	if o.each {
		var view *output.View[inspect.Namespace]
		if view, err = o.nsViewFor(ctx, machine, snapshot); err == nil {
			err = o.showNamespaces(s, view, snapshot, match, types)
		}
	} else {
		err = o.showIsolated(s, snapshot, match)
	}
	return o.finish(s.err, snapshot, err)
}

// checkView checks the options against the view that they are for: a column that only
// namespaces have asks for these.
func (o *lsOptions) checkView() error {
	if o.each {
		return nsView.Check(o.Options)
	}
	err := isolatedView.Check(o.Options)
	if err != nil && !o.sets && nsView.Check(o.Options) == nil {
		o.each, err = true, nil
	}
	return err
}

func (o *lsOptions) showNamespaces(s streams, view *output.View[inspect.Namespace], snapshot *inspect.Snapshot, match inspect.Match, types []inspect.Type) error {
	wanted := func(n *inspect.Namespace) bool {
		return (types == nil || slices.Contains(types, n.Type)) && match.HasNamespace(n.ID())
	}
	if o.tree != "" && o.Format.Tabular() && o.Format != output.Name {
		forest := snapshot.OwnerForest
		if o.tree == "pid" {
			forest = snapshot.PIDForest
		}
		return showTree(s.out, &o.viewFlags, view, nsNodes(snapshot, forest(), wanted))
	}
	rows := make([]inspect.Namespace, 0, len(snapshot.Namespaces))
	for i := range snapshot.Namespaces {
		if n := &snapshot.Namespaces[i]; wanted(n) {
			rows = append(rows, *n)
		}
	}
	return show(s.out, &o.viewFlags, view, rows, headOf("nsx/ls/1", snapshot), func(head document, rows []inspect.Namespace) any {
		shown := make(map[inspect.ID]bool, len(rows))
		for i := range rows {
			shown[rows[i].ID()] = true
		}
		sets := slices.DeleteFunc(snapshot.Sets, func(set inspect.Set) bool {
			return !match.HasSet(&set) || !slices.ContainsFunc(inspect.Types[:], func(t inspect.Type) bool { return shown[set.NS.ID(t)] })
		})
		return lsDocument{head, sets, rows}
	})
}

// lsDocument is what ls writes as JSON or YAML.
type lsDocument struct {
	document
	Sets       []inspect.Set       `json:"sets"`
	Namespaces []inspect.Namespace `json:"namespaces"`
}

func (o *lsOptions) showIsolated(s streams, snapshot *inspect.Snapshot, match inspect.Match) error {
	rows := isolatedRows(snapshot, match)
	if o.Format == output.Table || o.Format == output.Wide {
		if o.Width <= 0 { // every cell of a pipe is whole, and a target
			return o.showRows(s, snapshot, rows)
		}
		roots := isolatedTree(snapshot, rows)
		if !o.noFold && o.SortBy == "" && o.Filter == "" {
			var before int
			if roots, before = fold(roots); before > len(roots) {
				defer o.tellFolded(s, roots, before)
			}
		}
		return showTree(s.out, &o.viewFlags, isolatedView, roots)
	}
	return o.showRows(s, snapshot, rows)
}

func (o *lsOptions) showRows(s streams, snapshot *inspect.Snapshot, rows []*isolated) error {
	values := make([]isolated, len(rows))
	for i, r := range rows {
		values[i] = *r
	}
	return show(s.out, &o.viewFlags, isolatedView, values, headOf("nsx/ls/1", snapshot), func(head document, rows []isolated) any {
		return documentOf(head, snapshot, rows)
	})
}

// tellFolded says how many rows are shown as fewer.
func (o *lsOptions) tellFolded(s streams, roots []*output.Node[isolated], before int) {
	now := 0
	for _, n := range roots {
		now += size(n)
	}
	if now < before {
		fmt.Fprintf(s.err, "%s in %d; all of them: --no-fold\n", words.Count(before, "row", "rows"), now)
	}
}

// documentOf has the sets of the rows, and all namespaces that these are in or are.
func documentOf(head document, snapshot *inspect.Snapshot, rows []isolated) lsDocument {
	doc := lsDocument{head, []inspect.Set{}, []inspect.Namespace{}}
	in := map[inspect.ID]bool{}
	for i := range rows {
		r := &rows[i]
		if r.set == nil {
			in[r.ns.ID()] = true
			continue
		}
		doc.Sets = append(doc.Sets, *r.set)
		for _, t := range inspect.Types {
			in[r.set.NS.ID(t)] = true
		}
	}
	for i := range snapshot.Namespaces {
		if n := &snapshot.Namespaces[i]; in[n.ID()] {
			doc.Namespaces = append(doc.Namespaces, *n)
		}
	}
	return doc
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
