// Package identity says whose a cgroup is by its path alone: which container
// runtime, pod, machine or systemd unit has given it that name. It looks at
// nothing else, so a path may lie: who owns a delegated group names those below it
// as he likes.
package identity

import (
	"slices"
	"strings"
)

// Kind is what has made a group.
type Kind string

// The kinds. Container is one of a runtime that the path does not tell.
const (
	Docker     Kind = "docker"
	Podman     Kind = "podman"
	CRIO       Kind = "cri-o"
	Containerd Kind = "containerd"
	Nerdctl    Kind = "nerdctl"
	ECS        Kind = "ecs"
	Kubernetes Kind = "kubernetes"
	LXC        Kind = "lxc"
	Machine    Kind = "machine"
	Libvirt    Kind = "libvirt"
	Nomad      Kind = "nomad"
	Buildkit   Kind = "buildkit"
	Garden     Kind = "garden"
	BPM        Kind = "bpm"
	Container  Kind = "container"
	Unit       Kind = "systemd"
)

// Claim is that a group, and what is below it, is somebody's.
type Claim struct {
	Kind Kind
	// Name is the container's id or name, the pod's uid, or the unit.
	Name string
	// Namespace is containerd's, if the path has one; "k8s.io" is Kubernetes'.
	Namespace string
	// Path is the group that the name is of: the path up to there.
	Path string
}

// Claims lists all claims that a path holds, from the outside in: a container in a
// container has two. Units within a container are its own business, and left out;
// so are slices but for those of a runtime's.
func Claims(path string) []Claim {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var claims []Claim
	inside := false
	for i := range parts {
		c, ok := claim(parts, i)
		if !ok && !inside {
			c, ok = unit(parts[i])
		}
		if !ok {
			continue
		}
		inside = inside || c.Kind != Unit
		c.Path = "/" + strings.Join(parts[:i+1], "/")
		// A container's group may be named twice: podman's scope has crun's group below it.
		if n := len(claims); n > 0 && claims[n-1].Kind == c.Kind && claims[n-1].Name == c.Name {
			continue
		}
		claims = append(claims, c)
	}
	return claims
}

// Of is the innermost claim.
func Of(path string) (Claim, bool) {
	claims := Claims(path)
	if len(claims) == 0 {
		return Claim{}, false
	}
	return claims[len(claims)-1], true
}

// IsSlice says whether a name is that of a slice of systemd's.
func IsSlice(name string) bool { return strings.HasSuffix(name, ".slice") }

// unit is a claim of systemd.
func unit(name string) (Claim, bool) {
	for _, end := range []string{".service", ".scope", ".socket", ".mount", ".swap", ".slice"} {
		if strings.HasSuffix(name, end) && len(name) > len(end) {
			// systemd puts "_" before names that could be control files' (cg_escape).
			return Claim{Kind: Unit, Name: strings.TrimPrefix(name, "_")}, true
		}
	}
	return Claim{}, false
}

// prefixes are names that say it all: the beginning, then an id of 64 hex digits
// or, for the second list, any name.
var prefixes = []struct {
	before string
	kind   Kind
	any    bool
}{
	{"docker-", Docker, false},
	{"libpod-conmon-", Podman, false},
	{"libpod-payload-", Podman, false},
	{"libpod-", Podman, false},
	{"crio-conmon-", CRIO, false},
	{"crio-", CRIO, false},
	{"cri-containerd-", Containerd, false},
	{"nerdctl-", Nerdctl, false},
	{"lxc.payload.", LXC, true},
	{"lxc.monitor.", LXC, true},
	{"bpm-", BPM, true},
	{"systemd-nspawn@", Machine, true},
}

// claim looks at one name, and at those above it where it says nothing alone.
func claim(parts []string, i int) (Claim, bool) {
	name, above := parts[i], parts[:i]
	bare := strings.TrimSuffix(strings.TrimSuffix(name, ".scope"), ".service")
	for _, p := range prefixes {
		id, ok := strings.CutPrefix(bare, p.before)
		if ok && (p.any && id != "" || isID(id)) {
			c := Claim{Kind: p.kind, Name: id}
			switch p.kind {
			case Containerd:
				c.Namespace = "k8s.io"
			case Machine:
				c.Name = unescape(id)
			}
			return c, true
		}
	}
	if _, id, ok := strings.Cut(name, ":cri-containerd:"); ok && isID(id) {
		// The systemd form of the name, with the cgroupfs driver.
		return Claim{Kind: Containerd, Namespace: "k8s.io", Name: id}, true
	}
	if c, ok := machine(bare, name, above); ok {
		return c, true
	}
	if c, ok := pod(name, above); ok {
		return c, true
	}
	up := ""
	if i > 0 {
		up = above[i-1]
	}
	switch {
	case isID(name):
		return byParent(name, above), true
	case up == "buildkit":
		return Claim{Kind: Buildkit, Name: name}, true
	case up == "garden":
		return Claim{Kind: Garden, Name: name}, true
	case i == 1 && (up == "lxc" || up == "lxc.payload" || up == "lxc.monitor"):
		return Claim{Kind: LXC, Name: name}, true
	case slices.Contains(above, "ecs") && strings.HasPrefix(name, up+"-"):
		return Claim{Kind: ECS, Name: name}, true // Fargate: TASK/TASK-NUMBER
	case i > 1 && above[i-2] == "nomad" && (up == "share" || up == "reserve"):
		return Claim{Kind: Nomad, Name: bare}, true
	case i > 1 && above[i-2] == "nomad.slice" && strings.HasSuffix(name, ".scope"):
		return Claim{Kind: Nomad, Name: bare}, true
	}
	return Claim{}, false
}

