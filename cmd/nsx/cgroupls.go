package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

type cgroupLsOptions struct {
	groupDocument
	procs bool
}

func newCgroupLs(s streams) *cobra.Command {
	var o cgroupLsOptions
	cmd := &cobra.Command{
		Use:   "ls [PATH]",
		Short: "List cgroups as one tree over all hierarchies",
		Long: `List the groups below PATH (default: all) as one tree over all hierarchies, with
their processes, use and limits. With --procs, processes are listed too; those
that other hierarchies have in other groups are marked.

` + groupHelp,
		Example: `  nsx cgroup ls
  nsx cgroup ls /demo --procs
  nsx cgroup ls -o json | jq -r '.groups[] | select(.processes > 0) | .path'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("want one group at the most")
			}
			return nil
		},
		ValidArgsFunction: completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(s, groupView); err != nil {
				return err
			}
			tops, err := o.tops(cmd.Context(), args)
			if err != nil {
				return err
			}
			var trees []*output.Node[groupRow]
			var rows []groupRow
			missing := []cgroupfs.Unreadable{}
			for _, group := range tops {
				tree, gaps, err := o.tree(cmd.Context(), group)
				if err != nil {
					return err
				}
				trees, rows, missing = append(trees, tree), list(tree, rows), append(missing, gaps...)
			}
			whole := func(chosen []groupRow) any {
				return struct {
					Schema     string                `json:"schema"`
					Complete   bool                  `json:"complete"`
					Unreadable []cgroupfs.Unreadable `json:"unreadable"`
					Groups     []groupRow            `json:"groups"`
				}{"nsx/cgroup-ls/1", len(missing) == 0, missing, append([]groupRow{}, chosen...)}
			}
			table := func() error { return showTree(s.out, &o.viewFlags, groupView, trees) }
			if o.Columns != "" && !strings.HasPrefix(o.Columns, "+") && !slices.Contains(strings.Split(strings.ToLower(o.Columns), ","), groupView.Tree) {
				table = nil // without the column that has the lines of the tree
			}
			err = showGroups(s, &o.groupDocument, groupView, rows, "nsx/cgroup-ls/1", whole, table)
			return o.end(s, fileGaps(missing), err)
		},
	}
	o.add(cmd, groupView, "memory > 1G && procs > 0")
	addOnly(cmd, &o.only)
	cmd.Flags().BoolVar(&o.procs, "procs", false, "list the processes too")
	return cmd
}

// tops are the groups to begin at: all that there are, if none is named.
func (o *cgroupLsOptions) tops(ctx context.Context, args []string) ([]*cgroupfs.Group, error) {
	if len(args) > 0 {
		group, err := groupAt(ctx, o.root, o.only, args[0])
		return []*cgroupfs.Group{group}, err
	}
	fs, err := hierarchiesAt(o.root, o.only)
	if err != nil {
		return nil, err
	}
	if tops := fs.Tops(); len(tops) > 0 {
		return tops, nil
	}
	group, err := fs.Group("/") // which says why not
	return []*cgroupfs.Group{group}, err
}

// groupRow is a group, or a process in one.
type groupRow struct {
	Path        string                `json:"path"`
	Hierarchies []string              `json:"hierarchies"`
	Processes   cgroupfs.Value[int64] `json:"processes"`
	PIDs        []int                 `json:"pids"`
	// Elsewhere are those of PIDs that another hierarchy has in another group.
	Elsewhere   []int                 `json:"elsewhere"`
	MemoryBytes cgroupfs.Value[int64] `json:"memory_bytes"`
	MemoryLimit cgroupfs.Value[int64] `json:"memory_limit_bytes"`
	PIDsLimit   cgroupfs.Value[int64] `json:"pids_limit"`
	Frozen      *bool                 `json:"frozen"`
	Owner       string                `json:"owner,omitempty"`

	name      string
	process   int // not a group but this process
	comm      string
	elsewhere bool
}

// tree reads a group and those below it.
func (o *cgroupLsOptions) tree(ctx context.Context, g *cgroupfs.Group) (root *output.Node[groupRow], missing []cgroupfs.Unreadable, err error) {
	nodes := map[string]*output.Node[groupRow]{}
	missing = []cgroupfs.Unreadable{}
	err = g.Walk(ctx, func(sum cgroupfs.Summary) error {
		missing = append(missing, sum.Unreadable...)
		row := newGroupRow(sum)
		node := &output.Node[groupRow]{Row: row}
		if o.procs {
			for _, pid := range row.PIDs {
				node.Children = append(node.Children, &output.Node[groupRow]{Row: o.process(pid, row.Elsewhere)})
			}
		}
		nodes[row.Path] = node
		if root == nil {
			root = node
			root.Row.name = row.Path
			return nil
		}
		parent := nodes[path.Dir(row.Path)]
		parent.Children = append(parent.Children, node)
		return nil
	})
	return root, missing, err
}

func newGroupRow(sum cgroupfs.Summary) groupRow {
	row := groupRow{
		Path: sum.Group.Path(), name: path.Base(sum.Group.Path()),
		PIDs: sum.Members.Processes, Processes: sum.Processes, Elsewhere: sum.Members.Elsewhere,
		MemoryBytes: sum.MemoryBytes, MemoryLimit: sum.MemoryLimit, PIDsLimit: sum.PIDsLimit, Frozen: sum.Frozen,
	}
	if row.Processes.Err() != nil {
		row.PIDs, row.Elsewhere = nil, nil
	}
	for _, h := range sum.Hierarchies {
		name := "v2"
		if h.Version == 1 {
			if name = strings.Join(h.Controllers, ","); name == "" {
				name = "name=" + h.Name
			}
		}
		row.Hierarchies = append(row.Hierarchies, name)
	}
	if owner := sum.Group.Owner(); owner.Kind != "" && owner.Kind != "root" && owner.Kind != "self" {
		row.Owner = owner.String()
	}
	return row
}

func (o *cgroupLsOptions) process(pid int, elsewhere []int) groupRow {
	return groupRow{process: pid, comm: commOf(o.root, fmt.Sprint(pid)), elsewhere: slices.Contains(elsewhere, pid)}
}

// list is the groups of a tree, the upper ones first.
func list(n *output.Node[groupRow], rows []groupRow) []groupRow {
	if n.Row.process == 0 {
		rows = append(rows, n.Row)
	}
	for _, child := range n.Children {
		rows = list(child, rows)
	}
	return rows
}

var groupView = &output.View[groupRow]{
	Columns: []output.Column[groupRow]{
		{Name: "group", Help: "the last part of its path; a process", Cut: output.CutEnd, Value: func(r *groupRow) output.Cell {
			if r.process == 0 {
				return output.Text(r.name)
			}
			mark := ""
			if r.elsewhere {
				mark = " (elsewhere in others)"
			}
			return output.Text(fmt.Sprintf("%d %s%s", r.process, r.comm, mark)).With(output.Dim)
		}},
		{Name: "procs", Help: "processes in it, not below", Right: true, Value: func(r *groupRow) output.Cell {
			if r.process != 0 {
				return output.Text("")
			}
			n, known := r.Processes.Get()
			if !known {
				return output.Unknown()
			}
			return output.Int(n)
		}},
		{Name: "memory", Help: "memory in use, with what is below", Right: true, Value: func(r *groupRow) output.Cell { return sizeCell(r, r.MemoryBytes, "-") }},
		{Name: "limit", Help: "the limit of memory", Right: true, Value: func(r *groupRow) output.Cell { return sizeCell(r, r.MemoryLimit, "max") }},
		{Name: "pids-max", Help: "the limit of processes and threads", Right: true, Value: func(r *groupRow) output.Cell {
			n, limited := r.PIDsLimit.Get()
			switch {
			case r.process != 0:
				return output.Text("")
			case r.PIDsLimit.Err() != nil:
				return output.Unknown()
			case !limited:
				return output.None()
			}
			return output.Int(n)
		}},
		{Name: "in", Help: "hierarchies that have it; FROZEN", Cut: output.CutEnd, Value: func(r *groupRow) output.Cell {
			text := strings.Join(r.Hierarchies, " ")
			if r.Frozen != nil && *r.Frozen {
				text = "FROZEN " + text
			}
			return output.Text(text)
		}},
		{Name: "path", Help: "the whole path of the group", Cut: output.CutMiddle, Value: func(r *groupRow) output.Cell { return output.Text(r.Path) }},
		{Name: "frozen", Help: "frozen, by itself or by one above it", Value: func(r *groupRow) output.Cell {
			if r.Frozen == nil || !*r.Frozen {
				return output.None()
			}
			return output.Text("frozen")
		}},
		{Name: "owner", Help: "whose it is, if that is known", Cut: output.CutEnd, Value: func(r *groupRow) output.Cell {
			if r.Owner == "" {
				return output.None()
			}
			return output.Text(r.Owner)
		}},
	},
	Default: []string{"group", "procs", "memory", "limit", "pids-max", "in"},
	Wide:    []string{"group", "procs", "memory", "limit", "pids-max", "in", "owner"},
	Tree:    "group",
	Name:    func(r *groupRow) string { return r.Path },
}

func sizeCell(r *groupRow, v cgroupfs.Value[int64], none string) output.Cell {
	n, ok := v.Get()
	switch {
	case r.process != 0:
		return output.Text("")
	case v.Err() != nil:
		return output.Unknown()
	case r.MemoryBytes.IsNone():
		return output.None()
	case !ok:
		return output.Text(none).With(output.Dim)
	}
	return output.Int(n).As(roundSize(float64(n)))
}
