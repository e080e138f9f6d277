package main

import (
	"fmt"
	"strings"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/output"
)

// foldFrom is how many rows are one, on a terminal.
const foldFrom = 4

// fold makes one row of those that are alike, with what is below them: containers of
// one make, whose names differ in their last part alone, and units. It returns how
// many rows there were.
func fold(roots []*output.Node[isolated]) (folded []*output.Node[isolated], before int) {
	keys := make([]string, len(roots))
	alike := map[string][]*output.Node[isolated]{}
	for i, n := range roots {
		keys[i] = foldKey(n)
		alike[keys[i]] = append(alike[keys[i]], n)
	}
	for i, n := range roots {
		before += size(n)
		group := alike[keys[i]]
		switch {
		case keys[i] == "" || len(group) < foldFrom:
			folded = append(folded, n)
		case group[0] == n:
			folded = append(folded, merged(group))
		}
	}
	return folded, before
}

func size(n *output.Node[isolated]) int {
	total := 1
	for _, child := range n.Children {
		total += size(child)
	}
	return total
}

// foldKey is equal for rows that are alike, and empty for those that stand alone.
func foldKey(n *output.Node[isolated]) string {
	r := &n.Row
	if r.folded > 1 {
		return ""
	}
	var key strings.Builder
	fmt.Fprint(&key, r.rank, r.set == nil, joinTypes(r.apart, ","), stem(r.name))
	switch r.rank {
	case rankHost, rankNameless:
		return ""
	case rankUnit, rankKernel:
		if len(n.Children) > 0 || !littleApart(r.apart) {
			return ""
		}
		return fmt.Sprint(r.rank)
	case rankContainer:
		key.WriteString(r.identity().Image)
	}
	for _, child := range n.Children {
		c := &child.Row
		if len(child.Children) > 0 {
			return ""
		}
		fmt.Fprint(&key, "\n", c.part, joinTypes(c.apart, ","), c.rank)
	}
	return key.String()
}

// littleApart says that units and kernel threads with such namespaces are no news.
func littleApart(types []inspect.Type) bool {
	for _, t := range types {
		switch t {
		case inspect.Mnt, inspect.UTS, inspect.IPC, inspect.Net:
		default:
			return false
		}
	}
	return types != nil
}

// stem is a name without its last part, as a pattern that finds its like.
func stem(name string) string {
	if at := strings.LastIndexAny(name, "-_."); at > 0 {
		return name[:at+1] + "*"
	}
	return name
}

// merged is the row of all of them.
func merged(group []*output.Node[isolated]) *output.Node[isolated] {
	one := &output.Node[isolated]{Row: sum(group)}
	for i, child := range group[0].Children {
		all := make([]*output.Node[isolated], len(group))
		for j, n := range group {
			all[j] = n.Children[i]
		}
		one.Children = append(one.Children, &output.Node[isolated]{Row: sum(all)})
		one.Children[i].Row.part = child.Row.part
	}
	return one
}

func unitNames(group []*output.Node[isolated]) string {
	names := make([]string, len(group))
	for i, n := range group {
		names[i] = strings.TrimPrefix(n.Row.name, "unit:")
	}
	return strings.Join(names, ", ")
}

func sum(group []*output.Node[isolated]) isolated {
	r := group[0].Row
	r.folded = len(group)
	if r.rank == rankUnit {
		r.units = unitNames(group)
	} else {
		r.name = stem(r.name)
	}
	memory, known := int64(0), true
	for i, n := range group {
		if i > 0 {
			if r.procs.Known() && n.Row.procs.Known() {
				r.procs += n.Row.procs
			} else {
				r.procs = inspect.UnknownCount
			}
		}
		bytes, ok := n.Row.memory.Get()
		memory, known = memory+bytes, known && ok
	}
	r.memory = cgroupfs.Value[int64]{}
	if known {
		r.memory = cgroupfs.Number(memory)
	}
	return r
}
