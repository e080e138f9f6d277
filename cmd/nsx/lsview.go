package main

import (
	"fmt"
	"slices"
	"strings"

	"nsx/inspect"
	"nsx/output"
)

// nsView shows namespaces.
var nsView = &output.View[inspect.Namespace]{
	Columns: []output.Column[inspect.Namespace]{
		{Name: "ns", Help: "inode number, as ls -l /proc/PID/ns shows it", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			c := output.Uint(n.Inode)
			if n.IsInitial() {
				c = c.With(output.Dim)
			}
			return c
		}},
		{Name: "type", Help: "cgroup, ipc, mnt, net, pid, time, user or uts", Value: func(n *inspect.Namespace) output.Cell {
			return output.Text(n.Type.String()).With(output.Cyan)
		}},
		{Name: "nprocs", Help: "how many processes are in it", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return output.Int(int64(n.NProcs))
		}},
		{Name: "pid", Help: "the process it is named by", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n.Leader, func(l *inspect.Leader) output.Cell { return output.Int(int64(l.PID)) })
		}},
		{Name: "ppid", Help: "that process's parent", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n.Leader, func(l *inspect.Leader) output.Cell { return output.Int(int64(l.PPID)) })
		}},
		{Name: "uid", Help: "that process's user", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n.Leader, func(l *inspect.Leader) output.Cell { return uint32Cell(l.UID) })
		}},
		{Name: "user", Help: "that user's name", Cut: output.CutEnd, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n.Leader, userCell)
		}},
		{Name: "id", Help: "the kernel's 64-bit id, never used again (Linux 6.18)", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint64Cell(n.KernelID)
		}},
		{Name: "parent", Help: "parent of a user or PID namespace", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint64Cell(n.Parent)
		}},
		{Name: "owner", Help: "the user namespace that owns it", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint64Cell(n.Owner)
		}},
		{Name: "owner-uid", Help: "the user who made its owner (a user namespace: itself)", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint32Cell(n.OwnerUID)
		}},
		{Name: "initial", Help: "yes: the machine booted with it", Value: func(n *inspect.Namespace) output.Cell {
			switch {
			case n.Initial == nil:
				return output.None()
			case *n.Initial:
				return output.Text("yes")
			default:
				return output.Text("no")
			}
		}},
		{Name: "names", Help: "its names in /run/netns", Cut: output.CutEnd, Value: func(n *inspect.Namespace) output.Cell {
			if len(n.Names) == 0 {
				return output.None()
			}
			return output.Text(strings.Join(n.Names, ",")).With(output.Green)
		}},
		{Name: "held-by", Help: "what keeps it besides processes", Cut: output.CutMiddle, Value: func(n *inspect.Namespace) output.Cell {
			if len(n.HeldBy) == 0 {
				return output.None()
			}
			return output.Text(holders(n.HeldBy)).With(output.Yellow)
		}},
		{Name: "command", Help: "command line of the process, or what keeps it alive instead", Cut: output.CutEnd, Value: func(n *inspect.Namespace) output.Cell {
			switch {
			case n.Leader != nil:
				return commandCell(n.Leader.Cmdline, n.Leader.CmdlineCut, n.Leader.Comm)
			case len(n.HeldBy) > 0:
				return output.Text(holders(n.HeldBy)).With(output.Yellow)
			default:
				return output.None()
			}
		}},
	},
	Default: []string{"ns", "type", "nprocs", "pid", "user", "command"},
	Wide:    []string{"ns", "type", "id", "nprocs", "pid", "ppid", "user", "parent", "owner", "owner-uid", "initial", "names", "held-by", "command"},
	Tree:    "ns",
	Name:    func(n *inspect.Namespace) string { return n.ID().String() },
}

