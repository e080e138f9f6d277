package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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

A target is a process (5151, self), a thread (5151/5160), or a group (cgroup:/demo,
/demo, or a path below a mount point).`,
		Example: `  nsx cgroup limits 5151
  nsx cgroup limits /demo
  nsx cgroup limits self -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one target, such as 5151 or /demo")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if strings.HasPrefix(word, "/") || len(args) > 0 {
				return completeGroups(cmd, args, word)
			}
			return completeTargets(cmd, args, word)
		},
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
	if word == "" {
		return nil, usagef("the target is empty")
	}
	path := word
	// A path is a group's, unless only a file has it.
	if _, err := os.Lstat(filepath.Join(root, word)); word[0] != '/' || err == nil {
		ref, err := inspect.ParseRef(word)
		if err != nil {
			return nil, usage(err)
		}
		switch ref.Kind {
		case inspect.RefCgroup:
			path = ref.Path
		case inspect.RefFile:
			if group, err := groupAt(root, word); err == nil && group.Exists() {
				return group.Effective()
			}
			fallthrough
		default:
			return bindingOf(ctx, root, ref)
		}
	}
	group, err := groupAt(root, path)
	if err != nil {
		return nil, err
	}
	return group.Effective()
}

// bindingOf is for a process or thread.
func bindingOf(ctx context.Context, root string, ref inspect.Ref) ([]cgroupfs.Effective, error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{Root: root})
	if err != nil {
		return nil, err
	}
	t, err := ref.Resolve(ctx, inspect.Options{Root: root})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if t.PID == 0 {
		return nil, fmt.Errorf("%s is a namespace, and limits are those of processes: name one that is in it (nsx ps %s)", t.Name(), t.Name())
	}
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
