package main

import (
	"fmt"

	"nsx/inspect"
	"nsx/output"
)

// changeRow is what became of a namespace, or of a set of processes.
type changeRow struct {
	Event string `json:"event"` // born, died or changed
	inspect.Change
}

// changes compares what was saved at two times.
func (o *diffOptions) changes(s streams, before, after *inspect.Snapshot) error {
	if err := changeView.Check(o.Options); err != nil {
		return usage(err)
	}
	if before.Host != after.Host {
		fmt.Fprintf(s.err, "note: %s is of host %s and %s of %s\n", output.Escape(o.a), output.Escape(before.Host), output.Escape(o.b), output.Escape(after.Host))
	}
	c := before.Diff(after)
	rows := changeRows(c)
	complete := before.Complete && after.Complete
	chosen, err := changeView.Select(rows, o.Options)
	if err != nil {
		return usage(err)
	}
	if err := printDiff(s, &o.viewFlags, changeView, chosen, struct {
		diffHead
		inspect.Changes
	}{diffHead{"nsx/diff/1", o.a, o.b, complete}, c}); err != nil {
		return err
	}
	if !complete {
		fmt.Fprintln(s.err, "some processes could not be read: what seems to be born or to have died may be theirs")
	}
	if len(rows) == 0 && o.Format == output.Table {
		fmt.Fprintln(s.out, "the same sets and namespaces")
	}
	return o.status(len(rows), complete)
}

// changeRows are a row for each set, and for each namespace that is in none of these.
func changeRows(c inspect.Changes) []changeRow {
	rows := []changeRow{}
	for _, part := range []struct {
		event string
		list  []inspect.Change
	}{{"born", c.Born}, {"died", c.Died}, {"changed", c.Changed}} {
		within := map[inspect.ID]bool{}
		for _, change := range part.list {
			if change.Set == nil {
				continue
			}
			rows = append(rows, changeRow{part.event, change})
			for t, inode := range change.Set.NS {
				within[inspect.ID{Type: inspect.Type(t), Inode: inode}] = true
			}
		}
		for _, change := range part.list {
			if change.Namespace != nil && !within[change.Namespace.ID()] {
				rows = append(rows, changeRow{part.event, change})
			}
		}
	}
	return rows
}

var changeView = &output.View[changeRow]{
	Columns: []output.Column[changeRow]{
		{Name: "event", Help: "born, died, changed", Value: func(r *changeRow) output.Cell { return output.Text(r.Event) }},
		{Name: "name", Help: "of what", Cut: output.CutMiddle, Value: func(r *changeRow) output.Cell {
			if r.Set != nil {
				if r.Set.Identity != nil {
					return output.Text(r.Set.Identity.Target())
				}
				return output.None()
			}
			if len(r.Namespace.Names) > 0 {
				return output.Text("netns:" + r.Namespace.Names[0])
			}
			return output.Text(r.Namespace.ID().Target())
		}},
		{Name: "what", Help: "what it is", Cut: output.CutEnd, Value: func(r *changeRow) output.Cell { return output.Text(r.what()) }},
	},
	Name: func(r *changeRow) string {
		if r.Set != nil {
			return fmt.Sprint(r.Set.Leader.PID)
		}
		return r.Namespace.ID().String()
	},
}

func (r *changeRow) what() string {
	switch {
	case r.Set != nil && r.Set.Leader != nil:
		l := r.Set.Leader
		return fmt.Sprintf("%d %s, %s", l.PID, commandCell(l.Cmdline, l.CmdlineCut, l.Comm), apartCell(r.Set.Apart, r.Set.Identity))
	case r.Set != nil:
		return "a set of processes"
	case r.Before != nil:
		return fmt.Sprintf("%s processes, before %s%s", countCell(r.Namespace.NProcs), countCell(*r.Before), heldSuffix(r.Namespace))
	}
	return fmt.Sprintf("%s processes%s", countCell(r.Namespace.NProcs), heldSuffix(r.Namespace))
}

func heldSuffix(n *inspect.Namespace) string {
	if len(n.HeldBy) == 0 {
		return ""
	}
	return ", held by " + holdersCell(n.HeldBy).String()
}
