package who

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/proc"
)

// uid answers for uid:100999 and uid:1000@web.
func (a *asker) uid(q question) error {
	if q.at != nil {
		return a.uidInside(q)
	}
	owner := a.subIDOwner(q.number)
	type group struct {
		name string
		ns   uint64
	}
	var order []group
	of := map[group][]int{}
	ids := map[group]*identity.Identity{}
	for i := range a.snapshot.Processes {
		p := &a.snapshot.Processes[i]
		if p.UID == nil || *p.UID != q.number || p.KernelThread {
			continue
		}
		name, id := a.nameOfProcess(p)
		g := group{name, p.NS[inspect.User]}
		if of[g] == nil {
			order = append(order, g)
			ids[g] = id
		}
		of[g] = append(of[g], p.PID)
	}
	slices.SortFunc(order, func(x, y group) int { return cmp.Or(strings.Compare(x.name, y.name), cmp.Compare(x.ns, y.ns)) })
	for _, g := range order {
		answer := Answer{Word: q.word, Kind: KindUID, Name: g.name, Identity: ids[g], Process: a.oldest(of[g]), PIDs: of[g], SubIDsOf: owner}
		if g.ns != 0 {
			answer.Namespace = &inspect.ID{Type: inspect.User, Inode: g.ns}
			answer.Levels = a.uidLevels(*answer.Namespace, q.number)
		}
		a.add(answer)
	}
	if len(order) == 0 {
		a.mapped(q, owner)
	}
	return nil
}

// mapped answers for a uid that no process has: with the user namespaces that have it
// all the same, and with who may give it away.
func (a *asker) mapped(q question, owner string) {
	found := false
	for i := range a.snapshot.Namespaces {
		n := &a.snapshot.Namespaces[i]
		if n.Type != inspect.User || n.IsInitial() || n.Leader == nil {
			continue
		}
		ids, err := a.uidMap(n.Leader.PID)
		if err != nil {
			continue
		}
		if _, ok := ids.Inside(q.number); !ok || isEverybody(ids) {
			continue
		}
		found = true
		id := n.ID()
		name, identity := n.Target()
		a.add(Answer{Word: q.word, Kind: KindUID, Name: name, Identity: identity, Namespace: &id, SubIDsOf: owner, Levels: a.uidLevels(id, q.number)})
	}
	if !found && owner != "" {
		a.add(Answer{Word: q.word, Kind: KindUID, SubIDsOf: owner})
	}
}

// isEverybody says that a map leaves every id as it is.
func isEverybody(ids inspect.IDMap) bool {
	return len(ids) == 1 && ids[0].Inside == 0 && ids[0].Outside == 0 && ids[0].Count == 1<<32-1
}

// uidInside answers for uid:1000@web: what that is called here.
func (a *asker) uidInside(q question) error {
	match, err := a.machine.Match(a.ctx, a.snapshot, *q.at)
	if err != nil {
		return err
	}
	id, err := a.oneNamespace(*q.at, match, inspect.User)
	if err != nil {
		return err
	}
	n := a.snapshot.Namespace(id)
	if n == nil || n.Leader == nil {
		return fmt.Errorf("%s: no process is in %s, so that its map cannot be read", q.at.Word, id)
	}
	ids, err := a.uidMap(n.Leader.PID)
	if err != nil {
		return err
	}
	here, ok := ids.Outside(q.number)
	if !ok {
		a.nothing(q, fmt.Sprintf("uid %d is nobody's in there: its map has %s", q.number, ids))
		return nil
	}
	var pids []int
	for i := range a.snapshot.Processes {
		p := &a.snapshot.Processes[i]
		if p.NS[inspect.User] == id.Inode && p.UID != nil && *p.UID == here && (len(match.PIDs) == 0 || match.HasPID(p.PID)) {
			pids = append(pids, p.PID)
		}
	}
	answer := Answer{Word: q.word, Kind: KindUID, Namespace: &id, PIDs: pids, Process: a.oldest(pids), SubIDsOf: a.subIDOwner(here), Levels: a.uidLevels(id, here)}
	if p := a.oldest(match.PIDs); p != nil {
		answer.Name, answer.Identity = a.nameOfProcess(p)
	} else {
		answer.Name, answer.Identity = n.Target()
	}
	a.add(answer)
	return nil
}

// uidLevels is what a uid is called in a user namespace and in all above it, the topmost
// first.
func (a *asker) uidLevels(id inspect.ID, uid uint32) []Level {
	var levels []Level
	for range 64 { // user namespaces nest 33 deep
		level := Level{Namespace: id}
		n := a.snapshot.Namespace(id)
		if n != nil && n.Leader != nil {
			if ids, err := a.uidMap(n.Leader.PID); err == nil {
				if inside, ok := ids.Inside(uid); ok {
					level.Number = &inside
				}
			}
		} else if n != nil && n.IsInitial() {
			level.Number = &uid
		}
		levels = append(levels, level)
		up := a.parent(id)
		if up == 0 || up == id.Inode {
			break
		}
		id.Inode = up
	}
	// Where nothing tells how they nest, the reader's is above.
	if top := levels[len(levels)-1]; top.Number == nil || *top.Number != uid {
		levels = append(levels, Level{Namespace: inspect.ID{Type: inspect.User}, Number: &uid})
	}
	slices.Reverse(levels)
	return levels
}

// UIDInside is what the user of a process is called in the process's own user namespace,
// nil if nothing. It fails if that cannot be read.
func UIDInside(r *Report, p *inspect.Process) (*uint32, error) {
	if p.UID == nil {
		return nil, fmt.Errorf("the user of process %d is not known", p.PID)
	}
	a := &asker{machine: r.machine, snapshot: r.Snapshot}
	ids, err := a.uidMap(p.PID)
	if err != nil {
		return nil, err
	}
	inside, mapped := ids.Inside(*p.UID)
	if !mapped {
		return nil, nil
	}
	return &inside, nil
}

// uidMap is the map of a process's user namespace, to uids as the reader sees them.
func (a *asker) uidMap(pid int) (inspect.IDMap, error) {
	text, err := proc.Root(a.machine.Root()).ReadFile("proc/"+strconv.Itoa(pid)+"/uid_map", proc.MaxFile)
	if err != nil {
		return nil, err
	}
	return inspect.ParseIDMap(string(text))
}

// subIDs is a line of subuid(5): a user may map count ids from first on.
type subIDs struct {
	owner        string
	first, count uint64
}

// subIDOwner is who may map a uid, by subuid(5): empty if nobody.
func (a *asker) subIDOwner(uid uint32) string {
	if !a.subIDsRead {
		a.subIDsRead = true
		if text, err := proc.Root(a.machine.Root()).ReadFile("etc/subuid", proc.MaxTable); err == nil {
			a.subIDs = parseSubIDs(string(text))
		}
	}
	for _, s := range a.subIDs {
		if uint64(uid) >= s.first && uint64(uid)-s.first < s.count {
			return s.owner
		}
	}
	return ""
}

// parseSubIDs reads lines of OWNER:FIRST:COUNT; others are left out, as the tools do.
func parseSubIDs(text string) (list []subIDs) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		first, ok := proc.Decimal(fields[1])
		count, fine := proc.Decimal(fields[2])
		if ok && fine && fields[0] != "" {
			list = append(list, subIDs{fields[0], first, count})
		}
	}
	return list
}