// byParent is for a name that is nothing but an id.
func byParent(id string, above []string) Claim {
	up := ""
	if len(above) > 0 {
		up = above[len(above)-1]
	}
	c := Claim{Name: id}
	_, inPod := podUID(up)
	switch {
	case up == "docker" || slices.Contains(above, "ecs"):
		c.Kind = Docker
	case up == "libpod_parent" || slices.Contains(above, "libpod_parent"):
		c.Kind = Podman
	case inPod:
		c.Kind, c.Namespace = Containerd, "k8s.io"
	case up == "k8s.io" || up == "default" || up == "moby" || up == "buildkit":
		c.Kind, c.Namespace = Containerd, up
	default:
		c.Kind = Container
	}
	return c
}

// pod is for Kubernetes' own groups, and podman's pods.
func pod(name string, above []string) (Claim, bool) {
	if uid, ok := podUID(name); ok && slices.ContainsFunc(append(slices.Clip(above), name), isKubepods) {
		return Claim{Kind: Kubernetes, Name: uid}, true
	}
	if _, id, ok := strings.Cut(strings.TrimSuffix(name, ".slice"), "libpod_pod_"); ok && isID(id) {
		return Claim{Kind: Podman, Name: id}, true
	}
	if isKubepods(name) {
		return Claim{Kind: Kubernetes, Name: name}, true
	}
	return Claim{}, false
}

func isKubepods(name string) bool {
	name = strings.TrimSuffix(name, ".slice")
	return name == "kubepods" || strings.HasPrefix(name, "kubepods-") || strings.HasSuffix(name, "-kubepods") || strings.Contains(name, "-kubepods-")
}

// podUID finds the pod's uid in "podUID", or in the slice
// "kubepods-burstable-podUID.slice", where it has "_" for "-".
func podUID(name string) (string, bool) {
	rest, slice := strings.CutSuffix(name, ".slice")
	if slice {
		i := strings.LastIndex(rest, "-pod")
		if i < 0 {
			return "", false
		}
		rest = rest[i+1:]
	}
	uid, ok := strings.CutPrefix(rest, "pod")
	uid = strings.ReplaceAll(uid, "_", "-")
	hex := strings.ReplaceAll(uid, "-", "")
	return uid, ok && len(hex) == 32 && isHex(hex)
}

// machine is for what systemd-machined has registered, and libvirt's.
func machine(bare, name string, above []string) (Claim, bool) {
	up := ""
	if len(above) > 0 {
		up = above[len(above)-1]
	}
	id, ok := strings.CutPrefix(bare, "machine-")
	switch {
	case ok && bare != name && up == "machine.slice" && id != "":
		id = unescape(id)
		if strings.HasPrefix(id, "qemu-") || strings.HasPrefix(id, "lxc-") {
			// qemu-NUMBER-NAME
			if parts := strings.SplitN(id, "-", 3); len(parts) == 3 {
				return Claim{Kind: Libvirt, Name: parts[2]}, true
			}
		}
		return Claim{Kind: Machine, Name: id}, true
	case strings.HasSuffix(name, ".libvirt-lxc"), strings.HasSuffix(name, ".libvirt-qemu"):
		return Claim{Kind: Libvirt, Name: name[:strings.LastIndexByte(name, '.')]}, true
	case len(above) > 1 && above[len(above)-2] == "libvirt" && (up == "lxc" || up == "qemu"):
		return Claim{Kind: Libvirt, Name: name}, true
	}
	return Claim{}, false
}

// unescape undoes systemd's \x2d in the names of units (unit_name_unescape).
func unescape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if rest := name[i:]; len(rest) >= 4 && rest[:2] == `\x` && isHex(rest[2:4]) {
			b.WriteByte(fromHex(rest[2])<<4 | fromHex(rest[3]))
			i += 3
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

func isHex(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) < 0
}

// isID says whether a name is a container's id as most runtimes make them.
func isID(s string) bool { return len(s) == 64 && isHex(s) }
