package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// profilePage lays a profile out. Each section is a function that has nothing to say
// where that is so.
var profilePage = &output.Page[profileDoc]{
	Title: titleOf,
	Name:  func(d *profileDoc) string { return profileName(d) },
	Blocks: [][]output.Section[profileDoc]{
		{{Name: "container", Facts: containerFacts}, {Name: "within", Facts: withinFacts}, {Name: "process", Facts: processFacts}, {Name: "user", Facts: userFacts}, {Name: "known by", Facts: knownByFacts}},
		{{Name: "namespaces", Facts: namespaceFacts}, {Name: "held by", Facts: heldByFacts}, {Name: "users", Facts: userLevelFacts}, {Name: "PIDs", Facts: pidLevelFacts}, {Name: "open", Facts: openFacts}},
		{{Name: "rights", Facts: rightsFacts}},
		{{Name: "group", Facts: groupFacts}},
		{{Name: "network", Facts: networkFacts}},
		{{Name: "files", Facts: filesFacts}},
		{{Name: "not seen", Facts: unseenFacts}},
	},
}

func line(cells ...output.Cell) output.Fact { return cells }

func lineOf(format string, args ...any) output.Fact {
	return output.Fact{output.Text(fmt.Sprintf(format, args...))}
}

// profileName is what the target is called, as a target.
func profileName(d *profileDoc) string {
	switch {
	case d.Kind == inspect.OfNamespace && len(d.Namespaces) > 0:
		return d.Namespaces[0].ID().String()
	case d.Kind == inspect.OfGroup && len(d.Groups) > 0 && (d.Identity == nil || strings.HasPrefix(d.Target, "cgroup:")):
		return "cgroup:" + d.Groups[0].Path
	case d.Identity != nil:
		return d.Identity.Target()
	case d.Process != nil:
		return strconv.Itoa(d.Process.PID)
	}
	return d.Target
}

// titleOf is the name, and in a few words what that is.
func titleOf(d *profileDoc) []output.Cell {
	var about []string
	n := len(d.PIDs)
	switch {
	case d.Kind == inspect.OfNamespace:
		about = namespaceTitle(d)
	case d.Process == nil:
		about = append(about, "no process is in it")
	default:
		if id := d.Identity; id != nil && id.Kind == identity.Container && id.Pod != nil {
			about = append(about, "in pod:"+id.Pod.String())
		}
		if d.Identity != nil && n == 1 && d.ofOne() {
			about = append(about, fmt.Sprintf("one process of it, %d", d.Process.PID))
		}
		if d.Identity == nil {
			about = append(about, d.Process.Comm)
		}
		if d.AgeSeconds != nil && d.Process.State != inspect.Zombie {
			about = append(about, "running "+ageWords(*d.AgeSeconds))
		}
		if d.Process.State == inspect.Zombie {
			about = append(about, exitedWords(d.Process.NumThreads))
		}
		if n > 1 {
			about = append(about, words.Count(n, "process", "processes"))
		}
	}
	return []output.Cell{output.Text(profileName(d)).With(output.Bold), output.Text(strings.Join(about, ", "))}
}

// ofOne says that the target names a process, and not a thing with a name.
func (d *profileDoc) ofOne() bool {
	ref, err := inspect.ParseRef(d.Target)
	return err == nil && (ref.Kind == inspect.RefProcess || ref.Kind == inspect.RefSelf)
}

func namespaceTitle(d *profileDoc) (about []string) {
	if len(d.Namespaces) == 0 {
		return nil
	}
	n := &d.Namespaces[0]
	switch {
	case n.IsInitial():
		about = append(about, "the host's")
	case d.Identity != nil:
		about = append(about, "of "+d.Identity.Target())
	}
	for _, name := range n.Names {
		about = append(about, "netns:"+name)
	}
	switch {
	case !n.NProcs.Known():
		about = append(about, "? processes")
	case n.NProcs == 0:
		about = append(about, "no process is in it")
	default:
		about = append(about, words.Count(int(n.NProcs), "process", "processes"))
	}
	if n.KernelID != nil {
		about = append(about, fmt.Sprintf("id %d", *n.KernelID))
	}
	return about
}

// containerFacts are what a runtime knows its thing by.
func containerFacts(d *profileDoc) []output.Fact {
	id := d.Identity
	if id == nil || id.ID == "" && id.Image == "" {
		return nil
	}
	var parts []string
	if id.ID != "" {
		short := id.ID
		if !d.all {
			short = identity.ShortID(short)
		}
		parts = append(parts, short+" of "+string(id.Runtime))
	}
	if id.Image != "" {
		parts = append(parts, "image "+id.Image)
	}
	if id.Unit != "" {
		parts = append(parts, "unit "+id.Unit)
	}
	return []output.Fact{lineOf("%s", strings.Join(parts, ", "))}
}

func withinFacts(d *profileDoc) (facts []output.Fact) {
	if d.Identity == nil {
		return nil
	}
	for _, parent := range slices.Backward(d.Identity.Parents) {
		facts = append(facts, lineOf("%s", parent.Target()))
	}
	return facts
}

