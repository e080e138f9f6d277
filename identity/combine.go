package identity

import "slices"

// Claimant is who says what a supervisor's command line says.
type Claimant struct {
	Supervisor
	// UID is the effective user of the supervisor's process.
	UID uint32
	// Of is whose the supervisor itself is: a runtime in a container has a container
	// around all that it makes. nil on the host.
	Of *Identity
}

// Of is whose a process is, by the paths of its cgroups and the nearest supervisor
// among its ancestors, if there is one. Of several paths the first that says most
// counts: v2's or systemd's is best given first. false: nobody's.
func Of(paths []string, by *Claimant) (Identity, bool) {
	id, found := fromPaths(paths)
	if by == nil {
		return id, found
	}
	named := by.identity()
	switch {
	case !found, id.Kind == Unit, id.Kind == Session:
		// A container in no group of its own, as rootless podman's are on v1.
		if found && id.Kind == Unit {
			named.Unit = id.Name
		}
		return named, true
	case by.ID != "" && id.ID == by.ID, by.ID == "" && id.Name == by.Name:
		return id.completed(named), true
	case by.Namespace == "k8s.io" && id.Pod != nil:
		return id, true // one shim for all of a pod: the group says which of its containers
	case by.Of == nil && contains(id.Parents, by.ID):
		return id, true // the supervisor of what it is nested in
	}
	// The nearer supervisor's container, within that of the path.
	if named.Parents == nil {
		outer := id
		outer.Parents = nil
		named.Parents = append(slices.Clip(id.Parents), outer)
	}
	return named, true
}

func fromPaths(paths []string) (id Identity, found bool) {
	for _, path := range paths {
		next, ok := FromPath(path)
		if ok && (!found || rank(next.Kind) > rank(id.Kind)) {
			id, found = next, true
		}
	}
	return id, found
}

// rank is how much a kind says.
func rank(k Kind) int {
	switch k {
	case Unit, Session:
		return 1
	case Flatpak, Snap:
		return 2
	case Pod:
		return 3
	}
	return 4
}

func contains(list []Identity, id string) bool {
	for i := range list {
		if list[i].ID == id {
			return true
		}
	}
	return false
}

// identity is what the supervisor says alone.
func (c *Claimant) identity() Identity {
	id := Identity{Kind: Container, Runtime: c.Runtime, ID: c.ID, Name: c.Name, Pod: c.Pod, OwnerUID: c.UID, By: ByArgv}
	if id.Name == "" && !IsID(id.ID) { // ctr run IMAGE NAME
		id.Name, id.ID = id.ID, ""
	}
	switch {
	case c.Runtime == Machined:
		id.Kind = Machine
	case c.Sandbox, c.Namespace == "k8s.io": // one shim a pod, with the sandbox's ID
		id.Kind = Pod
	}
	if c.Of.IsContainer() {
		outer := *c.Of
		outer.Parents = nil
		id.Parents = append(slices.Clip(c.Of.Parents), outer)
	}
	return id
}

// completed is what the path says with what the supervisor adds.
func (i Identity) completed(by Identity) Identity {
	i.By = ByArgv
	i.Name = firstOf(by.Name, i.Name)
	if i.Runtime == Unknown || i.Runtime == Containerd || i.Runtime == LXC {
		i.Runtime = by.Runtime
	}
	if by.Kind == Pod {
		i.Kind = Pod
	}
	if by.Pod != nil {
		pod := *by.Pod
		if i.Pod != nil {
			pod.UID, pod.ID = firstOf(i.Pod.UID, pod.UID), firstOf(i.Pod.ID, pod.ID)
		}
		i.Pod = &pod
	}
	if i.OwnerUID == 0 {
		i.OwnerUID = by.OwnerUID
	}
	if len(i.Parents) == 0 {
		i.Parents = by.Parents
	}
	return i
}
