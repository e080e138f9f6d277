package main

import (
	"fmt"
	"slices"
	"strings"

	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
	"nsx/who"
)

// whoRow is an answer, with what it was found in.
type whoRow struct {
	*who.Answer
	report *who.Report
}

var whoView = &output.View[whoRow]{
	Columns: []output.Column[whoRow]{
		{Name: "word", Help: "what was asked", Cut: output.CutMiddle, Value: func(r *whoRow) output.Cell { return output.Text(r.Word) }},
		{Name: "kind", Help: "what that is: process, pid, interface, listener …", Value: func(r *whoRow) output.Cell { return textCell(string(r.Kind)) }},
		{Name: "name", Help: "whose it is: a container, pod, unit …, as a target", Cut: output.CutMiddle, Value: whoName},
		{Name: "pid", Help: "the process that does it, or the oldest of those", Right: true, Value: func(r *whoRow) output.Cell {
			switch {
			case r.Process != nil:
				return output.Int(int64(r.Process.PID))
			case r.Kind == who.KindListener && r.Found:
				return output.Unknown()
			}
			return output.None()
		}},
		{Name: "user", Help: "that process's user", Cut: output.CutEnd, Value: func(r *whoRow) output.Cell {
			if r.Process == nil {
				return output.None()
			}
			return textCell(r.Process.User)
		}},
		{Name: "ns", Help: "the namespace that it is in, or that was asked for", Value: func(r *whoRow) output.Cell {
			if r.Namespace == nil {
				return output.None()
			}
			return output.Text(r.Namespace.Target())
		}},
		{Name: "image", Help: "the container's image", Cut: output.CutMiddle, Value: func(r *whoRow) output.Cell {
			if r.Identity == nil {
				return output.None()
			}
			return textCell(r.Identity.Image)
		}},
		{Name: "command", Help: "command line of the process, or [name]", Cut: output.CutEnd, Value: func(r *whoRow) output.Cell {
			if r.Process == nil {
				return output.None()
			}
			return commandCell(r.Process.Cmdline, r.Process.CmdlineCut, r.Process.Comm)
		}},
		{Name: "what", Help: "what it does, or why there is no answer", Cut: output.CutEnd, Value: func(r *whoRow) output.Cell { return output.Text(r.what()) }},
	},
	Default: []string{"word", "name", "pid", "what"},
	Wide:    []string{"word", "kind", "name", "pid", "user", "ns", "what", "command"},
	Name:    (*whoRow).target,
}

// target is whose it is, as a target: where nobody's, what does it.
func (r *whoRow) target() string {
	switch name := whoName(r); {
	case r.Thread != nil:
		return fmt.Sprintf("%d/%d", r.Process.PID, r.TID)
	case r.Name != "":
		return r.Name
	case r.Process != nil:
		return fmt.Sprint(r.Process.PID)
	case r.Namespace != nil:
		return r.Namespace.Target()
	default:
		return name.String()
	}
}

func textCell(s string) output.Cell {
	if s == "" {
		return output.None()
	}
	return output.Text(s)
}

func whoName(r *whoRow) output.Cell {
	switch {
	case r.Name == "host", r.Name == "kernel":
		return output.Text(r.Name).With(output.Dim)
	case r.Name != "" && r.Identity != nil:
		return nameCell(r.Identity, true)
	case r.Name != "":
		return output.Text(r.Name)
	case r.Process != nil:
		return nameCell(nil, r.Process.NameKnown())
	}
	return output.None()
}

// what is the answer in some words.
func (r *whoRow) what() string {
	if !r.Found {
		return r.Reason
	}
	switch r.Kind {
	case who.KindInterface, who.KindAddress:
		return r.whatInterface()
	case who.KindListener:
		return r.whatListener()
	case who.KindUID:
		return r.whatUID()
	case who.KindNamespace:
		return r.whatNamespace()
	}
	return r.whatProcess()
}

func (r *whoRow) whatProcess() string {
	if r.Process == nil {
		return "no process that lives"
	}
	parts := []string{r.Process.Comm}
	if n := len(r.PIDs); n > 1 {
		parts = append(parts, "the oldest of "+words.Count(n, "process", "processes"))
	}
	if inside := r.inside(r.Levels); inside != "" {
		parts = append(parts, inside+" inside")
	}
	if r.TID != 0 {
		parts = append(parts, fmt.Sprintf("%d is a thread of it", r.TID)+r.threadIn())
	}
	if r.Process.State == inspect.Zombie {
		parts = append(parts, exitedWords(r.Process.NumThreads))
	}
	return strings.Join(parts, ", ")
}

// threadIn names the namespaces of the thread that are not its process's.
func (r *whoRow) threadIn() string {
	if r.Thread == nil {
		return ""
	}
	var list []string
	for t, inode := range r.Thread.NS {
		if inode != 0 && inode != r.Process.NS[t] {
			list = append(list, r.Thread.NS.ID(inspect.Type(t)).Target())
		}
	}
	return ", in " + strings.Join(list, " ")
}

// inside is what a PID or uid is called in the namespaces below that of the reader, the
// outermost first: empty if there are none.
func (r *whoRow) inside(levels []who.Level) string {
	if len(levels) < 2 {
		return ""
	}
	texts := make([]string, 0, len(levels)-1)
	for _, l := range levels[1:] {
		if l.Number == nil {
			texts = append(texts, "?")
		} else {
			texts = append(texts, fmt.Sprint(*l.Number))
		}
	}
	return strings.Join(texts, ", ")
}

