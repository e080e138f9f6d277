package inspect

import (
	"context"
	"errors"
	"slices"
)

// Find is a Scan for what some words name, and what they name in it. It reads the
// details of that alone, and the snapshot's Unreadable and Complete are about what
// could keep the answer from being whole: a stranger's trouble is not.
func Find(ctx context.Context, refs []Ref, o Options) (*Snapshot, *Match, error) {
	for _, ref := range refs {
		ref.Needs(&o)
	}
	if o.ProcessesOnly {
		o.only = pidsOf(refs, o)
	}
	s, err := look(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	match, err := s.matchAll(refs, o)
	if errors.Is(err, ErrNotFound) && o.Relations && !o.Holders {
		// It may be held by a descriptor, a socket or a mount elsewhere.
		o.Holders = true
		if s, err = look(ctx, o); err != nil {
			return nil, nil, err
		}
		match, err = s.matchAll(refs, o)
	}
	if err != nil {
		return s, nil, err
	}
	if err := s.readDetails(ctx, o, match); err != nil {
		return nil, nil, err
	}
	if o.only != nil {
		s.Hidden = "" // who is named is not hidden
	}
	s.Unreadable = slices.DeleteFunc(s.Unreadable, func(u Unreadable) bool { return !matters(u, refs, match, o) })
	s.settle()
	return s, match, nil
}

// pidsOf are the processes to read where the words name no others: nil if they
// may. The first and kthreadd tell what the machine booted with.
func pidsOf(refs []Ref, o Options) []int {
	pids := []int{1, 2}
	for _, ref := range refs {
		pid := ref.PID
		if ref.Kind == RefSelf {
			pid, _ = o.procfs().self()
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
func matters(u Unreadable, refs []Ref, match *Match, o Options) bool {
	asked := func(kinds ...RefKind) bool {
		return slices.ContainsFunc(refs, func(r Ref) bool { return slices.Contains(kinds, r.Kind) })
	}
	switch u.What {
	case "namespaces", "threads": // it may be in one that was asked for
		return match.hasPID(u.PID) || !o.ProcessesOnly || asked(RefNamespace, RefFile, RefNetns, RefName)
	case "cgroup":
		return match.hasPID(u.PID) || asked(RefCgroup)
	}
	return true // of those alone, or of the search for holders
}

func (s *Snapshot) matchAll(refs []Ref, o Options) (*Match, error) {
	var all Match
	for _, ref := range refs {
		m, err := s.Match(ref, o.Root)
		if err != nil {
			return nil, err
		}
		all.PIDs = append(all.PIDs, m.PIDs...)
		all.Namespaces = append(all.Namespaces, m.Namespaces...)
	}
	slices.Sort(all.PIDs)
	all.PIDs = slices.Compact(all.PIDs)
	return &all, nil
}

// hasPID searches PIDs, which matchAll has sorted.
func (m *Match) hasPID(pid int) bool {
	_, found := slices.BinarySearch(m.PIDs, pid)
	return found
}
