package inspect

import (
	"slices"
)

// grouping collects namespaces while a scan goes on: by process first, then
// by what the kernel and the mount tables say. Each step is one pass over the data:
// no loop over a list is inside another one.
type grouping struct {
	processes []Process
	parents   []*Process // of each of them; nil where it was not found
	list      []Namespace
	index     [TypeLen]map[uint64]int // inode number → place in list
}

func newGrouping(processes []Process) *grouping {
	g := &grouping{processes: processes}
	for t := range g.index {
		g.index[t] = map[uint64]int{}
	}
	g.findParents()
	// Most processes share all their namespaces with another, so that a look-up
	// of all eight at once serves most of them.
	type places [TypeLen]int32
	var rows []places
	known := map[NSSet]int32{}           // place in rows
	row := make([]int32, len(processes)) // of each process
	total := 0
	for i := range processes {
		set := processes[i].NS
		at, found := known[set]
		if !found {
			at = int32(len(rows))
			known[set] = at
			var r places
			for t, inode := range set {
				if inode != 0 {
					r[t] = int32(g.add(ID{Type(t), inode}))
				}
			}
			rows = append(rows, r)
		}
		row[i] = at
		for t, inode := range set {
			if inode != 0 {
				g.list[rows[at][t]].NProcs++
				total++
			}
		}
	}
	// All lists of PIDs share one array, so that 10,000 processes in
	// 500 sets cost one allocation and not thousands of growing ones.
	slab := make([]int, total)
	for i := range g.list {
		n := g.list[i].NProcs
		g.list[i].PIDs, slab = slab[:0:n], slab[n:]
	}
	leads := make([]lead, len(g.list))
	for i := range processes {
		p, parent := &processes[i], g.parents[i]
		for t, inode := range p.NS {
			if inode != 0 {
				at := rows[row[i]][t]
				n := &g.list[at]
				n.PIDs = append(n.PIDs, p.PID)
				leads[at].consider(p, parent == nil || parent.NS[t] != inode)
			}
		}
	}
	for i := range leads {
		g.list[i].Leader = leads[i].leader()
	}
	g.addThreads()
	return g
}

// findParents finds each process's parent among the others.
func (g *grouping) findParents() {
	g.parents = make([]*Process, len(g.processes))
	for i := range g.processes {
		if at, found := searchPID(g.processes, g.processes[i].PPID); found {
			g.parents[i] = &g.processes[at]
		}
	}
}

// lead is the choice, so far, of the process to name a group of processes by.
type lead struct {
	process *Process
	rank    int
}

// consider takes a member into account. One is topmost if its parent is no
// member; several may be (two containers that share a namespace, orphans), so
// the oldest of them leads. Kernel threads and zombies come last: they say
// nothing about what the group is for.
func (l *lead) consider(p *Process, topmost bool) {
	rank := 1
	if topmost {
		rank = 2
	}
	if !p.KernelThread && p.State != Zombie {
		rank += 2
	}
	if l.process == nil || rank > l.rank || rank == l.rank && p.StartTicks < l.process.StartTicks {
		*l = lead{p, rank}
	}
}

func (l *lead) leader() *Leader {
	if l.process == nil {
		return nil
	}
	return &Leader{PID: l.process.PID, PPID: l.process.PPID, Comm: l.process.Comm}
}

// add finds a namespace's place in the list, or makes one.
func (g *grouping) add(id ID) int {
	i, known := g.index[id.Type][id.Inode]
	if !known {
		i = len(g.list)
		g.index[id.Type][id.Inode] = i
		g.list = append(g.list, Namespace{Type: id.Type, Inode: id.Inode, PIDs: []int{}, Names: []string{}, HeldBy: []Holder{}})
	}
	return i
}

func (g *grouping) has(id ID) bool {
	_, known := g.index[id.Type][id.Inode]
	return known
}

func (g *grouping) hold(id ID, h Holder) {
	n := &g.list[g.add(id)]
	n.HeldBy = append(n.HeldBy, h)
}

// addThreads adds what threads and future children are in.
func (g *grouping) addThreads() {
	for i := range g.processes {
		p := &g.processes[i]
		for _, thread := range p.Threads {
			for _, t := range Types {
				if inode := thread.NS[t]; inode != 0 && inode != p.NS[t] {
					g.hold(ID{t, inode}, Holder{Kind: HeldByThread, PID: p.PID, TID: thread.TID})
				}
			}
		}
		if p.PIDForChildren != 0 {
			g.hold(ID{PID, p.PIDForChildren}, Holder{Kind: HeldByForChildren, PID: p.PID})
		}
		if p.TimeForChildren != 0 {
			g.hold(ID{Time, p.TimeForChildren}, Holder{Kind: HeldByForChildren, PID: p.PID})
		}
	}
}

// finish sorts and settles what depends on everything else. It sorts first, so
// that what is listed on the way is in order too.
func (g *grouping) finish(sets bool) ([]Namespace, []Set) {
	slices.SortFunc(g.list, func(a, b Namespace) int { return compareIDs(a.ID(), b.ID()) })
	for i := range g.list {
		g.index[g.list[i].Type][g.list[i].Inode] = i
	}
	g.markInitial()
	g.copyOwnerUIDs()
	g.holdByChildren()
	var groups []Set
	if sets {
		groups = g.sets()
	}
	return g.list, groups
}

// copyOwnerUIDs shows a user namespace's uid at whatever it owns.
func (g *grouping) copyOwnerUIDs() {
	for i := range g.list {
		n := &g.list[i]
		if n.Type == User || n.Owner == nil {
			continue
		}
		if at, known := g.index[User][*n.Owner]; known {
			n.OwnerUID = g.list[at].OwnerUID
		}
	}
}

// holdByChildren tells of the namespaces without a process which others keep
// them: a child its parent, and any namespace its owner.
func (g *grouping) holdByChildren() {
	for i := range g.list {
		n := &g.list[i]
		child := n.ID()
		hold := func(t Type, inode *uint64) {
			if inode == nil {
				return
			}
			if at, known := g.index[t][*inode]; known && g.list[at].NProcs == 0 {
				g.list[at].HeldBy = append(g.list[at].HeldBy, Holder{Kind: HeldByChild, Child: &child})
			}
		}
		hold(n.Type, n.Parent)
		if n.Type != User { // a user namespace's owner is its parent
			hold(User, n.Owner)
		}
	}
}

// markInitial marks the namespaces of the boot by comparison with those who
// are still in them: kthreadd, the kernel thread without a parent, and PID 1
// beside it. Where no such thread is to be seen (the /proc of a container)
// or to be read (as an ordinary user), nothing is known, and nothing is said.
//
// PID 1 decides on the mount namespace if it can be read, for a kernel may
// keep its threads away from init's file systems.
func (g *grouping) markInitial() {
	var boot NSSet
	for i := range g.processes {
		p := &g.processes[i]
		if p.KernelThread && p.PPID == 0 && p.NS != (NSSet{}) {
			boot = p.NS
			if init := g.processes[0]; init.PID == 1 && init.NS[Mnt] != 0 {
				boot[Mnt] = init.NS[Mnt]
			}
			break
		}
	}
	for i := range g.list {
		if n := &g.list[i]; boot[n.Type] != 0 {
			initial := boot[n.Type] == n.Inode
			n.Initial = &initial
		}
	}
}
