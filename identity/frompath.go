package identity

import (
	"slices"
	"strconv"
	"strings"
)

// FromPath is whose a cgroup is by its path: its innermost container, pod or machine
// with those that this is nested in, or else the unit or session. Groups that are
// nobody's (slices, what somebody made by hand, those of a container's monitor) are
// false.
func FromPath(path string) (Identity, bool) {
	var (
		id   Identity
		unit *Claim // the innermost one on the host
		pod  *PodName
	)
	for _, c := range Claims(path) {
		switch {
		case c.Runtime == Systemd:
			if !IsSlice(c.Name) {
				unit = &c
			}
			continue
		case c.Monitor:
			return Identity{}, false
		case c.Pod || c.Runtime == Kubernetes:
			if !c.Pod {
				continue // Kubernetes' own groups
			}
			pod = podOf(c)
			id = nested(id, Identity{Kind: Pod, Runtime: c.Runtime, Pod: pod})
		default:
			next := Identity{Kind: Container, Runtime: c.Runtime}
			if IsID(c.Name) {
				next.ID = c.Name
			} else {
				next.Name = c.Name
			}
			if c.Runtime == Machined || c.Runtime == Libvirt {
				next.Kind = Machine
			}
			if id.Kind == Pod {
				next.Pod = pod
			}
			id = nested(id, next)
		}
		id.OwnerUID = ownerOf(c.Path)
		id.By = ByCgroup
	}
	switch {
	case id.Kind == "" && unit == nil:
		return Identity{}, false
	case id.Kind == "":
		return fromUnit(*unit), true
	case unit != nil && !strings.HasPrefix(unit.Name, "user@"):
		id.Unit = unit.Name
	}
	return id, true
}

// GroupOf is the group that FromPath's answer is of: the path up to the name that says
// so. "" if there is none.
func GroupOf(path string) string {
	group, inside := "", false
	for _, c := range Claims(path) {
		switch {
		case c.Monitor:
			return ""
		case c.Runtime == Systemd:
			if !inside && !IsSlice(c.Name) {
				group = c.Path
			}
		case c.Pod || c.Runtime != Kubernetes:
			group, inside = c.Path, true
		}
	}
	return group
}

// nested is inner with what it is nested in; a container's pod is no such thing.
func nested(outer, inner Identity) Identity {
	inner.Parents = outer.Parents
	if outer.Kind != "" && (outer.Kind != Pod || inner.Kind == Pod) {
		outer.Parents = nil
		inner.Parents = append(slices.Clip(inner.Parents), outer)
	}
	return inner
}

func podOf(c Claim) *PodName {
	if c.Runtime == Kubernetes {
		return &PodName{UID: c.Name}
	}
	return &PodName{ID: c.Name}
}

// fromUnit is a unit, or what systemd's conventions for names of units make of it
// (systemd.io/DESKTOP_ENVIRONMENTS, snapd's cgroup tracking).
func fromUnit(c Claim) Identity {
	id := Identity{Kind: Unit, Runtime: Systemd, Name: c.Name, OwnerUID: ownerOf(c.Path), By: ByCgroup}
	bare, isScope := strings.CutSuffix(c.Name, ".scope")
	if !isScope {
		bare = strings.TrimSuffix(c.Name, ".service")
	}
	if n, ok := strings.CutPrefix(bare, "session-"); ok && isScope && strings.Contains(c.Path, "/user-") {
		id.Kind, id.Name = Session, n
	}
	if app, ok := strings.CutPrefix(bare, "app-flatpak-"); ok && isScope {
		if i := strings.LastIndexByte(app, '-'); i > 0 {
			id.Kind, id.Name, id.Unit = Flatpak, unescape(app[:i]), c.Name
		}
	}
	if app, ok := strings.CutPrefix(bare, "snap."); ok {
		if isScope {
			app, _ = cutUUID(app)
		}
		name, program, both := strings.Cut(app, ".")
		if both && program == name {
			app = name
		}
		id.Kind, id.Name, id.Unit = Snap, app, c.Name
	}
	return id
}

// cutUUID cuts "-UUID" off.
func cutUUID(name string) (string, bool) {
	const length = 36
	i := len(name) - length - 1
	if i <= 0 || name[i] != '-' || !isHex(strings.ReplaceAll(name[i+1:], "-", "")) {
		return name, false
	}
	return name[:i], true
}

// ownerOf is the user below whose own manager a group lies, who may have named it; 0
// where it is root.
func ownerOf(path string) uint32 {
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		uid, ok := strings.CutPrefix(part, "user@")
		uid, ok2 := strings.CutSuffix(uid, ".service")
		if !ok || !ok2 || strings.HasSuffix(path, "/"+part) {
			continue
		}
		if n, err := strconv.ParseUint(uid, 10, 32); err == nil {
			return uint32(n)
		}
	}
	return 0
}

func uidText(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }
