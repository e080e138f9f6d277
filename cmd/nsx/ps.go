package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/output"
)

type psOptions struct {
	viewFlags
	threads bool
	targets []string
}

func newPs(s streams) *cobra.Command {
	var o psOptions
	cmd := &cobra.Command{
		Use:   "ps [TARGET…]",
		Short: "List processes with their namespaces and cgroup",
		Long: `List processes, with the namespaces in which they are apart from the rest of the
machine, and their cgroup.

With targets, list only those processes, those in that namespace, or those of
that cgroup. "-" takes targets from standard input, the first number or word of
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
	cmd.Flags().BoolVar(&o.threads, "threads", false, "list threads too")
	return cmd
}

func runPs(ctx context.Context, s streams, o *psOptions) error {
	if err := o.resolve(s.out); err != nil {
		return err
	}
	view := psView
	if o.threads {
		view = withThreads(view)
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
	rows := make([]psRow, 0, len(snapshot.Processes))
	for i := range snapshot.Processes {
		p := &snapshot.Processes[i]
		if !match.HasPID(p.PID) {
			continue
		}
		rows = append(rows, psRow{p, nil, p.NS, snapshot.Apart(p.NS)})
		if o.threads && o.Format.Tabular() {
			for j := range p.Threads {
				t := &p.Threads[j]
				rows = append(rows, psRow{p, t, t.NS, snapshot.Apart(t.NS)})
			}
		}
	}
	err = show(s.out, &o.viewFlags, view, rows, headOf("nsx/ps/1", snapshot), func(head document, rows []psRow) any {
		return struct {
			document
			Processes []psRow `json:"processes"`
		}{head, rows}
	})
	return o.finish(s.err, snapshot, err)
}

// withThreads adds the column without which threads cannot be told apart.
func withThreads(view *output.View[psRow]) *output.View[psRow] {
	with := *view
	with.Default = slices.Insert(slices.Clone(view.Default), 1, "tid")
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
		{Name: "name", Help: "whose it is: a container, pod, unit …, as a target", Cut: output.CutMiddle, Value: func(r *psRow) output.Cell { return nameCell(r.Identity, r.NameKnown()) }},
		{Name: "apart", Help: "the types of its namespaces that are not those of the boot", Cut: output.CutEnd, Value: func(r *psRow) output.Cell {
			return apartCell(r.apart)
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
	Name:    func(r *psRow) string { return fmt.Sprint(r.PID) },
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
			shown = m.Path
		}
	}
	return output.Text(shown)
}

func cgroupsCell(list []cgroupfs.Membership) output.Cell {
	if list == nil {
		return output.Unknown()
	}
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = strings.Join(m.Controllers, ",") + ":" + m.Path
	}
	return output.Text(strings.Join(texts, " "))
}
