package who

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/proc"
	"nsx/internal/words"
)

// target answers for what every command takes: processes, namespaces, cgroups, names.
func (a *asker) target(q question) error {
	match, err := a.machine.Match(a.ctx, a.snapshot, q.ref)
	if q.ref.Kind == inspect.RefName && errors.Is(err, inspect.ErrAmbiguous) {
		a.ambiguous(q)
		return nil
	}
	plain := q.kind == KindProcess && q.ref.TID == 0 && q.ref.PIDFDInode == 0
	// EXDEV: the number may be two processes, one of another PID namespace.
	if p := a.snapshot.Process(q.ref.PID); plain && p != nil && err != nil && !errors.Is(err, inspect.ErrGone) && !errors.Is(err, unix.EXDEV) {
		match, err = inspect.Match{PIDs: []int{p.PID}}, nil // its namespaces may not be read, but it is there
	}
	switch {
	case plain && strings.TrimPrefix(q.ref.Word, "pid:") == strconv.Itoa(q.ref.PID):
		found := err == nil
		if found {
			a.processes(q, match.PIDs)
		} else if errors.Is(err, inspect.ErrGone) {
			found = a.thread(q)
		}
		// Whoever has the number from inside a container does not know ours, but says
		// nothing but the number. Number 1 is in every one of them.
		bare := q.ref.PID != 1 && !strings.HasPrefix(q.ref.Word, "pid:")
		if found = bare && a.inside(q, q.ref.PID, inspect.ID{}) > 0 || found; found {
			return nil
		}
		return err
	case q.kind == KindGroup && errors.Is(err, inspect.ErrGone):
		if below := a.below(q.ref.Path); len(below) > 0 {
			a.things(q, below)
			return nil
		}
		return err
	case q.ref.Kind == inspect.RefName && errors.Is(err, inspect.ErrGone):
		if a.named(q, q.ref.Path) > 0 {
			return nil
		}
		return err
	case err != nil:
		return err
	case q.kind == KindProcess:
		a.processes(q, match.PIDs)
		if q.ref.TID != 0 {
			a.aboutThread(q.ref.TID)
		}
	case q.kind == KindNamespace, q.ref.Kind == inspect.RefName && len(match.PIDs) == 0:
		for _, id := range match.Namespaces {
			a.namespace(q, id)
		}
	default:
		a.things(q, match.PIDs)
	}
	return nil
}

