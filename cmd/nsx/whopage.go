package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
	"nsx/who"
)

// whoPage shows one answer.
var whoPage = &output.Page[whoRow]{
	Title: func(r *whoRow) []output.Cell {
		if r.Name != "" {
			return []output.Cell{whoName(r).With(output.Bold)}
		}
		about := "no container, pod, unit or session"
		if r.Process != nil && !r.Process.NameKnown() {
			about = "whose it is may not be seen"
		}
		return []output.Cell{output.Text(r.target()).With(output.Bold), output.Text(about)}
	},
	Blocks: [][]output.Section[whoRow]{{
		{Name: string(who.KindInterface), Facts: (*whoRow).interfaceFacts},
		{Name: "listens", Facts: (*whoRow).listenerFacts},
		{Name: "namespace", Facts: func(r *whoRow) []output.Fact { return r.only(who.KindNamespace) }},
		{Name: "uid", Facts: func(r *whoRow) []output.Fact { return r.only(who.KindUID) }},
		{Name: "process", Facts: (*whoRow).processFacts},
		{Name: "container", Facts: (*whoRow).containerFacts},
		{Name: "pod", Facts: (*whoRow).podFacts},
		{Name: "unit", Facts: func(r *whoRow) []output.Fact {
			if r.Identity == nil || r.Identity.Unit == "" {
				return nil
			}
			return fact(r.Identity.Unit)
		}},
		{Name: "inside", Facts: func(r *whoRow) []output.Fact {
			if r.Identity == nil || len(r.Identity.Parents) == 0 {
				return nil
			}
			return fact(r.Identity.Parents[len(r.Identity.Parents)-1].Target())
		}},
		{Name: "user", Facts: (*whoRow).userFacts},
		{Name: "group", Facts: func(r *whoRow) []output.Fact {
			if r.Process == nil || r.Process.Cgroups == nil {
				return nil
			}
			return fact(groupOf(r.Process.Cgroups))
		}},
		{Name: "known by", Facts: func(r *whoRow) []output.Fact {
			if r.Identity == nil {
				return nil
			}
			return fact(knownBy(r.Identity))
		}},
	}},
}

func fact(texts ...string) []output.Fact {
	var facts []output.Fact
	for _, text := range texts {
		if text != "" {
			facts = append(facts, output.Fact{output.Text(text)})
		}
	}
	return facts
}

// only is what the answer says in some words, if it is of such a kind.
func (r *whoRow) only(kinds ...who.Kind) []output.Fact {
	if !slices.Contains(kinds, r.Kind) {
		return nil
	}
	return fact(r.what())
}

// interfaceFacts are what it is to whom it belongs, and the interface itself.
func (r *whoRow) interfaceFacts() []output.Fact {
	facts := r.only(who.KindInterface, who.KindAddress)
	if facts == nil {
		return nil
	}
	i := r.shownInterface()
	about := []string{"state " + i.State}
	if i.Kind != "" {
		about = append([]string{i.Kind}, about...)
	}
	if i.MAC != "" {
		about = append(about, i.MAC)
	}
	if i.Peer != nil && !strings.Contains(r.what(), "other end") {
		about = append(about, fmt.Sprintf("other end %s of %s", i.Peer.Name, r.nameOf(i.Peer.Netns)))
	}
	return append(facts, fact(strings.Join(about, ", "))...)
}

// listenerFacts are where it listens and, of a proxy, for whom.
func (r *whoRow) listenerFacts() []output.Fact {
	if r.Kind != who.KindListener {
		return nil
	}
	facts := fact(r.sockets(true) + " " + r.where())
	if r.Process == nil {
		return append(facts, fact(fmt.Sprintf("by whom may not be seen; uid %d has made it", r.Listeners[0].UID))...)
	}
	if r.Forward != nil {
		facts = append(facts, fact(fmt.Sprintf("sends on to %s:%d", r.Forward.Address, r.Forward.Port))...)
	}
	return facts
}

func (r *whoRow) processFacts() []output.Fact {
	p := r.Process
	if p == nil {
		return nil
	}
	text := fmt.Sprintf("%d %s", p.PID, p.Comm)
	if len(p.NSPIDs) > 1 {
		inside := make([]string, 0, len(p.NSPIDs))
		for _, pid := range p.NSPIDs[1:] {
			inside = append(inside, fmt.Sprint(pid))
		}
		text += ", " + strings.Join(inside, ", then ") + " inside"
	}
	if parent := r.report.Snapshot.Process(p.PPID); parent != nil {
		text += fmt.Sprintf(", child of %d %s", parent.PID, parent.Comm)
	}
	if r.TID != 0 {
		text += fmt.Sprintf(", %d is a thread of it", r.TID) + r.threadIn()
	}
	if len(r.PIDs) > 1 {
		text += fmt.Sprintf(", the oldest of %d", len(r.PIDs))
	}
	var command string
	if len(p.Cmdline) > 0 {
		command = commandCell(p.Cmdline, p.CmdlineCut, p.Comm).String()
	}
	return fact(text, command)
}

func (r *whoRow) containerFacts() []output.Fact {
	id := r.Identity
	if id == nil || kindWords[id.Kind] == "" || id.Kind == identity.Pod {
		return nil
	}
	parts := []string{cmp.Or(identity.ShortID(id.ID), id.Name)}
	if id.Runtime != "" && id.Runtime != identity.Unknown {
		parts = append(parts, string(id.Runtime))
	}
	if id.Image != "" {
		parts = append(parts, "image "+id.Image)
	}
	return fact(strings.Join(parts, ", "))
}

func (r *whoRow) podFacts() []output.Fact {
	if r.Identity == nil || r.Identity.Pod == nil {
		return nil
	}
	pod := r.Identity.Pod
	parts := []string{pod.String()}
	if pod.UID != "" && pod.UID != parts[0] {
		parts = append(parts, "uid "+pod.UID)
	}
	return fact(strings.Join(parts, ", "))
}

// userFacts say what a process's user is called inside.
func (r *whoRow) userFacts() []output.Fact {
	p := r.Process
	if p == nil || p.UID == nil {
		return nil
	}
	text := fmt.Sprint(*p.UID)
	if p.User != text {
		text = p.User + ", uid " + text
	}
	switch n := r.report.Snapshot.Namespace(p.NS.ID(inspect.User)); {
	case n == nil:
	case n.IsInitial():
		text += ", the same inside: no user namespace"
	default:
		switch inside, err := who.UIDInside(r.report, p); {
		case err != nil:
			text += ", ? inside"
		case inside == nil:
			text += ", nobody inside"
		default:
			text += fmt.Sprintf(", %d inside", *inside)
		}
	}
	return fact(text)
}

// groupOf is a process's cgroup: that of v2, or of the first hierarchy of v1 in which it
// is not in the root.
func groupOf(list []cgroupfs.Membership) string { return cgroupCell(list).String() }
