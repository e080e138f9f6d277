package main

import (
	"context"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/output"
)

func newCgroupLimits(s streams) *cobra.Command {
	var o documentFlags
	cmd := &cobra.Command{
		Use:   "limits TARGET",
		Short: "Show the limits that really bind a process or cgroup",
		Long: `Show for each resource the limit that really binds: the smallest along the
ancestors, with the ancestor that has it, what is used there, and what is left.

A target is a process (5151), a group (cgroup:/demo, or /demo), or self.`,
		Example: `  nsx cgroup limits 5151
  nsx cgroup limits /demo
  nsx cgroup limits self -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one target, such as 5151 or /demo")
			}
			return nil
		},
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			list, err := binding(cmd.Context(), o.root, args[0])
			if err != nil {
				return err
			}
			doc := struct {
				Schema string               `json:"schema"`
				Limits []cgroupfs.Effective `json:"limits"`
			}{"nsx/cgroup-limits/1", list}
			return o.print(s, doc, func() error {
				return limitView.Print(s.out, list, output.Options{Width: output.TerminalWidth(s.out)})
			})
		},
	}
	o.add(cmd)
	return cmd
}

// binding finds what binds a process, wherever each hierarchy has it, or a
// group.
func binding(ctx context.Context, root, word string) ([]cgroupfs.Effective, error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{Root: root})
	if err != nil {
		return nil, err
	}
	path := word
	if word == "" || word[0] != '/' {
		ref, err := inspect.ParseRef(word)
		if err != nil {
			return nil, usage(err)
		}
		if ref.Kind != inspect.RefCgroup {
			t, err := ref.Resolve(ctx, inspect.Options{Root: root})
			if err != nil {
				return nil, err
			}
			defer t.Close()
			text, err := t.ReadFile("cgroup")
			if err != nil {
				return nil, err
			}
			memberships, err := cgroupfs.ParseMemberships(text)
			if err != nil {
				return nil, err
			}
			return fs.EffectiveOf(memberships)
		}
		path = ref.Path
	}
	group, err := groupAt(root, path)
	if err != nil {
		return nil, err
	}
	return group.Effective()
}

var limitView = &output.View[cgroupfs.Effective]{Columns: []output.Column[cgroupfs.Effective]{
	{Name: "resource", Value: func(e *cgroupfs.Effective) output.Cell { return output.Text(e.Resource) }},
	{Name: "limit", Right: true, Value: func(e *cgroupfs.Effective) output.Cell {
		switch {
		case e.List != "":
			return output.Text(e.List)
		case e.Limit == nil:
			return output.Text("max").With(output.Dim)
		default:
			return amount(e, e.Limit)
		}
	}},
	{Name: "used", Right: true, Value: func(e *cgroupfs.Effective) output.Cell { return amount(e, e.Usage) }},
	{Name: "left", Right: true, Value: func(e *cgroupfs.Effective) output.Cell { return amount(e, e.Headroom) }},
	{Name: "version", Value: func(e *cgroupfs.Effective) output.Cell { return output.Text("v" + strconv.Itoa(e.Version)) }},
	{Name: "set-by", Cut: output.CutMiddle, Value: func(e *cgroupfs.Effective) output.Cell {
		if e.Group == "" {
			return output.None()
		}
		return output.Text(e.Group)
	}},
}}

// amount shows a number in its unit.
func amount(e *cgroupfs.Effective, n *float64) output.Cell {
	switch {
	case n == nil:
		return output.None()
	case e.Unit == "bytes":
		return output.Float(*n).As(roundSize(*n))
	case e.Unit == "cpus":
		return output.Float(*n)
	default:
		return output.Int(int64(*n))
	}
}

// roundSize is a size to read at a glance: "1.5G", "512M", "12K".
func roundSize(n float64) string {
	const units = "KMGTP"
	if math.Abs(n) < 1024 {
		return strconv.FormatInt(int64(n), 10)
	}
	for i := range units {
		n /= 1024
		if math.Abs(n) < 1024 || i == len(units)-1 {
			digits := 1
			if n == math.Trunc(n) || math.Abs(n) >= 100 {
				digits = 0
			}
			return strconv.FormatFloat(n, 'f', digits, 64) + units[i:i+1]
		}
	}
	return ""
}
