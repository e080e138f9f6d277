package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

type psOptions struct {
	viewFlags
	threads bool
	all     bool
	targets []string
}

func newPs(s streams) *cobra.Command {
	var o psOptions
	cmd := &cobra.Command{
		Use:   "ps [TARGET…]",
		Short: "List processes: whose they are and what sets them apart",
		Long: `List processes: whose they are, and the types of namespace in which they are apart
from the rest of the machine. On a terminal the commands are a tree, as long as
no filter and no other order is asked for. Tables leave out kernel threads,
unless --all, a filter or a target asks for them.

With targets, list only those processes, those in that namespace, or those of
that cgroup; where one of them has a PID namespace of its own, PID-IN is its
number in there. "-" takes targets from standard input, the first number or word of
each line; those that are not there are said and left out.
` + targetHelp + `

Columns (* by default):
` + psView.Help() + `
Exit status: 0 done, 1 nothing found, 2 wrong usage, 4 partial under --strict.`,
		Example: `  nsx ps                       # every process
  nsx ps net:[4026532201]      # those in a network namespace
  nsx ps cgroup:/demo          # those in a cgroup
  nsx ps --threads 5151        # a process and its threads
  pgrep python | nsx ps -      # whose are these?
  nsx ps -o wide --filter 'netns != 4026531833'`,
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.targets = args
			return runPs(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, psView.Names())
	cmd.Flags().BoolVar(&o.all, "all", false, "list kernel threads too")
	cmd.Flags().BoolVar(&o.threads, "threads", false, "list threads too")
	return cmd
}

func runPs(ctx context.Context, s streams, o *psOptions) error {
	if err := o.resolve(s.out); err != nil {
		return err
	}
	view := psView
	if o.threads {
		view = withColumn(view, "tid") // without it, threads cannot be told apart
	}
	if err := view.Check(o.Options); err != nil {
		return usage(err)
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
		Cgroups:     true, Names: true, Threads: o.threads, Details: inspect.AllDetails, ProcessesOnly: true, MaxCmdline: o.maxCmdline(),
	})
	noteMissing(s.err, match)
	if err != nil {
		return err
	}
	rows, left := o.rows(snapshot, match)
	if listed {
		inOrder(rows, targets)
	}
	if len(o.targets) > 0 && slices.ContainsFunc(rows, func(r psRow) bool { return len(r.NSPIDs) > 1 }) {
		view = withColumn(view, "pid-in")
	}
	if o.Width > 0 && o.Format.Tabular() && o.Format != output.Name && !o.threads && o.Filter == "" && o.SortBy == "" && !listed {
		err = showTree(s.out, &o.viewFlags, view, processForest(rows))
	} else {
		err = show(s.out, &o.viewFlags, view, rows, headOf("nsx/ps/1", snapshot), func(head document, rows []psRow) any {
			return struct {
				document
				Processes []psRow `json:"processes"`
			}{head, rows}
		})
	}
	if left > 0 && err == nil {
		fmt.Fprintln(s.err, words.Count(left, "kernel thread", "kernel threads")+" left out: --all")
	}
	return o.finish(s.err, snapshot, err)
}

// rows are those of what matches, and how many kernel threads are left out.
func (o *psOptions) rows(s *inspect.Snapshot, match inspect.Match) (rows []psRow, left int) {
	userland := o.Format.Tabular() && o.Format != output.Name && !o.all && o.Filter == "" && match.All
	for i := range s.Processes {
		p := &s.Processes[i]
		if !match.HasPID(p.PID) {
			continue
		}
		if userland && p.KernelThread {
			left++
			continue
		}
		rows = append(rows, psRow{p, nil, p.NS, s.Apart(p.NS)})
		if o.threads && o.Format.Tabular() {
			for j := range p.Threads {
				t := &p.Threads[j]
				rows = append(rows, psRow{p, t, t.NS, s.Apart(t.NS)})
			}
		}
	}
	return rows, left
}

// inOrder sorts rows as standard input has their PIDs; what it names otherwise comes
// behind.
func inOrder(rows []psRow, targets []string) {
	place := map[string]int{}
	for i, word := range slices.Backward(targets) {
		place[strings.TrimPrefix(word, "pid:")] = i
	}
	at := func(r psRow) int {
		if i, ok := place[strconv.Itoa(r.PID)]; ok {
			return i
		}
		return len(targets)
	}
	slices.SortStableFunc(rows, func(a, b psRow) int { return cmp.Compare(at(a), at(b)) })
}

// processForest hangs processes below their parents, as far as these are among them.
func processForest(rows []psRow) []*output.Node[psRow] {
	nodes := make(map[int]*output.Node[psRow], len(rows))
	for _, r := range rows {
		nodes[r.PID] = &output.Node[psRow]{Row: r}
	}
	var roots []*output.Node[psRow]
	for _, r := range rows {
		parent := nodes[r.PPID]
		// A captured tree may have processes that are their own ancestors; a child is
		// never older than its parent.
		if parent == nil || r.PPID == r.PID || parent.Row.StartTicks > r.StartTicks || parent.Row.StartTicks == r.StartTicks && r.PPID > r.PID {
			roots = append(roots, nodes[r.PID])
			continue
		}
		parent.Children = append(parent.Children, nodes[r.PID])
	}
	return roots
}

// withColumn adds one behind the first.
func withColumn(view *output.View[psRow], name string) *output.View[psRow] {
	with := *view
	with.Default = slices.Insert(slices.Clone(view.Default), 1, name)
	return &with
}

