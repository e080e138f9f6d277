package main

import (
	"errors"
	"fmt"
	"syscall"

	"nsx/cgroupfs"
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

// sayWhy says which limit a command has met, if that is why it failed: whoever was
// killed for want of memory cannot say so himself.
func sayWhy(s streams, g *cgroupfs.Group, before refusals, err error) {
	status, ok := errors.AsType[*statusError](err)
	if !ok || status.err != nil {
		return
	}
	now := refusalsOf(g)
	switch {
	case now.kills > before.kills && status.status == 128+int(syscall.SIGKILL):
		why(s, g, "memory", fmt.Sprintf("killed for want of memory (%d processes were)", now.kills-before.kills))
	case now.kills > before.kills:
		why(s, g, "memory", fmt.Sprintf("%d processes in the group were killed for want of memory", now.kills-before.kills))
	case now.forks > before.forks:
		why(s, g, "pids", fmt.Sprintf("%d times a process or thread could not be started", now.forks-before.forks))
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
