package inspect

import (
	"context"
	"errors"
	"slices"
	"sort"
)

// Match is what words name in a snapshot. The zero value is nothing.
type Match struct {
	// All says that there were no words: everything matches, and the lists are
	// empty.
	All bool
	// PIDs are processes, sorted.
	PIDs []int
	// Namespaces are those that the processes are in or, where a word names a
	// namespace, that one alone. They are sorted by type and inode number.
	Namespaces []ID
	// Missing says of the words that name nothing that can be seen why they do not:
	// with Options.SkipMissing.
	Missing []error
}

var everything = Match{All: true}

// HasPID says that a process matches.
func (m Match) HasPID(pid int) bool {
	_, found := slices.BinarySearch(m.PIDs, pid)
	return found || m.All
}

// HasNamespace says that a namespace matches.
func (m Match) HasNamespace(id ID) bool {
	_, found := sort.Find(len(m.Namespaces), func(i int) int { return compareIDs(id, m.Namespaces[i]) })
	return found || m.All
}

// HasSet says that a process of the set matches.
func (m Match) HasSet(s *Set) bool { return m.All || slices.ContainsFunc(s.PIDs, m.HasPID) }

// Find is a Scan for what some words name (see ParseRef), and what they name in
// it; without words, everything. It reads first what tells which processes and
// namespaces those are, and the details of them alone. The snapshot's Unreadable
// and Complete are about what could keep the answer from being whole: a stranger's
// trouble is not among it.
//
// A word that is none is ErrUsage; one that names nothing that is there, ErrGone, or
// in Match.Missing with SkipMissing, unless all are.
func (m Machine) Find(ctx context.Context, words []string, o Options) (*Snapshot, Match, error) {
	if len(words) == 0 {
		s, err := m.Scan(ctx, o)
		return s, everything, err
	}
	refs, err := parseRefs(words)
	if err != nil {
		return nil, Match{}, err
	}
	for _, ref := range refs {
		o = ref.need(o)
	}
	var pids []int
	if o.ProcessesOnly {
		if pids = m.pidsOf(refs); o.Names && pids != nil {
			pids = m.withAncestors(pids)
		}
	}
	s, err := m.lookFor(ctx, o, refs, pids)
	if err != nil {
		return nil, Match{}, err
	}
	match, err := m.matchAll(ctx, s, refs, o)
	if (errors.Is(err, ErrGone) || len(match.Missing) > 0) && o.Relations && !o.Holders {
		// It may be held by a descriptor, a socket or a mount elsewhere.
		o.Holders = true
		if s, err = m.lookFor(ctx, o, refs, pids); err != nil {
			return nil, Match{}, err
		}
		match, err = m.matchAll(ctx, s, refs, o)
	}
	if len(match.Missing) == len(refs) {
		err = match.Missing[0]
	}
	if err != nil {
		return s, Match{}, err
	}
	if err := m.readDetails(ctx, s, o, match); err != nil {
		return nil, Match{}, err
	}
	if pids != nil {
		s.Hidden = "" // who is named is not hidden
	}
	s.Unreadable = slices.DeleteFunc(s.Unreadable, func(u Unreadable) bool { return !matters(u, refs, match, o) })
	s.settle()
	return s, match, nil
}

// lookFor is look, and says whose each process is if a word may be a name.
func (m Machine) lookFor(ctx context.Context, o Options, refs []Ref, pids []int) (*Snapshot, error) {
	s, err := m.look(ctx, o, pids)
	if err != nil || !slices.ContainsFunc(refs, func(r Ref) bool { return r.Kind == RefIdentity || r.Kind == RefName }) {
		return s, err
	}
	all := make([]*Process, len(s.Processes))
	for i := range s.Processes {
		all[i] = &s.Processes[i]
	}
	s.named = true
	return s, m.identify(ctx, s, o, all)
}

func parseRefs(words []string) ([]Ref, error) {
	refs := make([]Ref, len(words))
	var err error
	for i, word := range words {
		if refs[i], err = ParseRef(word); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// pidsOf are the processes to read where the words name no others: nil if they
// may. The first and kthreadd tell what the machine booted with.
func (m Machine) pidsOf(refs []Ref) []int {
	pids := []int{1, 2}
	for _, ref := range refs {
		pid := ref.PID
		if ref.Kind == RefSelf {
			pid, _ = m.self()
		}
		if pid == 0 {
			return nil
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// matters says whether what could not be read may belong to the answer.
func matters(u Unreadable, refs []Ref, match Match, o Options) bool {
	asked := func(kinds ...RefKind) bool {
		return slices.ContainsFunc(refs, func(r Ref) bool { return slices.Contains(kinds, r.Kind) })
	}
	switch u.What {
	case "namespaces", "threads": // it may be in one that was asked for
		return match.HasPID(u.PID) || !o.ProcessesOnly || asked(RefNamespace, RefFile, RefNetns, RefName)
	case "cgroup":
		return match.HasPID(u.PID) || asked(RefCgroup, RefUnit, RefIdentity, RefName)
	}
	return true // of those alone, or of the search for holders
}

func (m Machine) matchAll(ctx context.Context, s *Snapshot, refs []Ref, o Options) (Match, error) {
	var all Match
	for _, ref := range refs {
		one, err := m.match(ctx, s, ref)
		if _, ok := errors.AsType[unseenError](err); ok && o.ProcessesOnly && ref.Kind == RefProcess {
			one, err = Match{PIDs: []int{ref.PID}}, nil
		}
		if err == nil && o.ProcessesOnly { // nobody asked /proc whether it lists the number
			err = m.checkThread(ref)
		}
		if o.SkipMissing && err != nil && ctx.Err() == nil {
			all.Missing = append(all.Missing, err)
			continue
		}
		if err != nil {
			return Match{}, err
		}
		all.PIDs = append(all.PIDs, one.PIDs...)
		all.Namespaces = append(all.Namespaces, one.Namespaces...)
	}
	slices.Sort(all.PIDs)
	all.PIDs = slices.Compact(all.PIDs)
	slices.SortFunc(all.Namespaces, compareIDs)
	all.Namespaces = slices.Compact(all.Namespaces)
	return all, nil
}
