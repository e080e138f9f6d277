package inspect

// Node is a namespace with those below it in a tree.
type Node struct {
	ID       ID
	Children []*Node
}

// OwnerForest is the user namespaces as their hierarchy, each with all that it
// owns. Namespaces whose owner is not known or not in the snapshot are roots.
func (s *Snapshot) OwnerForest() []*Node {
	return s.forest(func(n *Namespace) (ID, bool) {
		if n.Owner == nil {
			return ID{}, false
		}
		return ID{User, *n.Owner}, true
	}, func(*Namespace) bool { return true })
}

// PIDForest is the PID namespaces as they are nested.
func (s *Snapshot) PIDForest() []*Node {
	return s.forest(func(n *Namespace) (ID, bool) {
		if n.Parent == nil {
			return ID{}, false
		}
		return ID{PID, *n.Parent}, true
	}, func(n *Namespace) bool { return n.Type == PID })
}

// forest hangs each wanted namespace below the one that above names. User
// namespaces come after what their owner owns otherwise, so that a subtree
// does not part siblings. There is no ring in the kernel, but an inode number
// that was used again while the scan ran may look like one: it is cut open.
func (s *Snapshot) forest(above func(*Namespace) (ID, bool), want func(*Namespace) bool) []*Node {
	nodes := make(map[ID]*Node, len(s.Namespaces))
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; want(n) {
			nodes[n.ID()] = &Node{ID: n.ID()}
		}
	}
	var roots []*Node
	parents := map[*Node]*Node{}
	isBelow := func(n, top *Node) bool {
		for n != nil && n != top {
			n = parents[n]
		}
		return n == top
	}
	for _, users := range []bool{false, true} {
		for i := range s.Namespaces {
			n := &s.Namespaces[i]
			if (n.Type == User) != users || !want(n) {
				continue
			}
			node := nodes[n.ID()]
			id, known := above(n)
			if parent := nodes[id]; known && parent != nil && !isBelow(parent, node) {
				parents[node] = parent
				parent.Children = append(parent.Children, node)
			} else {
				roots = append(roots, node)
			}
		}
	}
	return roots
}
