package main

import (
	"context"
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
// there are none.
func scanFor(ctx context.Context, o inspect.Options, refs []inspect.Ref) (*inspect.Snapshot, *inspect.Match, error) {
	if len(refs) == 0 {
		s, err := inspect.Scan(ctx, o)
		return s, nil, err
	}
	return inspect.Find(ctx, refs, o)
}

// hasPID searches a Match's PIDs, which inspect.Find has sorted.
func hasPID(sorted []int, pid int) bool {
	_, found := slices.BinarySearch(sorted, pid)
	return found
}
