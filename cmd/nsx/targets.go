package main

import (
	"context"
	"errors"
	"slices"

	"nsx/inspect"
)

const targetHelp = `A target is a process (5151, init, self), a
thread (5151/5160), a namespace (4026531840, net:[4026531840], netns:blue,
/run/netns/blue) or the processes of a cgroup (cgroup:/demo).`

func parseTargets(words []string) ([]inspect.Ref, error) {
	refs := make([]inspect.Ref, 0, len(words))
	for _, word := range words {
		ref, err := inspect.ParseRef(word)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// scanFor scans for what the targets need, and finds them: the match is nil if
// there are none. A namespace that the first scan does not show may be held by
// a descriptor, a socket or a mount elsewhere, so that a second one looks there.
func scanFor(ctx context.Context, o inspect.Options, refs []inspect.Ref) (*inspect.Snapshot, *inspect.Match, error) {
	for _, ref := range refs {
		ref.Needs(&o)
	}
	snapshot, err := inspect.Scan(ctx, o)
	if err != nil || len(refs) == 0 {
		return snapshot, nil, err
	}
	match, err := matchAll(snapshot, o, refs)
	if errors.Is(err, inspect.ErrNotFound) && o.Relations && !o.Holders {
		o.Holders = true
		if snapshot, err = inspect.Scan(ctx, o); err != nil {
			return nil, nil, err
		}
		match, err = matchAll(snapshot, o, refs)
	}
	return snapshot, match, err
}

// hasPID searches a Match's PIDs, which matchAll has sorted.
func hasPID(sorted []int, pid int) bool {
	_, found := slices.BinarySearch(sorted, pid)
	return found
}

func matchAll(s *inspect.Snapshot, o inspect.Options, refs []inspect.Ref) (*inspect.Match, error) {
	var all inspect.Match
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