func (r *whoRow) whatNamespace() string {
	n := r.report.Snapshot.Namespace(*r.Namespace)
	what := fmt.Sprintf("%s namespace", r.Namespace.Type)
	switch {
	case n.IsInitial():
		what += " of the boot"
	case r.Process != nil:
		what += ", " + r.Process.Comm
		if n.NProcs > 1 {
			what += fmt.Sprintf(" and %d more", n.NProcs-1)
		}
	case len(n.HeldBy) > 0:
		what += ", held by " + holdersCell(n.HeldBy).String()
	}
	return what + r.with()
}

// with names the containers that share the namespace.
func (r *whoRow) with() string {
	if len(r.Members) == 0 {
		return ""
	}
	return "; " + strings.Join(r.Members, " ")
}

// addresses are those of an interface, without the ones that every interface has.
func addresses(i *inspect.Interface) string {
	var list []string
	for _, a := range i.Addresses {
		if !a.Addr().IsLinkLocalUnicast() {
			list = append(list, a.Addr().String())
		}
	}
	const most = 4
	if more := len(list) - most; more > 0 {
		list = append(list[:most], fmt.Sprintf("+%d", more))
	}
	return strings.Join(list, " ")
}

// shownInterface is the interface that the name is of: the other end of one of the
// host's, where that is elsewhere.
func (r *whoRow) shownInterface() *inspect.Interface {
	home := r.report.Snapshot.Namespace(*r.Namespace)
	if r.Kind == who.KindInterface && r.Peer != nil && home.IsInitial() && r.Name != "host" {
		return r.Peer
	}
	return r.Interface
}

func (r *whoRow) whatInterface() string {
	i, whose := r.shownInterface(), "its "
	if i == r.Interface && r.report.Snapshot.Namespace(*r.Namespace).IsInitial() {
		whose = ""
	}
	what := whose + i.Name
	if kind := i.Kind; kind != "" && kind != "veth" {
		what += ", " + kind
	}
	if at := addresses(i); at != "" && r.Kind == who.KindInterface {
		what += ", " + at
	}
	if i == r.Interface && r.Peer != nil {
		what += fmt.Sprintf(", other end %s of %s", r.Peer.Name, r.nameOf(i.Peer.Netns))
	}
	return what + r.with()
}

// nameOf is whose a network namespace is.
func (r *whoRow) nameOf(netns uint64) string {
	id := inspect.ID{Type: inspect.Net, Inode: netns}
	n := r.report.Snapshot.Namespace(id)
	if n == nil {
		return id.Target()
	}
	name, _ := n.Target()
	return name
}

// sockets are the protocols and addresses at which it listens.
func (r *whoRow) sockets(ports bool) string {
	var list []string
	for _, l := range r.Listeners {
		text := l.Address.Addr().String()
		if l.Address.Addr().Is6() {
			text = "[" + text + "]"
		}
		if l.Both {
			text = "*"
		}
		if ports {
			text += fmt.Sprintf(":%d", l.Address.Port())
		}
		if text = l.Protocol + " " + text; !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, " and ")
}

// where is the network namespace in which it listens.
func (r *whoRow) where() string {
	switch home := r.nameOf(r.Namespace.Inode); {
	case home == "host":
		return "on the host"
	case strings.HasPrefix(home, "net:"):
		return "in " + home
	default:
		return "in net of " + home
	}
}

func (r *whoRow) whatListener() string {
	sockets, where := r.sockets(false), r.where()
	switch {
	case r.Process == nil:
		return fmt.Sprintf("%s %s, by whom may not be seen (uid %d)", sockets, where, r.Listeners[0].UID)
	case r.Forward != nil:
		return fmt.Sprintf("%s %s, to %s:%d", r.Process.Comm, where, r.Forward.Address, r.Forward.Port)
	case r.Name == "host" && where == "on the host", where == "in net of "+r.Name, where == "in "+r.Name:
		return r.Process.Comm + ", " + sockets
	}
	return fmt.Sprintf("%s, %s %s", r.Process.Comm, sockets, where)
}

func (r *whoRow) whatUID() string {
	var parts []string
	if r.SubIDsOf != "" {
		parts = append(parts, "subuid of "+r.SubIDsOf)
	}
	if inside := r.inside(r.Levels); inside != "" {
		here := ""
		if r.Levels[0].Number != nil && !strings.HasPrefix(r.Word, fmt.Sprintf("uid:%d", *r.Levels[0].Number)) {
			here = fmt.Sprintf("%d here, ", *r.Levels[0].Number)
		}
		parts = append(parts, here+inside+" inside")
	} else if strings.Contains(r.Word, "@") {
		parts = append(parts, "the same here: no user namespace")
	} else if r.Process != nil && r.Process.User != "" {
		parts = append(parts, "user "+r.Process.User)
	}
	switch n := len(r.PIDs); {
	case n > 1:
		parts = append(parts, fmt.Sprintf("%s and %d more", r.Process.Comm, n-1))
	case n == 1 && r.Process != nil:
		parts = append(parts, r.Process.Comm)
	default:
		parts = append(parts, "no process")
	}
	if r.SubIDsOf != "" { // "subuid of alice: 1000 inside, notes"
		return parts[0] + ": " + strings.Join(parts[1:], ", ")
	}
	return strings.Join(parts, ", ")
}

// kindWords are what a page calls an identity.
var kindWords = map[identity.Kind]string{identity.Container: "container", identity.Pod: "pod", identity.Machine: "machine"}

// exitedWords is for a process in state Z, of which as many threads are left.
func exitedWords(threads int) string {
	if threads > 1 {
		return "its first thread has exited"
	}
	return "a zombie"
}
