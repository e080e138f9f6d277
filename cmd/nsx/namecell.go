package main

import (
	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
)

// nameCell shows whose something is, by a word that is a target. What runs in plain
// units and sessions is most of a machine, and stands back.
func nameCell(id *identity.Identity, known bool) output.Cell {
	switch {
	case id == nil && !known:
		return output.Unknown()
	case id == nil:
		return output.None()
	}
	cell := output.Text(id.Target())
	if id.OfSystemd() {
		return cell.With(output.Dim)
	}
	return cell
}

// psName is also "host" for what shares all with it and is nobody's, and "kernel" for
// its threads.
func psName(r *psRow) output.Cell {
	if r.Identity == nil && r.KernelThread {
		return output.Text("kernel").With(output.Dim)
	}
	if r.Identity == nil && r.NameKnown() && r.apart != nil && len(r.apart) == 0 {
		return hostCell()
	}
	return nameCell(r.Identity, r.NameKnown())
}

// hostCell is for what the machine booted with.
func hostCell() output.Cell { return output.Text("host").With(output.Dim) }

// namespaceName is whose a namespace is.
func namespaceName(n *inspect.Namespace) output.Cell {
	name, id := n.Target()
	switch {
	case n.IsInitial():
		return hostCell()
	case id == nil && len(n.Names) > 0:
		return output.Text(name)
	}
	return nameCell(id, n.NameKnown())
}
