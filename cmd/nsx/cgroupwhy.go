package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
	"nsx/internal/words"
	"nsx/output"
)

// sayWhy says which limit a command ran into, if that is why it failed: a process
// that was killed because memory ran out cannot say so itself. The command is nsx's.
func sayWhy(s streams, command string, g *cgroupfs.Group, before cgroupfs.Toll, err error) {
	status, ok := errors.AsType[*statusError](err)
	if !ok || status.err != nil {
		return
	}
	hits := g.Toll().Since(before)
	if len(hits) == 0 {
		return
	}
	h := hits[0]
	what := words.Count(h.Count, "time", "times") + " a process or thread could not be started"
	switch {
	case h.Resource == "memory" && status.status == 128+int(syscall.SIGKILL):
		what = fmt.Sprintf("killed because memory ran out (%s)", words.Count(h.Count, "process was", "processes were"))
	case h.Resource == "memory":
		what = words.Count(h.Count, "process in the group was", "processes in the group were") + " killed because memory ran out"
	}
	fmt.Fprintln(s.err, "nsx: "+command+":", output.Escape(what+whose(h)))
}

// whose says whose limit it is, "" if that is not known.
func whose(h cgroupfs.Hit) string {
	switch {
	case h.Machine:
		return ": no limit of its group or of those above was hit, so the machine itself ran out of memory"
	case h.Below:
		return ": the limit is that of a group that was made below it"
	}
	var limits []string
	for _, l := range h.Limits {
		limit := l.Limit.String()
		if n, ok := l.Limit.Get(); ok && h.Resource == "memory" {
			limit = keys.FormatSize(n)
		}
		limits = append(limits, fmt.Sprintf("the limit of %s is %s (%s)", l.Group, limit, l.File))
	}
	if len(limits) == 0 {
		return ""
	}
	return ": " + strings.Join(limits, ", and ")
}