// below are the processes in the groups below one.
func (a *asker) below(group string) (pids []int) {
	for i := range a.snapshot.Processes {
		p := &a.snapshot.Processes[i]
		if slices.ContainsFunc(p.Cgroups, func(m cgroupfs.Membership) bool { return strings.HasPrefix(m.Path, strings.TrimSuffix(group, "/")+"/") }) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// ambiguous answers for a name that several things have: with all of them.
func (a *asker) ambiguous(q question) {
	var pids []int
	for i := range a.snapshot.Processes {
		p := &a.snapshot.Processes[i]
		if p.Identity != nil && q.ref.Query.Matches(p.Identity) {
			pids = append(pids, p.PID)
		}
	}
	a.things(q, pids)
	for i := range a.snapshot.Namespaces {
		if n := &a.snapshot.Namespaces[i]; slices.Contains(n.Names, q.ref.Path) {
			a.namespace(q, n.ID())
		}
	}
}

// processes answers for each of some processes.
func (a *asker) processes(q question, pids []int) {
	for _, pid := range pids {
		p := a.snapshot.Process(pid)
		name, id := a.nameOfProcess(p)
		a.add(Answer{Word: q.word, Kind: KindProcess, Name: name, Identity: id, Process: p, PIDs: []int{pid}, Levels: a.pidLevels(p)})
	}
}

// thread answers for the number of a thread that is no process's, and says whether it is
// one: /proc has a directory for it, too, which is not listed.
func (a *asker) thread(q question) bool {
	text, err := proc.Root(a.machine.Root()).ReadFile("proc/"+strconv.Itoa(q.ref.PID)+"/status", proc.MaxFile)
	if err != nil {
		return false
	}
	status, err := proc.ParseStatus(string(text))
	p := a.snapshot.Process(status.PID)
	if err != nil || p == nil || status.PID == q.ref.PID {
		return false
	}
	a.processes(q, []int{p.PID})
	a.aboutThread(q.ref.PID)
	return true
}

// aboutThread makes the last answer, which is about a process, one about its thread.
func (a *asker) aboutThread(tid int) {
	answer := &a.report.Answers[len(a.report.Answers)-1]
	p := answer.Process
	if tid == p.PID {
		return
	}
	answer.TID = tid
	at := slices.IndexFunc(p.Threads, func(t inspect.Thread) bool { return t.TID == tid })
	if at < 0 {
		return
	}
	for t, inode := range p.Threads[at].NS {
		if inode == p.NS[t] || inode == 0 {
			continue
		}
		if answer.Thread == nil {
			answer.Thread = &p.Threads[at]
			answer.Name, answer.Identity = "", nil
		}
		if n := a.snapshot.Namespace(p.Threads[at].NS.ID(inspect.Type(t))); n != nil && answer.Name == "" {
			answer.Name, answer.Identity = n.Target()
		}
	}
}

// things answers for each container, unit or the like that some processes are of.
func (a *asker) things(q question, pids []int) {
	type thing struct{ name, id string } // several may have one name
	var things []thing
	of := map[thing][]int{}
	ids := map[thing]*identity.Identity{}
	for _, pid := range pids {
		name, id := a.nameOfProcess(a.snapshot.Process(pid))
		key := thing{name: name}
		if id != nil {
			key.id = id.ByID()
		}
		if of[key] == nil {
			things = append(things, key)
			ids[key] = id
		}
		of[key] = append(of[key], pid)
	}
	slices.SortFunc(things, func(a, b thing) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id)) })
	for _, key := range things {
		p := a.oldest(of[key])
		answer := Answer{Word: q.word, Kind: q.kind, Name: key.name, Identity: ids[key], Process: p, PIDs: of[key]}
		if p != nil {
			answer.Levels = a.pidLevels(p)
		}
		a.add(answer)
	}
}

func (a *asker) namespace(q question, id inspect.ID) {
	n := a.snapshot.Namespace(id)
	if n == nil {
		return
	}
	name, identity := n.Target()
	a.add(Answer{
		Word: q.word, Kind: KindNamespace, Name: name, Identity: identity, Process: a.leader(n),
		PIDs: n.PIDs, Namespace: &id, Members: a.members(n, name),
	})
}

func (a *asker) leader(n *inspect.Namespace) *inspect.Process {
	if n.Leader == nil {
		return nil
	}
	return a.snapshot.Process(n.Leader.PID)
}

// nameOfProcess says whose a process is, as a target; empty if that is not known.
func (a *asker) nameOfProcess(p *inspect.Process) (string, *identity.Identity) {
	switch {
	case p.Identity != nil:
		return p.Identity.Target(), p.Identity
	case p.KernelThread:
		return "kernel", nil
	case !p.NameKnown():
		return "", nil
	}
	if apart := a.snapshot.Apart(p.NS); apart != nil && len(apart) == 0 {
		return "host", nil
	}
	return "", nil
}

// members are the containers in a namespace that several share.
func (a *asker) members(n *inspect.Namespace, name string) []string {
	const most = 64
	if n.IsInitial() {
		return nil
	}
	var list []string
	for _, pid := range n.PIDs {
		p := a.snapshot.Process(pid)
		if p == nil || p.Identity == nil || p.Identity.Kind == identity.Unit || p.Identity.Kind == identity.Session {
			continue
		}
		if target := p.Identity.Target(); target != name && !slices.Contains(list, target) && len(list) < most {
			list = append(list, target)
		}
	}
	slices.Sort(list)
	return list
}

