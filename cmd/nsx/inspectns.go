package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nsx/inspect"
	"nsx/output"
)

// namespaceFacts are the namespaces by who is in them besides: nobody, some others, or
// the host.
func namespaceFacts(d *profileDoc) (facts []output.Fact) {
	if d.Kind == inspect.OfNamespace {
		return append(sharerFacts(d), specialFacts(d)...)
	}
	labels := []string{"its own"}
	members := map[string][]string{}
	for i := range d.Namespaces {
		n := &d.Namespaces[i]
		label, text := "its own", n.ID().Target()
		switch {
		case n.IsInitial():
			label, text = "the host's", n.Type.String()
		case n.Initial == nil && n.Readers:
			label, text = "yours too", n.Type.String()
		case len(n.SharedWith) > 0:
			label = "with " + firstOf(sharerNames(n.SharedWith), d.most(3))
		case n.Initial == nil:
			label = "its own?" // there may be others whom we cannot see
		}
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
		members[label] = append(members[label], text)
	}
	slices.SortStableFunc(labels, func(a, b string) int { return rankLabel(a) - rankLabel(b) })
	for _, label := range labels {
		if len(members[label]) > 0 {
			facts = append(facts, line(output.Text(label), output.Text(strings.Join(members[label], "  "))))
		}
	}
	if shares := sharesHost(d); len(shares) > 0 {
		facts = append(facts, line(output.Text("SHARES").With(output.Red), output.Text(strings.Join(shares, " ")+" with the host").With(output.Red)))
	}
	return append(facts, specialFacts(d)...)
}

// rankLabel has what is the thing's own first, and the host's last.
func rankLabel(label string) int {
	switch label {
	case "its own":
		return 0
	case "its own?":
		return 2
	case "the host's", "yours too":
		return 3
	}
	return 1
}

// sharesHost are the types that containers seldom share with the host.
func sharesHost(d *profileDoc) (types []string) {
	if !d.Identity.Contained() {
		return nil
	}
	for _, t := range mostlyApart {
		for i := range d.Namespaces {
			if n := &d.Namespaces[i]; n.Type == t && n.IsInitial() {
				types = append(types, t.String())
			}
		}
	}
	return types
}

func sharerName(s inspect.Sharer) string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("%d %s", s.PID, s.Comm)
}

// sharerNames are names, each once, and PIDs where there is none.
func sharerNames(sharers []inspect.Sharer) (names []string) {
	for _, s := range sharers {
		name := sharerName(s)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// sharerFacts are who is in a namespace.
func sharerFacts(d *profileDoc) []output.Fact {
	if len(d.Namespaces) == 0 || len(d.Namespaces[0].SharedWith) == 0 {
		return nil
	}
	var texts []string
	for _, s := range d.Namespaces[0].SharedWith {
		text := sharerName(s)
		if s.NProcs > 1 {
			text += fmt.Sprintf(" (%d)", s.NProcs)
		}
		texts = append(texts, text)
	}
	return []output.Fact{line(output.Text("in it"), output.Text(firstOf(texts, d.most(12))))}
}

// specialFacts are what single types have.
func specialFacts(d *profileDoc) (facts []output.Fact) {
	for i := range d.Namespaces {
		n := &d.Namespaces[i]
		if (n.IsInitial() || n.Initial == nil && n.Readers) && d.Kind != inspect.OfNamespace {
			continue
		}
		if n.Hostname != nil {
			text := *n.Hostname
			if n.Domainname != nil && *n.Domainname != "" && *n.Domainname != "(none)" {
				text += ", domain " + *n.Domainname
			}
			facts = append(facts, line(output.Text("hostname"), output.Text(text)))
		}
		if n.Offsets != nil {
			facts = append(facts, line(output.Text("clocks"), output.Text(fmt.Sprintf("monotonic %s, boottime %s", offset(n.Offsets.MonotonicNsec), offset(n.Offsets.BoottimeNsec)))))
		}
		if len(n.Names) > 0 && d.Kind != inspect.OfNamespace {
			facts = append(facts, line(output.Text("net is"), output.Text("netns:"+strings.Join(n.Names, ", netns:"))))
		}
	}
	return facts
}

// offset is "+48h0m0s".
func offset(nsec int64) string {
	text := time.Duration(nsec).String()
	if nsec >= 0 {
		text = "+" + text
	}
	return text
}

// heldByFacts are what keeps a namespace besides processes.
func heldByFacts(d *profileDoc) []output.Fact {
	if d.Kind != inspect.OfNamespace || len(d.Namespaces) == 0 || len(d.Namespaces[0].HeldBy) == 0 {
		return nil
	}
	return []output.Fact{line(output.Text(firstOf(holderTexts(d.Namespaces[0].HeldBy), d.most(8))).With(output.Yellow))}
}

// userLevelFacts are the user namespaces up to the boot's, with their maps.
func userLevelFacts(d *profileDoc) (facts []output.Fact) {
	if len(d.UserNamespaces) == 1 && d.UserNamespaces[0].Initial != nil && *d.UserNamespaces[0].Initial {
		return nil
	}
	for _, l := range d.UserNamespaces {
		name := fmt.Sprintf("user:%d", l.Inode)
		if l.Initial != nil && *l.Initial {
			facts = append(facts, line(output.Text(name), output.Text("the host's")))
			continue
		}
		var texts []string
		if l.OwnerUID != nil {
			texts = append(texts, fmt.Sprintf("made by uid %d", *l.OwnerUID))
		}
		switch {
		case l.UIDMap == nil && l.GIDMap == nil:
			texts = append(texts, "maps ?")
		case (l.UIDMap == nil) == (l.GIDMap == nil) && slices.Equal(l.UIDMap, l.GIDMap):
			texts = append(texts, "ids "+d.mapText(l.UIDMap))
		default:
			texts = append(texts, "uids "+d.mapText(l.UIDMap), "gids "+d.mapText(l.GIDMap))
		}
		if l.Setgroups == "deny" {
			texts = append(texts, "setgroups denied")
		}
		facts = append(facts, line(output.Text(name), output.Text(strings.Join(texts, "; "))))
	}
	return facts
}

// mapText is a map, of which the page shows the first ranges.
func (d *profileDoc) mapText(m inspect.IDMap) string {
	switch {
	case m == nil:
		return "?"
	case len(m) == 0 || !d.all:
		return m.String()
	}
	var parts []string
	for _, r := range m {
		parts = append(parts, inspect.IDMap{r}.String())
	}
	return strings.Join(parts, ", ")
}