func processFacts(d *profileDoc) []output.Fact {
	p := d.Process
	if p == nil {
		return nil
	}
	text := fmt.Sprintf("%d %s", p.PID, commandCell(p.Cmdline, p.CmdlineCut, p.Comm))
	if most := d.most(400); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	if d.Kind == inspect.OfNamespace {
		return []output.Fact{lineOf("%s leads it", text)}
	}
	facts := []output.Fact{lineOf("%s", text)}
	if t := d.Thread; t != nil {
		facts = append(facts, lineOf("its thread %d {%s}", t.TID, t.Comm))
	}
	return facts
}

// userFacts are who the process is, outside and inside.
func userFacts(d *profileDoc) []output.Fact {
	p, r := d.Process, d.Rights
	if p == nil || p.UID == nil || d.Kind == inspect.OfNamespace {
		return nil
	}
	text := p.User
	if text != strconv.FormatUint(uint64(*p.UID), 10) {
		text += fmt.Sprintf(" (%d)", *p.UID)
	}
	if r != nil {
		if r.UIDs[0] != *p.UID {
			text += fmt.Sprintf(", really %d", r.UIDs[0])
		}
		switch {
		case r.OnHost != nil && *r.OnHost, r.OnHost == nil && r.InsideUID != nil && *r.InsideUID == *p.UID:
		case r.InsideUID == nil:
			text += "; it has no number in its own user namespace"
		case *r.InsideUID == *p.UID:
			text += "; the same in its user namespace"
		default:
			text += fmt.Sprintf("; %d in its user namespace", *r.InsideUID)
		}
	}
	return []output.Fact{lineOf("%s", text)}
}

func knownByFacts(d *profileDoc) []output.Fact {
	id := d.Identity
	if id == nil || id.OfSystemd() {
		return nil
	}
	return fact(knownBy(id))
}

// knownBy is from what an identity is known, and who could have made it up.
func knownBy(id *identity.Identity) string {
	text := map[identity.Source]string{
		identity.ByArgv: "its supervisor's command line", identity.ByCgroup: "the path of its cgroup", identity.ByFile: "a file of its runtime's",
	}[id.By]
	if text != "" && id.OwnerUID != 0 {
		text += ", which user " + cmp.Or(id.Owner, strconv.FormatUint(uint64(id.OwnerUID), 10)) + " could have made up"
	}
	return text
}

// pidLevelFacts are its numbers, if it has several.
func pidLevelFacts(d *profileDoc) []output.Fact {
	if len(d.PIDNamespaces) < 2 {
		return nil
	}
	var texts []string
	for _, l := range d.PIDNamespaces {
		where := "?"
		if l.Inode != 0 {
			where = fmt.Sprintf("pid:%d", l.Inode)
		}
		texts = append(texts, fmt.Sprintf("%d in %s", l.PID, where))
	}
	return []output.Fact{lineOf("%s", strings.Join(texts, ", "))}
}

func openFacts(d *profileDoc) (facts []output.Fact) {
	var texts []string
	for _, o := range d.Descriptors {
		kind := "descriptor"
		if o.Kind == inspect.HeldBySocket {
			kind = "socket"
		}
		texts = append(texts, fmt.Sprintf("%s by %s %d", o.ID, kind, *o.FD))
	}
	if len(texts) > 0 {
		facts = append(facts, lineOf("%s", firstOf(texts, d.most(8))))
	}
	return facts
}

// unseenFacts end the page: what is not on it because it could not be read.
func unseenFacts(d *profileDoc) (facts []output.Fact) {
	whats := map[string][]string{}
	var order []string
	note := func(why, what string) {
		if whats[why] == nil {
			order = append(order, why)
		}
		if !slices.Contains(whats[why], what) {
			whats[why] = append(whats[why], what)
		}
	}
	others := map[inspect.Unreadable]int{}
	for _, u := range d.Unreadable {
		if u.PID != 0 && (d.Process == nil || u.PID != d.Process.PID) {
			u.PID = 0
			others[u]++
			continue
		}
		note(u.Error, u.What)
	}
	for _, u := range slices.SortedFunc(maps.Keys(others), func(a, b inspect.Unreadable) int { return strings.Compare(a.What+a.Error, b.What+b.Error) }) {
		note(u.Error, fmt.Sprintf("%s of %s", u.What, words.Count(others[u], "other process", "other processes")))
	}
	if d.Limits != nil {
		for _, u := range d.Limits.Unreadable {
			note(u.Reason, u.File)
		}
	}
	for _, use := range d.uses() {
		for _, u := range use.Unreadable {
			note(u.Reason, u.File)
		}
	}
	for _, why := range order {
		facts = append(facts, line(output.Text(firstOf(whats[why], d.most(6))+": "+why).With(output.Yellow)))
	}
	switch {
	case len(facts) == 0 && d.Complete:
		return []output.Fact{lineOf("nothing: all could be read")}
	case len(facts) == 0:
		return []output.Fact{lineOf("processes that /proc hides")}
	}
	return facts
}

// ageWords is a time at a glance: "6 days".
func ageWords(seconds float64) string {
	for _, unit := range []struct {
		seconds   float64
		one, many string
	}{{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}} {
		if seconds >= 2*unit.seconds {
			return words.Count(int(seconds/unit.seconds), unit.one, unit.many)
		}
	}
	return words.Count(int(seconds), "second", "seconds")
}
