package main

import (
	"fmt"
	"slices"

	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
)

// isolatedView shows who is isolated from whom.
var isolatedView = &output.View[isolated]{
	Columns: append([]output.Column[isolated]{
		{Name: "name", Help: "whose it is: a container, pod, unit …, as a target", Cut: output.CutMiddle, Keep: 22, Value: isolatedName},
		{Name: "apart", Help: "types not the boot's; or what a container SHARES with the host", Cut: output.CutEnd, Keep: 14, Value: func(r *isolated) output.Cell {
			return apartCell(r.apart, r.identity())
		}},
		{Name: "procs", Help: "how many processes are in it", Right: true, Value: func(r *isolated) output.Cell { return countCell(r.procs) }},
		{Name: "pid", Help: "the process it is named by", Right: true, Value: func(r *isolated) output.Cell {
			switch {
			case r.set == nil:
				return output.None().Rest(heldText(r)).With(output.Yellow)
			case r.folded > 1:
				return output.None()
			}
			return output.Int(int64(r.set.Leader.PID))
		}},
		{Name: "user", Help: "that process's user; in a container a number, or root", Cut: output.CutEnd, Keep: 6, Value: func(r *isolated) output.Cell {
			if r.set == nil {
				return output.None()
			}
			return insideUserCell(r.set)
		}},
		{Name: "memory", Help: "what its own group uses, with those below it", Right: true, Value: func(r *isolated) output.Cell {
			n, ok := r.memory.Get()
			switch {
			case r.memory.Err() != nil:
				return output.Unknown()
			case !ok:
				return output.None()
			}
			return output.Int(n).As(roundSize(float64(n)))
		}},
		{Name: "command", Help: "its command line, or what keeps the namespace alive", Cut: output.CutEnd, Value: func(r *isolated) output.Cell {
			switch {
			case r.set == nil:
				return output.Text(heldText(r)).With(output.Yellow)
			case r.units != "":
				return output.Text(r.units)
			}
			return commandCell(r.set.Leader.Cmdline, r.set.Leader.CmdlineCut, r.set.Leader.Comm)
		}},
	}, nsColumns(isolatedNS, func(r *isolated) bool { return r.set != nil })...),
	Default: []string{"name", "apart", "procs", "pid", "user", "memory", "command"},
	Wide:    slices.Concat([]string{"name", "apart", "procs", "pid", "user", "memory"}, nsColumnNames(), []string{"command"}),
	Tree:    "name",
	Row: func(r *isolated) output.Style {
		if r.rank == rankHost || r.rank == rankUnit || r.rank == rankKernel {
			return output.Dim
		}
		return output.Plain
	},
	Name: func(r *isolated) string {
		if r.name == "" || r.rank == rankKernel {
			return fmt.Sprint(r.set.Leader.PID)
		}
		return r.name
	},
}

func isolatedNS(r *isolated) inspect.NSSet {
	if r.set != nil {
		return r.set.NS
	}
	var set inspect.NSSet
	set[r.ns.Type] = r.ns.Inode
	return set
}

func isolatedName(r *isolated) output.Cell {
	switch {
	case r.folded > 1 && r.rank == rankUnit:
		return output.Text(fmt.Sprintf("%d units", r.folded))
	case r.folded > 1:
		return output.Text(fmt.Sprintf("%s (%d)", r.shownName(), r.folded))
	case r.part != "":
		return output.Text(r.part).Meaning(r.name)
	case r.name == "" && !r.known:
		return output.Unknown()
	case r.name == "":
		return output.None()
	}
	return output.Text(r.name)
}

func (r *isolated) shownName() string {
	if r.part != "" {
		return r.part
	}
	return r.name
}

func heldText(r *isolated) string {
	if len(r.ns.HeldBy) == 0 {
		return "held by nothing that was looked at: --all"
	}
	return "held by " + holdersCell(r.ns.HeldBy).String()
}

// insideUserCell shows a user by name only where the host's list of users is the
// process's: in a container another one has that number.
func insideUserCell(set *inspect.Set) output.Cell {
	id, l := set.Identity, set.Leader
	inside := (id.Contained() || id != nil && id.Kind == identity.Machine) && slices.Contains(set.Apart, inspect.Mnt)
	if inside && l.UID != nil && *l.UID != 0 {
		return output.Text(fmt.Sprint(*l.UID))
	}
	return userCell(l)
}
