package identity

import (
	"path"
	"strings"
)

// Supervisor is what the command line of a container's supervisor says: the process
// that a runtime leaves beside each container.
type Supervisor struct {
	Runtime Runtime
	// ID is the container's, for containerd's shim of a pod the sandbox's. Name is
	// the container's.
	ID, Name string
	// Namespace is containerd's: "moby" is docker's, "k8s.io" Kubernetes'.
	Namespace string
	// Pod is the pod that the name tells of, Sandbox that it is the pod's own process.
	Pod     *PodName
	Sandbox bool
	// Bundle is the directory with the container's config.json.
	Bundle string
}

// IsSupervisor says whether a process of that name (comm, at most 15 bytes) may be a
// supervisor, so that its command line is worth reading.
func IsSupervisor(comm string) bool {
	switch comm {
	case "conmon", "lxc-start", "lxc-execute", "systemd-nspawn":
		return true
	}
	// The shims' names are cut at 15 bytes; LXC's monitor may be named by its title.
	return strings.HasPrefix(comm, "containerd-shim") || strings.HasPrefix(comm, "[lxc monitor]")
}

// FromArgv reads a supervisor's command line.
func FromArgv(argv []string) (Supervisor, bool) {
	if len(argv) == 0 {
		return Supervisor{}, false
	}
	// The monitor of LXC has its title in the place of all: liblxc's lxccontainer.c.
	if title, ok := strings.CutPrefix(argv[0], "[lxc monitor] "); ok {
		return lxcMonitor(title)
	}
	switch name := path.Base(argv[0]); {
	case name == "conmon":
		return conmon(argv[1:])
	case strings.HasPrefix(name, "containerd-shim"):
		return shim(argv[1:])
	case name == "systemd-nspawn":
		s := Supervisor{Runtime: Machined, Name: option(argv[1:], "-M", "--machine")}
		if s.Name == "" {
			s.Name = path.Base(option(argv[1:], "-D", "--directory"))
		}
		return s, IsName(s.Name)
	case name == "lxc-start", name == "lxc-execute":
		s := Supervisor{Runtime: LXC, Name: option(argv[1:], "-n", "--name")}
		return s, IsName(s.Name)
	}
	return Supervisor{}, false
}

// shim is containerd's: "-namespace NS -id ID -address SOCKET".
func shim(argv []string) (Supervisor, bool) {
	s := Supervisor{Runtime: Containerd, ID: option(argv, "-id", "--id"), Namespace: option(argv, "-namespace", "--namespace")}
	if s.Namespace == "moby" {
		s.Runtime = Docker
	}
	return s, IsName(s.ID)
}

// conmon is podman's and CRI-O's. CRI-O names a container
// k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, and a pod's sandbox's container POD.
func conmon(argv []string) (Supervisor, bool) {
	s := Supervisor{
		Runtime: Podman, ID: option(argv, "-c", "--cid"), Name: option(argv, "-n", "--name"),
		Bundle: option(argv, "-b", "--bundle"),
	}
	if parts := strings.Split(s.Name, "_"); len(parts) == 6 && parts[0] == "k8s" {
		s.Runtime, s.Name = CRIO, parts[1]
		s.Pod = &PodName{Name: parts[2], Namespace: parts[3], UID: parts[4]}
		if s.Sandbox = s.Name == "POD"; s.Sandbox {
			s.Name = ""
		}
	}
	if !IsName(s.Name) {
		s.Name = ""
	}
	return s, IsName(s.ID)
}

// lxcMonitor reads "PATH NAME", where the path may have blanks and the name has none.
func lxcMonitor(title string) (Supervisor, bool) {
	i := strings.LastIndexByte(title, ' ')
	if i < 0 {
		return Supervisor{}, false
	}
	s := Supervisor{Runtime: LXC, Name: title[i+1:]}
	switch dir := title[:i]; {
	case strings.Contains(dir, "/incus/"):
		s.Runtime = Incus
	case strings.Contains(dir, "/lxd/"):
		s.Runtime = LXD
	}
	return s, IsName(s.Name)
}

// option is the value of the last of the options that has one of the names: "-n V",
// "--name V", "--name=V". What follows "--" is none.
func option(argv []string, names ...string) string {
	value := ""
	for i, arg := range argv {
		if arg == "--" {
			break
		}
		for _, name := range names {
			if v, ok := strings.CutPrefix(arg, name+"="); ok {
				value = v
			} else if arg == name && i+1 < len(argv) {
				value = argv[i+1]
			}
		}
	}
	return value
}

// IsName says whether a name or ID can be one: it becomes a part of paths and of what
// people paste, so it has neither slashes nor blanks nor control characters.
func IsName(name string) bool {
	if name == "" || len(name) > 255 || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.+-", r)
	}) < 0
}
