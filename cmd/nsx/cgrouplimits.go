package main

import (
	"cmp"
	"context"
	"fmt"
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
	var o groupDocument
	cmd := &cobra.Command{
		Use:   "limits TARGET",
		Short: "Show the limits that really bind a process or cgroup",
		Long: `Show for each resource the limit that really binds: that of the ancestor which has
the least left, with what is used there; without a limit, what the target uses, and
- in a hierarchy that lacks the group. On v1 ancestors that do not count
(memory.use_hierarchy 0, throttles of disks) are left out.

max is no limit, and ? what is not known: a group on the way up cannot be read or
lies outside of the cgroup namespace or of what is mounted. The same makes a limit
"at most" (≤64M): one that cannot be seen may be tighter. What it was is said on
stderr and listed in JSON's "unreadable", where "known" is false.

A target is a process (5151, self), a thread (5151/5160), or a group (cgroup:/demo,
/demo, a path below a mount point, or a unit: web.service).`,
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
			if err := o.check(s, limitView); err != nil {
				return err
			}
			found, err := binding(cmd.Context(), o.root, o.only, args[0])
			if err != nil {
				return err
			}
			whole := func(chosen []cgroupfs.Effective) any {
				found.Limits = append([]cgroupfs.Effective{}, chosen...)
				return struct {
					Schema string `json:"schema"`
					cgroupfs.Binding
				}{"nsx/cgroup-limits/1", found}
			}
			gaps := bindingGaps(found)
			if len(found.Limits) == 0 && found.Complete {
				notes(s, []string{cmp.Or(o.only, "the hierarchy") + " limits nothing here: it has no controllers, or none of them has a limit"})
			}
			err = showGroups(s, &o, limitView, found.Limits, "nsx/cgroup-limits/1", whole, nil)
			return o.end(s, gaps, err)
		},
	}
	o.add(cmd, limitView, "left < 100M")
	addOnly(cmd, &o.only)
	return cmd
}

// binding finds what binds a process, wherever each hierarchy has it, or a
// group.
func binding(ctx context.Context, root, only, word string) (none cgroupfs.Binding, err error) {
	m, err := inspect.Open(root)
	if err != nil {
		return none, err
	}
	m = m.Only(only)
	ref, err := inspect.ParseRef(word)
	if err != nil {
		return none, err
	}
	switch ref.Kind {
	case inspect.RefProcess, inspect.RefSelf, inspect.RefIdentity:
		return processBinding(ctx, m, word)
	case inspect.RefCgroup, inspect.RefUnit, inspect.RefFile:
		group, err := m.Group(ctx, word)
		if err != nil {
			return none, err
		}
		if there, err := group.Exists(); there || err != nil || ref.Kind != inspect.RefFile {
			return group.Effective(ctx)
		}
		// It may be the path of a file, as of a namespace.
		if _, err := os.Lstat(filepath.Join(root, word)); err != nil {
			return group.Effective(ctx) // which says why not
		}
	}
	t, err := m.Resolve(ctx, word)
	if err != nil {
		return none, err
	}
	defer t.Close()
	if t.PID != 0 {
		return processBinding(ctx, m, word)
	}
	return none, fmt.Errorf("%s is a namespace, and limits are those of processes: name one that is in it (nsx ps %s)", t.Name(), t.Name())
}

func processBinding(ctx context.Context, m inspect.Machine, word string) (none cgroupfs.Binding, err error) {
	fs, memberships, err := m.Memberships(ctx, word)
	if err != nil {
		return none, err
	}
	return fs.EffectiveOf(ctx, memberships)
}

// bindingGaps says what of the limits is not known, and why: "pids: not known:
// FILE: permission denied (EACCES)". What has the same reason is one line.
func bindingGaps(b cgroupfs.Binding) []string {
	var reasons []string
	resources := map[string][]string{}
	for _, e := range b.Limits {
		if len(e.Gaps) == 0 {
			continue
		}
		what := "not known"
		switch _, limited := e.Limit.Get(); {
		case e.Known:
			what = "use not known"
		case limited || e.List != nil:
			what = "at most what is shown"
		}
		reason := what + ": " + e.Gaps[0].Error()
		if more := len(e.Gaps) - 1; more > 0 {
			reason += fmt.Sprintf(", and %d more", more)
		}
		if resources[reason] == nil {
			reasons = append(reasons, reason)
		}
		resources[reason] = append(resources[reason], resourceName(&e))
	}
	for i, reason := range reasons {
		reasons[i] = strings.Join(resources[reason], ", ") + ": " + reason
	}
	return reasons
}

var limitView = &output.View[cgroupfs.Effective]{Name: resourceName, Default: []string{"resource", "limit", "used", "left", "version", "set-by"}, Columns: []output.Column[cgroupfs.Effective]{
	{Name: "resource", Help: "what is limited", Value: func(e *cgroupfs.Effective) output.Cell { return output.Text(resourceName(e)) }},
	{Name: "limit", Help: "the limit that binds", Right: true, Value: limitCell},
	{Name: "used", Help: "what is used of it", Right: true, Value: func(e *cgroupfs.Effective) output.Cell { return amount(e, e.Usage) }},
	{Name: "left", Help: "what is left", Right: true, Value: func(e *cgroupfs.Effective) output.Cell { return amount(e, e.Headroom) }},
	{Name: "version", Help: "v1 or v2", Value: func(e *cgroupfs.Effective) output.Cell { return output.Text("v" + strconv.Itoa(e.Version)) }},
	{Name: "set-by", Help: "whose limit it is", Cut: output.CutMiddle, Value: func(e *cgroupfs.Effective) output.Cell {
		switch {
		case e.Group == "" && !e.Known:
			return output.Unknown()
		case e.Group == "":
			return output.None()
		}
		return output.Text(e.Group)
	}},
	{Name: "file", Help: "the file with the limit", Cut: output.CutMiddle, Value: func(e *cgroupfs.Effective) output.Cell {
		if e.File == "" {
			return output.None()
		}
		return output.Text(e.File)
	}},
}}
