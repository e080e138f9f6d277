package identity

import (
	"slices"
	"strings"
)

// Kind is what an identity is of.
type Kind string

// The kinds. A Pod's own identity is that of its sandbox: the process that holds
// its namespaces, and the group around its containers.
const (
	Container Kind = "container"
	Pod       Kind = "pod"
	Machine   Kind = "machine"
	Flatpak   Kind = "flatpak"
	Snap      Kind = "snap"
	Unit      Kind = "unit"
	Session   Kind = "session"
)

// Source is from what an identity is known, or the best part of it.
type Source string

// The sources, the best first: what the supervisor's command line says, what the
// path of the cgroup says, what a runtime has written into a file.
const (
	ByArgv   Source = "argv"
	ByCgroup Source = "cgroup"
	ByFile   Source = "file"
)

// Identity is whose a process, a set of processes, a namespace or a group is.
type Identity struct {
	Kind Kind `json:"kind"`
	// Runtime has made it; "container" is one that is not known.
	Runtime Runtime `json:"runtime"`
	// ID is the runtime's, mostly 64 hex digits; empty for units and the like.
	ID string `json:"id,omitempty"`
	// Name is what people call it; empty where nobody says it.
	Name  string `json:"name,omitempty"`
	Image string `json:"image,omitempty"`
	// Unit is the systemd unit that it runs in, if that is not the runtime's own.
	Unit string `json:"unit,omitempty"`
	// Pod is where the container belongs.
	Pod *PodName `json:"pod,omitempty"`
	// Parents are what it is nested in, the innermost last.
	Parents []Identity `json:"parents,omitempty"`
	// OwnerUID is the user who says all this, where that is not root: he could have
	// made it up. Owner is that user's name, if somebody has filled it in.
	OwnerUID uint32 `json:"owner_uid,omitempty"`
	Owner    string `json:"owner,omitempty"`
	By       Source `json:"by"`
}

// PodName names a pod: Kubernetes' by namespace, name and UID, podman's by name or
// ID. What is not known is empty.
type PodName struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
	ID        string `json:"id,omitempty"`
}

// String is "NAMESPACE/NAME", or what of it is known.
func (p *PodName) String() string {
	switch {
	case p.Name == "":
		return ShortID(firstOf(p.UID, p.ID))
	case p.Namespace == "":
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// Target is the identity's name as people type it: "podman:web",
// "pod:shop/cart/app", "podman(alice):notes", "unit:nginx". An ID stands for a name
// that is not known, with twelve digits: "podman(alice):5e5f2c1a9d03", since whoever
// makes up a name can make up an ID as well.
func (i *Identity) Target() string {
	word, name := i.words()
	return word + i.claimedBy() + ":" + name
}

// words are the kind's word and the name within it.
func (i *Identity) words() (word, name string) {
	name = firstOf(i.Name, ShortID(i.ID))
	switch {
	case i.Kind == Unit:
		return "unit", strings.TrimSuffix(i.Name, ".service")
	case i.Kind == Pod && i.Pod != nil:
		return "pod", i.Pod.String()
	case i.Kind != Container:
		return string(i.Kind), name
	case i.inKubernetes() && i.Pod.Name != "" && i.Name != "":
		return "pod", i.Pod.String() + "/" + i.Name
	case i.Runtime == Unknown, i.inKubernetes():
		return "ct", name
	}
	return string(i.Runtime), name
}

// inKubernetes says that the container is one of a Kubernetes pod's, which are known
// by their pod and not by their runtime.
func (i *Identity) inKubernetes() bool {
	return i.Pod != nil && (i.Pod.UID != "" || i.Pod.Namespace != "")
}

// claimedBy is who says so, in brackets, where that is not root of the host: a user,
// or the container in which the runtime itself runs.
func (i *Identity) claimedBy() string {
	switch n := len(i.Parents); {
	case n > 0:
		return "(" + i.Parents[n-1].Target() + ")"
	case i.OwnerUID != 0:
		return "(" + firstOf(i.Owner, uidText(i.OwnerUID)) + ")"
	}
	return ""
}

// Trusted says that root of the host says so, and nobody whom an ordinary user or a
// container could pass for.
func (i *Identity) Trusted() bool { return i.OwnerUID == 0 && len(i.Parents) == 0 }

// IsContainer says that it is a container, a pod or a machine, within which others can be.
func (i *Identity) IsContainer() bool {
	return i != nil && (i.Kind == Container || i.Kind == Pod || i.Kind == Machine)
}

// Contained says that it is a container or a pod, which people expect to be held. nil
// is nobody's.
func (i *Identity) Contained() bool { return i != nil && (i.Kind == Container || i.Kind == Pod) }

// OfSystemd says that it is a plain unit or session, as most of a machine is. nil is
// nobody's.
func (i *Identity) OfSystemd() bool { return i != nil && (i.Kind == Unit || i.Kind == Session) }

// Same says that both are of one thing.
func (i *Identity) Same(j *Identity) bool {
	if i.Kind != j.Kind || i.Runtime != j.Runtime || i.OwnerUID != j.OwnerUID || len(i.Parents) != len(j.Parents) {
		return false
	}
	if i.ID != "" || j.ID != "" {
		return i.ID == j.ID
	}
	if (i.Pod == nil) != (j.Pod == nil) || i.Pod != nil && *i.Pod != *j.Pod {
		return false
	}
	return i.Name == j.Name && slices.EqualFunc(i.Parents, j.Parents, func(a, b Identity) bool { return a.Same(&b) })
}

// ShortID is the part of an ID that is shown: twelve digits of sixty-four.
func ShortID(id string) string {
	const shown = 12
	if IsID(id) {
		return id[:shown]
	}
	return id
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
