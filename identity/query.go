package identity

import (
	"path"
	"slices"
	"strings"
)

// Query is a word that names identities: "podman:web", "ct:5f2c", "pod:shop/cart/app",
// "unit:nginx", "podman(alice):notes", or a bare "web". In a name "*" stands for any
// part.
type Query struct {
	// Word is what was written.
	Word string

	kind  string // "ct", "pod", "unit", a runtime …; empty: a bare word, which tries them all
	owner string // in brackets
	name  string
}

// queryKinds are the words before the colon, without those of runtimes.
var queryKinds = []string{"ct", "pod", "unit", "session", "machine", "flatpak", "snap"}

var runtimes = []Runtime{
	Docker, Podman, CRIO, Containerd, Nerdctl, ECS, LXC, LXD, Incus, Libvirt, Nomad, Buildkit, Garden, BPM,
}

// ParseQuery reads a word. false: it has a colon and no kind of ours before it, or
// nothing after it, so that it can be no name.
func ParseQuery(word string) (Query, bool) {
	q := Query{Word: word, name: word}
	head, name, found := cutOutside(word)
	if !found {
		if isUnitName(word) {
			q.kind = "unit"
		}
		return q, word != "" && !strings.ContainsAny(word, "/:() ")
	}
	kind, owner, bracket := strings.Cut(head, "(")
	if bracket {
		if owner, bracket = strings.CutSuffix(owner, ")"); !bracket || owner == "" {
			return q, false
		}
	}
	q.kind, q.owner, q.name = kind, owner, name
	known := slices.Contains(queryKinds, kind) || slices.Contains(runtimes, Runtime(kind))
	return q, known && name != ""
}

// cutOutside cuts at the first colon that is in no brackets: "docker(lxc:a):web".
func cutOutside(word string) (before, after string, found bool) {
	depth := 0
	for i, c := range word {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ':' && depth == 0:
			return word[:i], word[i+1:], true
		}
	}
	return word, "", false
}

// IsBare says that the word names no kind.
func (q Query) IsBare() bool { return q.kind == "" }

// Glob says that it may name several.
func (q Query) Glob() bool { return strings.Contains(q.name, "*") }

// Matches says whether the query names the identity: by its name, or a container by four
// or more digits of its ID. What an ordinary user or a container says, who could have
// made up either, counts only where the query says whose it is.
func (q Query) Matches(i *Identity) bool {
	if !q.matchesKind(i) || q.owner != i.claimant() {
		return false
	}
	isContainer := i.Kind == Container || i.Kind == Pod
	return isContainer && i.hasID(q.name) || q.matchesName(i)
}

// Thing is what a query that matches means: the pod or unit that it asks for, of which
// the identity may be a part, or the identity itself.
func (q Query) Thing(i *Identity) Identity {
	whole := *i
	switch {
	case q.kind == "unit" && i.Kind != Unit, q.kind == "" && i.Kind != Unit && i.Unit != "" && !matches(q.name, i.Name):
		whole.Kind, whole.Name, whole.Pod, whole.ID = Unit, i.Unit, nil, ""
	case i.Pod != nil && q.matchesPod(i) && strings.Count(q.name, "/") < 2 && (q.kind == "pod" || !matches(q.name, i.Name)):
		whole.Kind, whole.Name, whole.ID = Pod, "", ""
	}
	return whole
}

// ByID is the Target by the ID, where there is one: of several that have one name it
// says which. Of a pod that is its UID.
func (i *Identity) ByID() string {
	byID := *i
	if byID.ID != "" {
		byID.Name = ""
		if byID.Kind == Container {
			byID.Pod = nil
		}
	}
	if byID.Kind == Pod && byID.Pod != nil && firstOf(byID.Pod.UID, byID.Pod.ID) != "" {
		byID.Pod = &PodName{UID: i.Pod.UID, ID: i.Pod.ID}
	}
	return byID.Target()
}

// claimant is what stands in the brackets, "" for root of the host.
func (i *Identity) claimant() string {
	who := strings.TrimPrefix(i.claimedBy(), "(")
	return strings.TrimSuffix(who, ")")
}

func (q Query) matchesKind(i *Identity) bool {
	switch q.kind {
	case "":
		return i.Kind != Session
	case "ct":
		return i.Kind == Container
	case "pod":
		return i.Pod != nil || i.Kind == Pod
	case "unit":
		return i.Kind == Unit || i.Unit != ""
	case "session", "machine", "flatpak", "snap":
		return string(i.Kind) == q.kind
	}
	return (i.Kind == Container || i.Kind == Machine) && string(i.Runtime) == q.kind
}

func (q Query) matchesName(i *Identity) bool {
	if q.kind == "" || q.kind == "pod" {
		if i.Pod != nil && q.matchesPod(i) {
			return true
		}
		if q.kind == "pod" && (i.Pod != nil || i.Kind != Pod) {
			return false
		}
	}
	if q.kind == "unit" || q.kind == "" && (i.Kind == Unit) {
		unit := firstOf(i.Unit, i.Name)
		return matches(q.name, unit) || matches(q.name+".service", unit)
	}
	return matches(q.name, i.Name)
}

// matchesPod knows NAME, NAMESPACE/NAME, NAMESPACE/NAME/CONTAINER, and IDs.
func (q Query) matchesPod(i *Identity) bool {
	p := i.Pod
	if longEnough(q.name) && (strings.HasPrefix(p.UID, q.name) || strings.HasPrefix(p.ID, q.name)) {
		return true
	}
	parts := strings.Split(q.name, "/")
	switch len(parts) {
	case 1:
		return matches(parts[0], p.Name)
	case 2:
		return matches(parts[0], p.Namespace) && matches(parts[1], p.Name)
	case 3:
		return matches(parts[0], p.Namespace) && matches(parts[1], p.Name) && matches(parts[2], i.Name)
	}
	return false
}

// hasID says whether the word is the beginning of the ID.
func (i *Identity) hasID(word string) bool {
	return longEnough(word) && isHex(word) && strings.HasPrefix(i.ID, word)
}

func longEnough(id string) bool { return len(id) >= 4 }

// matches is path.Match for names of one part, of which a pattern that is none is
// itself.
func matches(pattern, name string) bool {
	if name == "" {
		return false
	}
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	quoted := strings.NewReplacer(`\`, `\\`, "[", `\[`, "?", `\?`).Replace(pattern)
	ok, err := path.Match(quoted, name)
	return ok && err == nil
}
