package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/identity/state"
	"nsx/internal/proc"
	"nsx/internal/words"
)

// identify says whose some processes are. Their cgroups have been read, as far as
// they could be.
func (m Machine) identify(ctx context.Context, s *Snapshot, o Options, chosen []*Process) error {
	n := namer{snapshot: s, root: m.Root(), delegations: delegations{machine: m}, claimants: map[int]*claim{}, of: map[int]*identity.Identity{}, known: map[string]*identity.Identity{}}
	if err := n.findSupervisors(ctx, m, o, chosen); err != nil {
		return err
	}
	n.users = userNames(m.root)
	for _, p := range chosen {
		p.Identity = n.identity(p)
	}
	return nil
}

// namer finds names from what a snapshot has.
type namer struct {
	snapshot *Snapshot
	root     string // of the machine
	delegations
	users     map[uint32]string
	claimants map[int]*claim                // by the PID of the supervisor
	of        map[int]*identity.Identity    // by PID, of those that were asked for
	known     map[string]*identity.Identity // by paths and supervisor: most processes share theirs
}

// claim is what a supervisor says. A doubtful one counts within the container alone that
// it is in.
type claim struct {
	identity.Claimant
	doubtful bool
}

// findSupervisors reads the command lines of those above some processes that may
// supervise a container, by their names. A stranger's is not read, which might take
// as long as he likes.
func (n *namer) findSupervisors(ctx context.Context, m Machine, o Options, below []*Process) error {
	var found []*Process
	seen := map[int]bool{}
	for _, p := range below {
		for p = n.snapshot.Process(p.PPID); p != nil && !seen[p.PID]; p = n.snapshot.Process(p.PPID) {
			seen[p.PID] = true
			if !p.KernelThread && p.State != Zombie && identity.IsSupervisor(p.Comm) {
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	all, err := m.depth(ctx, o, found)
	if err != nil {
		return err
	}
	for i, p := range found {
		if p.Cgroups == nil {
			p.Cgroups = all[i].cgroups
		}
		n.snapshot.noteFew(p.PID, all[i].refused)
		if by, ok := identity.FromArgv(all[i].cmdline); ok && all[i].uid != nil {
			uid := *all[i].uid
			// A set-user-ID program of root's has the arguments that a user gave it.
			if st, err := proc.ParseStatus(m.readText(strconv.Itoa(p.PID) + "/status")); err == nil && uid == 0 {
				uid = st.UIDs[0]
			}
			n.claimants[p.PID] = &claim{Claimant: identity.Claimant{Supervisor: by, UID: uid}, doubtful: uid == 0 && !n.mayVouch(m, p)}
		}
	}
	return nil
}

// noteFew notes what of a supervisor could not be read for want of descriptors: its
// containers lack their names.
func (s *Snapshot) noteFew(pid int, refused []Unreadable) {
	for _, u := range refused {
		if u.PID = pid; (u.Error == "EMFILE" || u.Error == "ENFILE") && !slices.Contains(s.Unreadable, u) {
			s.Unreadable = append(s.Unreadable, u)
		}
	}
}

// identity says whose a process is, nil if nobody's.
func (n *namer) identity(p *Process) *identity.Identity {
	if id, known := n.of[p.PID]; known {
		return id
	}
	n.of[p.PID] = nil // a captured tree may have processes that are their own ancestors
	paths := groupPaths(p.Cgroups)
	key := strings.Join(paths, "\n")
	by := n.nearest(p)
	var claimant *identity.Claimant
	if by != nil {
		claim := n.claimants[by.PID]
		claim.Of = n.identity(by)
		if !claim.doubtful || claim.Of.IsContainer() {
			claimant = &claim.Claimant
			key += "\n" + strconv.Itoa(by.PID)
		}
	}
	id, known := n.known[key]
	if !known {
		if found, ok := identity.Of(paths, claimant); ok {
			id = &found
			n.distrust(p.Cgroups, id)
			state.Complete(n.root, id)
			n.addUsers(id)
		}
		n.known[key] = id
	}
	n.of[p.PID] = id
	return id
}

func (n *namer) addUsers(id *identity.Identity) {
	if id.OwnerUID != 0 {
		id.Owner = n.users[id.OwnerUID]
	}
	for i := range id.Parents {
		n.addUsers(&id.Parents[i])
	}
}

// nearest is the nearest supervisor among a process's ancestors that has put it into
// other namespaces than its own: a supervisor has helpers, too.
func (n *namer) nearest(p *Process) *Process {
	if len(n.claimants) == 0 {
		return nil
	}
	child := p
	for range n.snapshot.Processes { // no longer: in a captured tree some may be their own ancestors
		parent := n.snapshot.Process(child.PPID)
		if parent == nil || parent.StartTicks > child.StartTicks {
			return nil
		}
		if n.claimants[parent.PID] != nil && apartFrom(p.NS, parent.NS) {
			return parent
		}
		child = parent
	}
	return nil
}

// apartFrom says that some namespace differs, or may, since those of one of the two
// are not known.
func apartFrom(a, b NSSet) bool {
	if a == (NSSet{}) || b == (NSSet{}) {
		return true
	}
	for t := range a {
		if a[t] != b[t] && a[t] != 0 && b[t] != 0 {
			return true
		}
	}
	return false
}

// withAncestors are some processes and all above them, among which their supervisors
// are. It reads no more of them than who their parents are.
func (m Machine) withAncestors(pids []int) []int {
	all := slices.Clone(pids)
	for i := 0; i < len(all); i++ {
		st, err := proc.ParseStat([]byte(m.readText(strconv.Itoa(all[i]) + "/stat")))
		if err == nil && st.PPID > 0 && !slices.Contains(all, st.PPID) {
			all = append(all, st.PPID)
		}
	}
	slices.Sort(all)
	return all
}

// groupPaths are the paths of a process's cgroups, each once: systemd's first, which
// says most, then v2's.
func groupPaths(list []cgroupfs.Membership) []string {
	rank := func(m cgroupfs.Membership) int {
		switch {
		case slices.Contains(m.Controllers, "name=systemd"):
			return 0
		case m.Hierarchy == 0:
			return 1
		}
		return 2
	}
	var paths []string
	for want := range 3 {
		for _, m := range list {
			if rank(m) == want && !slices.Contains(paths, m.Path) {
				paths = append(paths, m.Path)
			}
		}
	}
	return paths
}

// identifySets says whose the sets and namespaces are, by those who lead them. What
// the machine booted with is nobody's.
func (s *Snapshot) identifySets() {
	for i := range s.Sets {
		set := &s.Sets[i]
		if p := s.Process(set.Leader.PID); len(set.Apart) > 0 && p != nil {
			set.Identity, set.nameless = p.Identity, !p.NameKnown()
		}
	}
	pods := s.podsOfNamespaces()
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		if n.Leader == nil || n.IsInitial() {
			continue
		}
		if p := s.Process(n.Leader.PID); p != nil {
			n.Identity, n.nameless = p.Identity, !p.NameKnown()
		}
		if pod := pods[n.ID()]; pod != nil {
			n.Identity = pod
		}
	}
}

// podsOfNamespaces are the pods of the namespaces that several containers of one
// share: such a namespace is the pod's, whichever of them leads it.
func (s *Snapshot) podsOfNamespaces() map[ID]*identity.Identity {
	pods := map[ID]*identity.Identity{}
	first := map[ID]*identity.Identity{}
	for i := range s.Sets {
		set := &s.Sets[i]
		if set.Identity == nil {
			continue
		}
		for t, inode := range set.NS {
			id := ID{Type(t), inode}
			switch other, seen := first[id]; {
			case inode == 0:
			case !seen:
				first[id] = set.Identity
			case set.Identity.Pod != nil && other.Pod != nil && *set.Identity.Pod == *other.Pod && set.Identity.ID != other.ID:
				pods[id] = &identity.Identity{
					Kind: identity.Pod, Runtime: other.Runtime, Pod: other.Pod,
					Parents: other.Parents, OwnerUID: other.OwnerUID, Owner: other.Owner, By: other.By,
				}
			}
		}
	}
	return pods
}

// matchNames is the processes that a name is of, if it is of one thing or may be of
// several. others are what else has the name.
func (s *Snapshot) matchNames(r Ref, others []string) (Match, error) {
	things := things{}
	for i := range s.Processes {
		p := &s.Processes[i]
		if p.Identity == nil || !r.Query.Matches(p.Identity) {
			continue
		}
		things.add(r.Query.Thing(p.Identity), p)
	}
	if len(things) == 0 {
		return Match{}, s.noName(r)
	}
	if len(things)+len(others) > 1 && !r.Query.Glob() {
		return Match{}, ambiguous(r, things, others)
	}
	return s.matchWhere(func(p *Process) bool { return p.Identity != nil && r.Query.Matches(p.Identity) }), nil
}

// things are what a word names, each with its oldest process. Two containers may have one
// name: two users of root's podman with storage of their own, or who has taken the name
// of one that is still ending.
type things map[thing]*Process

// thing is one of them, as people type it: by its name, and by its ID, which are the same
// where it has but one of the two.
type thing struct{ target, byID string }

func thingOf(id *identity.Identity) thing { return thing{id.Target(), id.ByID()} }

func (t things) add(id identity.Identity, p *Process) {
	key := thingOf(&id)
	if oldest := t[key]; oldest == nil || p.StartTicks < oldest.StartTicks {
		t[key] = p
	}
}

// names are the words for each: its name, or its ID where another has that name.
func (t things) names() (list []string) {
	count := map[string]int{}
	for thing := range t {
		count[thing.target]++
	}
	for thing, p := range t {
		name := thing.target
		if count[name] > 1 {
			name = thing.byID
		}
		list = append(list, fmt.Sprintf("%s (%d)", name, p.PID))
	}
	return list
}

// noName says that nothing has a name, and what has not been seen.
func (s *Snapshot) noName(r Ref) error {
	unseen := map[int]bool{}
	var cause error
	for _, u := range s.Unreadable {
		few := (u.Error == "EMFILE" || u.Error == "ENFILE") && u.What != "threads"
		if few {
			cause = unix.EMFILE
		}
		if few || u.What == "cgroup" || s.Process(u.PID) == nil {
			unseen[u.PID] = true
		}
	}
	text := fmt.Sprintf("target %q: no container, pod, unit, machine or session has that name", r.Word)
	if r.Kind == RefName {
		text = fmt.Sprintf("%q names nothing: no container, pod, unit, machine or network namespace is called that", r.Word)
	}
	switch n := len(unseen); {
	case cause != nil:
		text += ", or it is among " + words.Count(n, "process", "processes") + " that could not be read: " + cause.Error()
	case n > 0:
		text += ", or it is among " + words.Count(n, "process", "processes") + " whose cgroups may not be read"
	}
	return &goneError{text, cause}
}

// ambiguousError is an ErrAmbiguous.
type ambiguousError struct{ text string }

func (e ambiguousError) Error() string        { return e.text }
func (e ambiguousError) Is(target error) bool { return target == ErrAmbiguous }

func ambiguous(r Ref, things things, others []string) error {
	list := append(slices.Clone(others), things.names()...)
	slices.Sort(list)
	last := len(list) - 1
	return ambiguousError{fmt.Sprintf("%q is %d things: %s and %s: say which", r.Word, len(list), strings.Join(list[:last], ", "), list[last])}
}