// psRow is a process, or one of its threads. In documents it is the process,
// which lists its threads.
type psRow struct {
	*inspect.Process
	thread *inspect.Thread
	set    inspect.NSSet
	apart  []inspect.Type
}

// cgroups are the row's own: threads of one process may be in different ones.
func (r *psRow) cgroups() []cgroupfs.Membership {
	if r.thread != nil {
		return r.thread.Cgroups
	}
	return r.Cgroups
}

var psView = &output.View[psRow]{
	Columns: append([]output.Column[psRow]{
		{Name: "pid", Help: "process", Right: true, Value: func(r *psRow) output.Cell { return output.Int(int64(r.PID)) }},
		{Name: "tid", Help: "thread", Right: true, Value: func(r *psRow) output.Cell {
			if r.thread == nil {
				return output.Int(int64(r.PID))
			}
			return output.Int(int64(r.thread.TID))
		}},
		{Name: "ppid", Help: "parent", Right: true, Value: func(r *psRow) output.Cell { return output.Int(int64(r.PPID)) }},
		{Name: "ns-pids", Help: "its PIDs, from this /proc's PID namespace down to its own", Value: func(r *psRow) output.Cell {
			if len(r.NSPIDs) == 0 {
				return output.Unknown()
			}
			return output.Text(strings.Trim(strings.ReplaceAll(fmt.Sprint(r.NSPIDs), " ", ","), "[]"))
		}},
		{Name: "pid-in", Help: "its PID in its own PID namespace", Right: true, Value: func(r *psRow) output.Cell {
			if len(r.NSPIDs) == 0 {
				return output.Unknown()
			}
			return output.Int(int64(r.NSPIDs[len(r.NSPIDs)-1]))
		}},
		{Name: "uid", Help: "effective user", Right: true, Value: func(r *psRow) output.Cell { return uint32Cell(r.UID) }},
		{Name: "user", Help: "that user's name", Cut: output.CutEnd, Value: func(r *psRow) output.Cell {
			if r.User == "" {
				return output.Unknown()
			}
			return output.Text(r.User)
		}},
		{Name: "state", Help: "R S D Z T t I, as in ps(1)", Value: func(r *psRow) output.Cell {
			if r.thread != nil {
				return output.Text(r.thread.State.String())
			}
			return output.Text(r.State.String())
		}},
		{Name: "start", Help: "start time in clock ticks since boot", Right: true, Value: func(r *psRow) output.Cell { return output.Uint(r.StartTicks) }},
		{Name: "threads", Help: "how many threads it has", Right: true, Value: func(r *psRow) output.Cell { return output.Int(int64(r.NumThreads)) }},
		{Name: "name", Help: "whose it is: a container, pod, unit …, as a target", Cut: output.CutMiddle, Value: func(r *psRow) output.Cell { return psName(r) }},
		{Name: "apart", Help: "the types of its namespaces that are not those of the boot", Cut: output.CutEnd, Value: func(r *psRow) output.Cell {
			return apartCell(r.apart, r.Identity)
		}},
		{Name: "cgroup", Help: "its cgroup where it is not the root: the v2 one first", Cut: output.CutMiddle, Value: func(r *psRow) output.Cell {
			return cgroupCell(r.cgroups())
		}},
		{Name: "cgroups", Help: "its cgroup in every hierarchy", Cut: output.CutMiddle, Value: func(r *psRow) output.Cell {
			return cgroupsCell(r.cgroups())
		}},
		{Name: "command", Help: "command line, or [name]", Cut: output.CutEnd, Value: func(r *psRow) output.Cell {
			if r.thread != nil {
				return output.Text("{" + r.thread.Comm + "}")
			}
			return commandCell(r.Cmdline, r.CmdlineCut, r.Comm)
		}},
	}, nsColumns(func(r *psRow) inspect.NSSet { return r.set }, func(r *psRow) bool { return r.State != inspect.Zombie || r.thread != nil })...),
	Default: []string{"pid", "user", "name", "apart", "command"},
	Wide:    slices.Concat([]string{"pid", "tid", "ppid", "ns-pids", "user", "state", "name"}, nsColumnNames(), []string{"cgroups", "command"}),
	Tree:    "command",
	Row: func(r *psRow) output.Style {
		if r.apart != nil && len(r.apart) == 0 {
			return output.Dim
		}
		return output.Plain
	},
	Name: func(r *psRow) string { return fmt.Sprint(r.PID) },
}

// cgroupCell shows one group: that of v2 or else of the first v1 hierarchy in
// which the process is not in the root.
func cgroupCell(list []cgroupfs.Membership) output.Cell {
	if list == nil {
		return output.Unknown()
	}
	shown := "/"
	for _, m := range list {
		if m.Path != "/" && (shown == "/" || m.Hierarchy == 0) {
			shown = groupText(m)
		}
	}
	return output.Text(shown)
}

// groupText marks a group that was removed as the kernel does (cgroups(7)).
func groupText(m cgroupfs.Membership) string {
	if m.Deleted {
		return m.Path + " (deleted)"
	}
	return m.Path
}

func cgroupsCell(list []cgroupfs.Membership) output.Cell {
	if list == nil {
		return output.Unknown()
	}
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = strings.Join(m.Controllers, ",") + ":" + groupText(m)
	}
	return output.Text(strings.Join(texts, " "))
}
