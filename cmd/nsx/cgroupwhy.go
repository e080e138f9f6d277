package main

import (
	"errors"
	"fmt"
	"syscall"

	"nsx/cgroupfs"
	"nsx/internal/words"
	"nsx/output"
)

// refusals counts what the limits of a group have done to those inside.
type refusals struct{ kills, forks int64 }

func refusalsOf(g *cgroupfs.Group) (r refusals) {
	s, err := g.Stat()
	if err != nil {
		return r
	}
	if s.Memory != nil {
		r.kills, _ = s.Memory.OOMKills.Get()
	}
	if s.PIDs != nil {
		r.forks, _ = s.PIDs.MaxEvents.Get()
	}
	return r
}

// sayWhy says which limit a command ran into, if that is why it failed: a process
// that was killed because memory ran out cannot say so itself.
func sayWhy(s streams, g *cgroupfs.Group, before refusals, err error) {
	status, ok := errors.AsType[*statusError](err)
	if !ok || status.err != nil {
		return
	}
	now := refusalsOf(g)
	switch {
	case now.kills > before.kills && status.status == 128+int(syscall.SIGKILL):
		why(s, g, "memory", fmt.Sprintf("killed because memory ran out (%s)", words.Count(now.kills-before.kills, "process was", "processes were")))
	case now.kills > before.kills:
		why(s, g, "memory", words.Count(now.kills-before.kills, "process in the group was", "processes in the group were")+" killed because memory ran out")
	case now.forks > before.forks:
		why(s, g, "pids", words.Count(now.forks-before.forks, "time", "times")+" a process or thread could not be started")
	}
}

// why adds whose limit it is.
func why(s streams, g *cgroupfs.Group, resource, what string) {
	whose := ""
	if b, err := g.Effective(); err == nil {
		for _, e := range b.Limits {
			if n, limited := e.Limit.Get(); limited && e.Resource == resource {
				limit := fmt.Sprint(int64(n))
				if resource == "memory" {
					limit = cgroupfs.FormatSize(int64(n))
				}
				whose = fmt.Sprintf(": the limit of %s is %s (%s)", e.Group, limit, e.File)
			}
		}
	}
	fmt.Fprintln(s.err, "nsx: cgroup: run:", output.Escape(what+whose))
}
