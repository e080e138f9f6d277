package main

import (
	"context"
	"fmt"
	"os"

	"nsx/enter"
	"nsx/inspect"
	"nsx/output"
)

// noteSkipped says which namespaces were asked for one by one and are not
// joined: those that are our own.
func noteSkipped(ctx context.Context, s streams, command string, plan *enter.Plan, asked []enter.Request) {
	for _, skip := range plan.Skipped {
		for _, r := range asked {
			if r.Type != skip.ID.Type || r.Target.Name() != skip.From {
				continue
			}
			note := fmt.Sprintf("%s of %s is not joined: %s", skip.ID, skip.From, skip.Reason)
			switch {
			case skip.ID.Inode == 0:
				note = fmt.Sprintf("no %s namespace is joined: %s", skip.ID.Type, skip.Reason)
			case skip.From == skip.ID.String():
				note = fmt.Sprintf("%s is not joined: %s", skip.ID, skip.Reason)
			}
			fmt.Fprintf(s.err, "nsx: %s: %s\n", command, output.Escape(note+childrenElsewhere(ctx, skip.ID, r.Target)))
			break
		}
	}
}

// childrenElsewhere says where the children of a process are, if that is not in
// its own namespace: the parent of those in a new PID or time namespace stays
// outside (pid_namespaces(7)).
func childrenElsewhere(ctx context.Context, own inspect.ID, t *inspect.Target) string {
	if t.PID == 0 || own.Type != inspect.PID && own.Type != inspect.Time {
		return ""
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s_for_children", t.PID, own.Type))
	if err != nil {
		return ""
	}
	id, err := inspect.ParseID(link)
	if err != nil || id == own {
		return ""
	}
	text := fmt.Sprintf("; its children are in %s", id)
	snapshot, err := inspect.Scan(ctx, inspect.Options{})
	if err != nil {
		return text
	}
	if ns := snapshot.Namespace(id); ns != nil && ns.Leader != nil {
		text += fmt.Sprintf(": use PID %d", ns.Leader.PID)
	}
	return text
}
