package identity

import (
	"slices"
	"strings"
)

// Runtime is what has made a group or a container.
type Runtime string

// The runtimes. Machined is systemd-nspawn, and what else registers with
// systemd-machined; Unknown has given a container an id and no other sign.
const (
	Docker     Runtime = "docker"
	Podman     Runtime = "podman"
	CRIO       Runtime = "cri-o"
	Containerd Runtime = "containerd"
	Nerdctl    Runtime = "nerdctl"
	ECS        Runtime = "ecs"
	Kubernetes Runtime = "kubernetes"
	LXC        Runtime = "lxc"
	LXD        Runtime = "lxd"
	Incus      Runtime = "incus"
	Machined   Runtime = "machine"
	Libvirt    Runtime = "libvirt"
	Nomad      Runtime = "nomad"
	Buildkit   Runtime = "buildkit"
	Garden     Runtime = "garden"
	BPM        Runtime = "bpm"
	Unknown    Runtime = "container"
	Systemd    Runtime = "systemd"
)

// Claim is that a group, and what is below it, is somebody's.
type Claim struct {
	Runtime Runtime
	// Name is the container's id or name, the pod's uid, or the unit.
	Name string
	// Pod says that Name is a pod's.
	Pod bool
	// Monitor says that it is the group of who looks after the container, not of
	// the container itself.
	Monitor bool
	// Namespace is containerd's, if the path has one; "k8s.io" is Kubernetes'.
	Namespace string
	// Path is the group that the name is of: the path up to there.
	Path string
}

// Claims lists all claims that a path holds, from the outside in: a container in a
// container has two. Units within a container are left out, since they are its own
// business, and so are slices, except a runtime's.
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
		inside = inside || c.Runtime != Systemd
		c.Path = "/" + strings.Join(parts[:i+1], "/")
		// A container's group may be named twice: podman's scope has crun's group below it.
		if n := len(claims); n > 0 && claims[n-1].Runtime == c.Runtime && claims[n-1].Name == c.Name {
			continue
		}
		claims = append(claims, c)
	}
	return claims
}

// Innermost is the innermost claim.
func Innermost(path string) (Claim, bool) {
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
	if !isUnitName(name) {
		return Claim{}, false
	}
	// systemd puts "_" before names that could be control files' (cg_escape).
	return Claim{Runtime: Systemd, Name: strings.TrimPrefix(name, "_")}, true
}

// isUnitName says whether a name ends as those of systemd's units that have processes.
func isUnitName(name string) bool {
	for _, end := range []string{".service", ".scope", ".socket", ".mount", ".swap", ".slice"} {
		if strings.HasSuffix(name, end) && len(name) > len(end) {
			return true
		}
	}
	return false
}

// prefixes are names that say it all: the beginning, then an id of 64 hex digits
// or, where named is set, any name.
var prefixes = []struct {
	before  string
	runtime Runtime
	named   bool
	monitor bool
}{
	{before: "docker-", runtime: Docker},
	{before: "libpod-conmon-", runtime: Podman, monitor: true},
	{before: "libpod-payload-", runtime: Podman},
	{before: "libpod-", runtime: Podman},
	{before: "crio-conmon-", runtime: CRIO, monitor: true},
	{before: "crio-", runtime: CRIO},
	{before: "cri-containerd-", runtime: Containerd},
	{before: "nerdctl-", runtime: Nerdctl},
	{before: "lxc.payload.", runtime: LXC, named: true},
	{before: "lxc.monitor.", runtime: LXC, named: true, monitor: true},
	{before: "bpm-", runtime: BPM, named: true},
	{before: "systemd-nspawn@", runtime: Machined, named: true},
}

// claim looks at one name, and at those above it where it says nothing alone.
func claim(parts []string, i int) (Claim, bool) {
	name, above := parts[i], parts[:i]
	bare := strings.TrimSuffix(strings.TrimSuffix(name, ".scope"), ".service")
	for _, p := range prefixes {
		id, ok := strings.CutPrefix(bare, p.before)
		if ok && (p.named && id != "" || IsID(id)) {
			c := Claim{Runtime: p.runtime, Name: id, Monitor: p.monitor}
			switch p.runtime {
			case Containerd:
				c.Namespace = "k8s.io"
			case Machined:
				c.Name = unescape(id)
			}
			return c, true
		}
	}
	if _, id, ok := strings.Cut(name, ":cri-containerd:"); ok && IsID(id) {
		// The systemd form of the name, with the cgroupfs driver.
		return Claim{Runtime: Containerd, Namespace: "k8s.io", Name: id}, true
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
	case IsID(name):
		return byParent(name, above), true
	case up == "buildkit":
		return Claim{Runtime: Buildkit, Name: name}, true
	case up == "garden":
		return Claim{Runtime: Garden, Name: name}, true
	case i == 1 && (up == "lxc" || up == "lxc.payload" || up == "lxc.monitor"):
		return Claim{Runtime: LXC, Name: name, Monitor: up == "lxc.monitor"}, true
	case slices.Contains(above, "ecs") && strings.HasPrefix(name, up+"-"):
		return Claim{Runtime: ECS, Name: name}, true // Fargate: TASK/TASK-NUMBER
	case i > 1 && above[i-2] == "nomad" && (up == "share" || up == "reserve"):
		return Claim{Runtime: Nomad, Name: bare}, true
	case i > 1 && above[i-2] == "nomad.slice" && strings.HasSuffix(name, ".scope"):
		return Claim{Runtime: Nomad, Name: bare}, true
	}
	return Claim{}, false
}

// byParent is for a name that is only an id.
func byParent(id string, above []string) Claim {
	up := ""
	if len(above) > 0 {
		up = above[len(above)-1]
	}
	c := Claim{Name: id}
	_, inPod := podUID(up)
	switch {
	case up == "docker" || slices.Contains(above, "ecs"):
		c.Runtime = Docker
	case slices.Contains(above, "libpod_parent"):
		c.Runtime, c.Pod = Podman, up == "libpod_parent" // its containers' names begin with libpod-
	case inPod:
		c.Runtime, c.Namespace = Containerd, "k8s.io"
	case up == "k8s.io" || up == "default" || up == "moby" || up == "buildkit":
		c.Runtime, c.Namespace = Containerd, up
	default:
		c.Runtime = Unknown
	}
	return c
}

// pod is for Kubernetes' own groups, and podman's pods.
func pod(name string, above []string) (Claim, bool) {
	if uid, ok := podUID(name); ok && slices.ContainsFunc(append(slices.Clip(above), name), isKubepods) {
		return Claim{Runtime: Kubernetes, Name: uid, Pod: true}, true
	}
	if _, id, ok := strings.Cut(strings.TrimSuffix(name, ".slice"), "libpod_pod_"); ok && IsID(id) {
		return Claim{Runtime: Podman, Name: id, Pod: true}, true
	}
	if isKubepods(name) {
		return Claim{Runtime: Kubernetes, Name: name}, true
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
				return Claim{Runtime: Libvirt, Name: parts[2]}, true
			}
		}
		return Claim{Runtime: Machined, Name: id}, true
	case strings.HasSuffix(name, ".libvirt-lxc"), strings.HasSuffix(name, ".libvirt-qemu"):
		return Claim{Runtime: Libvirt, Name: name[:strings.LastIndexByte(name, '.')]}, true
	case len(above) > 1 && above[len(above)-2] == "libvirt" && (up == "lxc" || up == "qemu"):
		return Claim{Runtime: Libvirt, Name: name}, true
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

// IsID says whether a name is a container's id as most runtimes make them.
func IsID(s string) bool { return len(s) == 64 && isHex(s) }
