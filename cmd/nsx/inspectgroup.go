package main

import (
	"fmt"
	"slices"
	"strings"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// groupFacts are the group, the limits that bind there, and what became of them.
func groupFacts(d *profileDoc) (facts []output.Fact) {
	for _, g := range d.Groups {
		text := output.Text(g.Path)
		if d.isRemoved(g.Path) {
			text = output.Text(g.Path + " (deleted)").With(output.Yellow)
		}
		if g.Use != nil && g.Use.Frozen != nil && *g.Use.Frozen {
			text = output.Text(g.Path + ", frozen").With(output.Yellow)
		}
		facts = append(facts, line(text))
	}
	shown := map[string]bool{}
	if d.Limits != nil {
		for i := range d.Limits.Limits {
			e := &d.Limits.Limits[i]
			if _, limited := e.Limit.Get(); !limited && e.Known {
				continue // none, and a cpuset that is all of them is none
			}
			shown[e.Resource] = true
			facts = append(facts, line(output.Text(resourceName(e)), limitOfCell(d, e), output.Text(strings.Join(happened(d, e.Resource), ", "))))
		}
	}
	if !shown["memory"] {
		for _, u := range d.uses() {
			if u.Memory == nil {
				continue
			}
			if n, ok := u.Memory.UsageBytes.Get(); ok {
				facts = append(facts, line(output.Text("memory"), output.Text(roundSize(float64(n))+", no limit"), output.Text(strings.Join(happened(d, "memory"), ", "))))
				break
			}
		}
	}
	if text := pressures(d.uses()); text != "" {
		facts = append(facts, line(output.Text("pressure"), output.Text(text+" of the last 10 seconds").With(output.Yellow)))
	}
	return facts
}

// isRemoved says that a group, which the process is in, is no more.
func (d *profileDoc) isRemoved(path string) bool {
	return d.Process != nil && slices.ContainsFunc(d.Process.Cgroups, func(m cgroupfs.Membership) bool { return m.Deleted && m.Path == path })
}

// limitOfCell is a limit, with what of it is used and whose it is.
func limitOfCell(d *profileDoc, e *cgroupfs.Effective) output.Cell {
	whose := "by itself"
	switch {
	case e.Group == "":
		return output.Unknown()
	case !slices.ContainsFunc(d.Groups, func(g inspect.GroupUse) bool { return g.Path == e.Group }):
		whose = "by " + e.Group
	}
	limit := limitCell(e).String()
	switch e.Unit {
	case "cpus":
		limit += " CPUs"
	case "tasks", "bytes":
		if _, used := e.Usage.Get(); used {
			limit = amount(e, e.Usage).String() + " of " + limit
		}
	}
	cell := output.Text(limit + " " + whose)
	most, _ := e.Limit.Get()
	switch used, ok := e.Usage.Get(); {
	case !ok || most <= 0 || e.Unit != "tasks" && e.Unit != "bytes":
	case used >= 0.95*most:
		return cell.With(output.Red)
	case used >= 0.8*most:
		return cell.With(output.Yellow)
	}
	return cell
}

// uses are the groups' uses, as far as they are known.
func (d *profileDoc) uses() (list []*cgroupfs.Stat) {
	for _, g := range d.Groups {
		if g.Use != nil {
			list = append(list, g.Use)
		}
	}
	return list
}

// happened is what the group itself went through for lack of a resource.
func happened(d *profileDoc, resource string) (texts []string) {
	for _, u := range d.uses() {
		switch {
		case resource == "cpu" && u.CPU != nil:
			texts = cpuHappened(u.CPU)
		case resource == "memory" && u.Memory != nil:
			texts = memoryHappened(u.Memory)
		case resource == "pids" && u.PIDs != nil:
			texts = pidsHappened(u.PIDs)
		}
		if len(texts) > 0 {
			break
		}
	}
	return texts
}

func cpuHappened(u *cgroupfs.CPUStat) (texts []string) {
	periods, ok := u.Periods.Get()
	if throttled, known := u.Throttled.Get(); ok && known && periods > 0 {
		texts = append(texts, fmt.Sprintf("throttled in %d%% of periods", throttled*100/periods))
	}
	return texts
}

func memoryHappened(u *cgroupfs.MemoryStat) (texts []string) {
	if peak, ok := u.PeakBytes.Get(); ok {
		texts = append(texts, "peak "+roundSize(float64(peak)))
	}
	if hits, ok := u.MaxEvents.Get(); ok && hits > 0 {
		texts = append(texts, words.Count(hits, "hit", "hits"))
	}
	if kills, ok := u.OOMKills.Get(); ok && kills > 0 {
		texts = append(texts, words.Count(kills, "kill", "kills"))
	} else if ok {
		texts = append(texts, "no kills")
	}
	return texts
}

func pidsHappened(u *cgroupfs.PIDsStat) (texts []string) {
	if peak, ok := u.Peak.Get(); ok {
		texts = append(texts, fmt.Sprintf("peak %d", peak))
	}
	if refused, ok := u.MaxEvents.Get(); ok && refused > 0 {
		texts = append(texts, words.Count(refused, "fork refused", "forks refused"))
	}
	return texts
}

// pressures are those that are not zero.
func pressures(uses []*cgroupfs.Stat) string {
	var texts []string
	for _, u := range uses {
		p := u.Pressure
		if p == nil || len(texts) > 0 {
			continue
		}
		for _, one := range []struct {
			name string
			of   *cgroupfs.Pressure
		}{{"cpu", p.CPU}, {"memory", p.Memory}, {"io", p.IO}} {
			if one.of != nil && one.of.Some != nil && one.of.Some.Avg10Percent >= 1 {
				texts = append(texts, fmt.Sprintf("%s %.0f%%", one.name, one.of.Some.Avg10Percent))
			}
		}
	}
	return strings.Join(texts, ", ")
}
