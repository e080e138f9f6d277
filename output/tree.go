package output

import "io"

// Node is a row with the rows below it.
type Node[T any] struct {
	Row      T
	Children []*Node[T]
}

// PrintTree writes trees of rows like [View.Print] writes rows, with lines
// that connect them in the column View.Tree. Sorting keeps siblings together:
// it sorts the roots, and the children of each row. Filtering keeps the rows
// that match and, so that one sees where they hang, the rows above them.
func (v *View[T]) PrintTree(w io.Writer, roots []*Node[T], o Options) error {
	p, err := v.plan(o)
	if err != nil {
		return err
	}
	roots, err = p.prune(roots)
	if err != nil {
		return err
	}
	var rows []*T
	var leads []string
	deepest := deepestPiped
	if o.Width > 0 {
		deepest = max(o.Width/4, 2)
	}
	for _, root := range roots {
		rows, leads = flatten(root, "", "", deepest, rows, leads)
	}
	return p.print(w, rows, leads)
}

// SelectTree returns the trees that [View.PrintTree] prints, for documents that
// are trees as well. The trees that it is given stay as they are.
func (v *View[T]) SelectTree(roots []*Node[T], o Options) ([]*Node[T], error) {
	p, err := v.plan(o)
	if err != nil {
		return nil, err
	}
	return p.prune(roots)
}

// prune returns copies of the nodes that pass the filter, or have one below
// them that does, with siblings sorted.
func (p *plan[T]) prune(siblings []*Node[T]) ([]*Node[T], error) {
	kept := make([]*Node[T], 0, len(siblings))
	for _, n := range siblings {
		children, err := p.prune(n.Children)
		if err != nil {
			return nil, err
		}
		ok := p.filter == nil || len(children) > 0
		if !ok {
			if ok, err = p.match(&n.Row); err != nil {
				return nil, err
			}
		}
		if ok {
			kept = append(kept, &Node[T]{Row: n.Row, Children: children})
		}
	}
	sortRows(p, kept, func(n *Node[T]) *T { return &n.Row })
	return kept, nil
}

// deepestPiped is how many levels are drawn where there is no terminal; on one they
// take half of its width. What is deeper stands at the last of them: a chain of
// thousands of processes would take as many lines for each.
const deepestPiped = 64

// flatten appends n and what is below it in the order of printing. lead is what
// stands in front of n itself, below what stands in front of its children.
func flatten[T any](n *Node[T], lead, below string, levels int, rows []*T, leads []string) ([]*T, []string) {
	rows, leads = append(rows, &n.Row), append(leads, lead)
	for i, child := range n.Children {
		branch, trunk := "├─", "│ "
		if i == len(n.Children)-1 {
			branch, trunk = "└─", "  "
		}
		if levels > 1 {
			rows, leads = flatten(child, below+branch, below+trunk, levels-1, rows, leads)
		} else {
			rows, leads = flatten(child, below+branch, below, 1, rows, leads)
		}
	}
	return rows, leads
}