// pidInside answers for pid:17@web.
func (a *asker) pidInside(q question) error {
	match, err := a.machine.Match(a.ctx, a.snapshot, *q.at)
	if err != nil {
		return err
	}
	id, err := a.oneNamespace(*q.at, match, inspect.PID)
	if err != nil {
		return err
	}
	a.inside(q, int(q.number), id)
	return nil
}

// oneNamespace is the namespace of a type that a match is in.
func (a *asker) oneNamespace(at inspect.Ref, match inspect.Match, t inspect.Type) (inspect.ID, error) {
	if oldest := a.oldest(match.PIDs); oldest != nil && (at.Kind != inspect.RefNamespace || at.ID.Type != t) {
		if oldest.NS[t] == 0 {
			return inspect.ID{}, fmt.Errorf("the %s namespace of process %d (%s) may not be read", t, oldest.PID, oldest.Comm)
		}
		return oldest.NS.ID(t), nil
	}
	for _, id := range match.Namespaces {
		if id.Type == t {
			return id, nil
		}
	}
	return inspect.ID{}, usagef("%s: %s names no %s namespace", at.Word, at.Word, t)
}

// inside answers with the processes that have a number in another PID namespace than
// that of the /proc in use, or in that one if it is not the zero value. It says how
// many.
func (a *asker) inside(q question, number int, id inspect.ID) (count int) {
	for i := range a.snapshot.Processes {
		p := &a.snapshot.Processes[i]
		if len(p.NSPIDs) < 2 && id.IsZero() || !slices.Contains(p.NSPIDs, number) {
			continue
		}
		levels := a.pidLevels(p)
		for at, level := range levels {
			if level.Number == nil || int(*level.Number) != number || id.IsZero() && at == 0 || !id.IsZero() && level.Namespace != id {
				continue
			}
			name, identity := a.nameOfProcess(p)
			a.add(Answer{Word: q.word, Kind: KindPID, Name: name, Identity: identity, Process: p, PIDs: []int{p.PID}, Namespace: &level.Namespace, Levels: levels})
			count++
			break
		}
	}
	return count
}

// pidLevels are a process's PIDs with the PID namespaces in which it has them, from that
// of the /proc in use on.
func (a *asker) pidLevels(p *inspect.Process) []Level {
	levels := make([]Level, len(p.NSPIDs))
	inode := p.NS[inspect.PID]
	for i := len(levels) - 1; i >= 0; i-- {
		levels[i] = Level{Namespace: inspect.ID{Type: inspect.PID, Inode: inode}, Number: new(uint32(p.NSPIDs[i]))}
		inode = a.parent(levels[i].Namespace)
	}
	return levels
}

// parent is the inode number of the parent of a namespace, 0 if it is not known or has
// none.
func (a *asker) parent(id inspect.ID) uint64 {
	if n := a.snapshot.Namespace(id); n != nil && n.Parent != nil {
		return *n.Parent
	}
	return 0
}

// whyNothing says of a word that nothing was found for what was looked at.
func (a *asker) whyNothing(q question) string {
	count := len(a.networks)
	switch {
	case q.network() && a.unsupported:
		return "the network of a captured machine cannot be asked for"
	case q.mac != "":
		return fmt.Sprintf("no interface has that MAC address in %s", networks(count))
	case q.kind == KindInterface:
		return fmt.Sprintf("no interface is called that in %s", networks(count))
	case q.kind == KindListener:
		return fmt.Sprintf("nobody listens there in %s", networks(count))
	case q.kind == KindAddress:
		return fmt.Sprintf("nobody has that address in %s", networks(count))
	case q.kind == KindPID:
		return fmt.Sprintf("no process has the PID %d in there", q.number)
	case q.kind == KindUID:
		return fmt.Sprintf("nobody is uid %d, in no user namespace", q.number)
	}
	return "it names nothing"
}

func networks(n int) string { return words.Count(n, "network namespace", "network namespaces") }
