package main

import (
	"context"
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
		{Name: "name", Help: "whose it is: a container, pod, unit …, as a target", Cut: output.CutMiddle, Value: namespaceName},
		{Name: "procs", Help: "how many processes are in it", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return countCell(n.NProcs)
		}},
		{Name: "pid", Help: "the process it is named by", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n, func(l *inspect.Leader) output.Cell { return output.Int(int64(l.PID)) })
		}},
		{Name: "ppid", Help: "that process's parent", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n, func(l *inspect.Leader) output.Cell { return output.Int(int64(l.PPID)) })
		}},
		{Name: "uid", Help: "that process's user", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n, func(l *inspect.Leader) output.Cell { return uint32Cell(l.UID) })
		}},
		{Name: "user", Help: "that user's name", Cut: output.CutEnd, Value: func(n *inspect.Namespace) output.Cell {
			return leaderCell(n, userCell)
		}},
		{Name: "id", Help: "the kernel's 64-bit id, never used again (Linux 6.18)", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint64Cell(n.KernelID)
		}},
		netnsidColumn(nil),
		{Name: "parent", Help: "parent of a user or PID namespace", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			if n.Parent == nil && !n.IsInitial() && (n.Type == inspect.User || n.Type == inspect.PID) {
				return output.Unknown() // it lies above our view, or nothing could be asked
			}
			return uint64Cell(n.Parent)
		}},
		{Name: "owner", Help: "the user namespace that owns it", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			if n.Owner == nil && (n.Type != inspect.User || !n.IsInitial()) {
				return output.Unknown()
			}
			return uint64Cell(n.Owner)
		}},
		{Name: "owner-uid", Help: "the user who made its owner (a user namespace: itself)", Right: true, Value: func(n *inspect.Namespace) output.Cell {
			return uint32Cell(n.OwnerUID)
		}},
		{Name: "initial", Help: "yes: the machine booted with it", Value: func(n *inspect.Namespace) output.Cell {
			switch {
			case n.Initial == nil:
				return output.Unknown()
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
			return holdersCell(n.HeldBy)
		}},
		{Name: "command", Help: "command line of the process, or what keeps it alive instead", Cut: output.CutEnd, Value: func(n *inspect.Namespace) output.Cell {
			switch {
			case n.Leader != nil:
				return commandCell(n.Leader.Cmdline, n.Leader.CmdlineCut, n.Leader.Comm)
			case len(n.HeldBy) > 0:
				return holdersCell(n.HeldBy)
			default:
				return leaderCell(n, nil)
			}
		}},
	},
	Default: []string{"ns", "type", "name", "procs", "pid", "user", "command"},
	Wide:    []string{"ns", "type", "name", "id", "procs", "pid", "ppid", "user", "parent", "owner", "owner-uid", "initial", "names", "held-by", "command"},
	Tree:    "ns",
	Name:    func(n *inspect.Namespace) string { return n.ID().String() },
}

// netnsidColumn is the number of a network namespace, which only nsViewFor asks for.
func netnsidColumn(ids map[uint64]int) output.Column[inspect.Namespace] {
	return output.Column[inspect.Namespace]{
		Name: "netnsid", Help: "the number by which our network namespace knows it, as ip netns list-id", Right: true,
		Value: func(n *inspect.Namespace) output.Cell {
			id, known := ids[n.Inode]
			switch {
			case n.Type != inspect.Net || known && id < 0:
				return output.None()
			case !known:
				return output.Unknown()
			}
			return output.Int(int64(id))
		},
	}
}

// nsViewFor is nsView with what is asked for where it is to be shown alone.
func (o *lsOptions) nsViewFor(ctx context.Context, m inspect.Machine, s *inspect.Snapshot) (*output.View[inspect.Namespace], error) {
	if !strings.Contains(o.Columns+o.SortBy+o.Filter, "netnsid") {
		return nsView, nil
	}
	ids, err := m.NetNSIDs(ctx, s)
	if err != nil {
		return nil, err
	}
	view := *nsView
	view.Columns = slices.Clone(view.Columns)
	for i := range view.Columns {
		if view.Columns[i].Name == "netnsid" {
			view.Columns[i] = netnsidColumn(ids)
		}
	}
	return &view, nil
}

// nsColumns are eight columns, one for each type's inode number, by the names
// that ps(1) has for them: a plain "pid" or "user" is the process's. alive says
// that the row must be in some, though none could be read.
func nsColumns[T any](set func(*T) inspect.NSSet, alive func(*T) bool) []output.Column[T] {
	columns := make([]output.Column[T], 0, inspect.NumTypes)
	for _, t := range inspect.Types {
		columns = append(columns, output.Column[T]{
			Name: t.String() + "ns", Help: "inode number of the " + t.String() + " namespace", Right: true,
			Value: func(row *T) output.Cell {
				switch all := set(row); {
				case all[t] != 0:
					return output.Uint(all[t])
				case all == inspect.NSSet{} && alive(row):
					return output.Unknown()
				default: // a zombie's, or the kernel has no such type
					return output.None()
				}
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

func leaderCell(n *inspect.Namespace, cell func(*inspect.Leader) output.Cell) output.Cell {
	switch {
	case n.Leader != nil:
		return cell(n.Leader)
	case !n.NProcs.Known():
		return output.Unknown()
	default:
		return output.None()
	}
}

func countCell(n inspect.Count) output.Cell {
	if !n.Known() {
		return output.Unknown()
	}
	return output.Int(int64(n))
}

func userCell(l *inspect.Leader) output.Cell {
	if l.User == "" {
		return output.Unknown()
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

// holdersCell shows what keeps a namespace: on a narrow terminal the first few,
// and how many there are besides.
func holdersCell(list []inspect.Holder) output.Cell {
	const most = 3
	texts := holderTexts(list)
	short := strings.Join(texts[:min(len(texts), most)], ", ")
	if more := len(texts) - most; more > 0 {
		short += fmt.Sprintf(", +%d", more)
	}
	return output.Text(short).Of(strings.Join(texts, ", ")).With(output.Yellow)
}

// holderTexts names each holder, and a path once, with how many mount namespaces
// have it.
func holderTexts(list []inspect.Holder) []string {
	mounts := map[string]int{}
	for _, h := range list {
		if h.Kind == inspect.HeldByBind {
			mounts[h.Path]++
		}
	}
	texts := make([]string, 0, len(list))
	for _, h := range list {
		text := holderText(h)
		if h.Kind == inspect.HeldByBind {
			n := mounts[h.Path]
			if n == 0 {
				continue
			}
			if n > 1 {
				text += fmt.Sprintf(" (in %d mount namespaces)", n)
			}
			mounts[h.Path] = 0
		}
		texts = append(texts, text)
	}
	return texts
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