// setView shows sets of processes that share all their namespaces.
var setView = &output.View[inspect.Set]{
	Columns: append([]output.Column[inspect.Set]{
		{Name: "nprocs", Help: "how many processes are in it", Right: true, Value: func(s *inspect.Set) output.Cell {
			return output.Int(int64(s.NProcs))
		}},
		{Name: "pid", Help: "the process it is named by", Right: true, Value: func(s *inspect.Set) output.Cell {
			return output.Int(int64(s.Leader.PID))
		}},
		{Name: "user", Help: "that process's user", Cut: output.CutEnd, Value: func(s *inspect.Set) output.Cell { return userCell(s.Leader) }},
		{Name: "apart", Help: "the types that are not those of the boot", Value: func(s *inspect.Set) output.Cell {
			if len(s.Apart) == 0 {
				return output.None()
			}
			return output.Text(typeList(s.Apart)).With(output.Cyan)
		}},
		{Name: "command", Help: "command line of that process", Cut: output.CutEnd, Value: func(s *inspect.Set) output.Cell {
			return commandCell(s.Leader.Cmdline, s.Leader.CmdlineCut, s.Leader.Comm)
		}},
	}, nsColumns(func(s *inspect.Set) inspect.NSSet { return s.NS })...),
	Default: []string{"nprocs", "pid", "user", "apart", "command"},
	Wide:    slices.Concat([]string{"nprocs", "pid", "user", "apart"}, nsColumnNames(), []string{"command"}),
	Name:    func(s *inspect.Set) string { return fmt.Sprint(s.Leader.PID) },
}

// nsColumns are eight columns, one for each type's inode number, by the names
// that ps(1) has for them: a plain "pid" or "user" is the process's.
func nsColumns[T any](set func(*T) inspect.NSSet) []output.Column[T] {
	columns := make([]output.Column[T], 0, inspect.NumTypes)
	for _, t := range inspect.Types {
		columns = append(columns, output.Column[T]{
			Name: t.String() + "ns", Help: "inode number of the " + t.String() + " namespace", Right: true,
			Value: func(row *T) output.Cell {
				inode := set(row)[t]
				if inode == 0 {
					return output.None()
				}
				return output.Uint(inode)
			},
		})
	}
	return columns
}

func nsColumnNames() []string {
	names := typeNames()
	for i := range names {
		names[i] += "ns"
	}
	return names
}

func leaderCell(l *inspect.Leader, cell func(*inspect.Leader) output.Cell) output.Cell {
	if l == nil {
		return output.None()
	}
	return cell(l)
}

func userCell(l *inspect.Leader) output.Cell {
	if l.User == "" {
		return output.None()
	}
	return output.Text(l.User)
}

// commandCell shows a command line, or the name in the notation of ps(1) where
// there is none: kernel threads, zombies, and what could not be read.
func commandCell(cmdline []string, cut bool, comm string) output.Cell {
	if len(cmdline) == 0 {
		return output.Text("[" + comm + "]")
	}
	text := strings.Join(cmdline, " ")
	if cut {
		text += "…"
	}
	return output.Text(text)
}

func typeList(types []inspect.Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, ",")
}

// holders is what keeps a namespace, as one text: the first few, and how many
// there are besides.
func holders(list []inspect.Holder) string {
	const most = 3
	var b strings.Builder
	for i, h := range list[:min(len(list), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(holderText(h))
	}
	if more := len(list) - most; more > 0 {
		fmt.Fprintf(&b, ", +%d", more)
	}
	return b.String()
}

func holderText(h inspect.Holder) string {
	switch h.Kind {
	case inspect.HeldByThread:
		return fmt.Sprintf("thread %d/%d", h.PID, h.TID)
	case inspect.HeldByFD, inspect.HeldBySocket:
		return fmt.Sprintf("%s %d of %d", h.Kind, *h.FD, h.PID)
	case inspect.HeldByBind:
		return "bind " + h.Path
	case inspect.HeldByForChildren:
		return fmt.Sprintf("for children of %d", h.PID)
	case inspect.HeldByChild:
		return "child " + h.Child.String()
	default:
		return string(h.Kind)
	}
}
