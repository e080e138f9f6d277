package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"nsx/inspect"
)

var rules = []Rule{
	{
		"privileged", High, "With all capabilities over the host, root in the container is root of the host: it loads modules, mounts disks, writes the memory of others.",
		"give it the capabilities that it needs (--cap-add) instead of --privileged", privileged,
	},
	{"host-mnt", High, "It sees and changes the host's files where its user may.", "give it a root of its own", shares(inspect.Mnt, "is in the host's file systems")},
	{
		"host-pid", High, "It sees every process of the host, with their environments and open files, and may end those of its user.",
		"leave --pid=host (hostPID) out", shares(inspect.PID, "can see and signal the host's processes"),
	},
	{
		"engine-socket", High, "Who may talk to a container engine starts a privileged container: root on the host.",
		"leave the socket out, or put a proxy before it that allows little", engineSocket,
	},
	{"host-root", High, "The host's root is mounted inside.", "mount what is needed, and read-only", hostRoot},
	{
		"kernel-caps", High, "These capabilities reach the host in spite of namespaces: by modules, raw memory and devices, or files by their handles.",
		"drop them (--cap-drop)", kernelCapabilities,
	},
	{
		"unconfined", High, "Neither a seccomp filter nor a security module stands between it and every system call.",
		"run it with the runtime's default profiles", unconfined,
	},
	{
		"root-is-root", Medium, "Without a user namespace root inside is the host's root wherever it gets out, and it has kept CAP_SYS_ADMIN.",
		"drop CAP_SYS_ADMIN, or map its users (userns)", rootIsRoot,
	},
	{
		"host-net", Medium, "It sniffs the host's network, reaches what listens on its loopback, and abstract sockets of its services.",
		"leave --network=host (hostNetwork) out", shares(inspect.Net, "sniffs the host's network, reaches its local ports"),
	},
	{"host-ipc", Medium, "It reads and writes the host's shared memory where its user may.", "leave --ipc=host (hostIPC) out", shares(inspect.IPC, "reaches the host's shared memory")},
	{
		"no-seccomp", Medium, "Every system call of the kernel can be tried, also the rare ones that have most of its holes.",
		"run it with the runtime's default filter", noSeccomp,
	},
}

// onHost says that capabilities count over the host itself.
func (s *subject) onHost() bool {
	r := s.profile.Rights
	return r != nil && r.OnHost != nil && *r.OnHost
}

func (s *subject) has(capability string) bool {
	return s.onHost() && slices.Contains(s.profile.Rights.Effective, capability)
}

func privileged(s *subject) string {
	if !s.onHost() || !s.profile.Rights.AllCapabilities {
		return ""
	}
	return fmt.Sprintf("all %d capabilities of the host", len(s.profile.Rights.Effective))
}

// shares is about a namespace that is the boot's.
func shares(t inspect.Type, what string) func(*subject) string {
	return func(s *subject) string {
		if s.set.Apart == nil || s.set.NS[t] == 0 || slices.Contains(s.set.Apart, t) {
			return ""
		}
		return what
	}
}

// reaching are the capabilities that user, mount and PID namespaces do not hold
// (capabilities(7)): CAP_DAC_READ_SEARCH opens files of the host by their handles, with
// any of its file systems mounted inside (open_by_handle_at(2)).
var reaching = []string{"sys_module", "sys_rawio", "dac_read_search", "bpf", "perfmon", "sys_boot", "mac_admin", "mac_override"}

func kernelCapabilities(s *subject) string {
	if privileged(s) != "" {
		return "" // said already
	}
	var found []string
	for _, c := range reaching {
		if s.has(c) {
			found = append(found, c)
		}
	}
	if s.has("sys_ptrace") && shares(inspect.PID, "x")(s) != "" {
		found = append(found, "sys_ptrace of the host's processes")
	}
	return strings.Join(found, " ")
}

func rootIsRoot(s *subject) string {
	if privileged(s) != "" || !s.has("sys_admin") {
		return ""
	}
	return "no user namespace, and CAP_SYS_ADMIN"
}

// confinedByModule says that a security module has a profile for it.
func (s *subject) confinedByModule() bool {
	label := s.profile.Rights.Label
	switch {
	case label == "", strings.HasPrefix(label, "unconfined"), strings.HasSuffix(label, "(unconfined)"), strings.HasSuffix(label, "(complain)"), label == "kernel":
		return false
	case strings.Count(label, ":") >= 3: // SELinux: user:role:type:level
		domain := strings.Split(label, ":")[2]
		return !strings.HasPrefix(domain, "unconfined") && domain != "spc_t"
	}
	return true
}

func unconfined(s *subject) string {
	if s.profile.Rights == nil || s.profile.Rights.Seccomp != "none" || s.confinedByModule() {
		return ""
	}
	what := "no seccomp filter, "
	if label := s.profile.Rights.Label; label != "" {
		return what + "label " + label
	}
	return what + "no security module"
}

func noSeccomp(s *subject) string {
	if s.profile.Rights == nil || s.profile.Rights.Seccomp != "none" || unconfined(s) != "" {
		return ""
	}
	return "no seccomp filter; label " + s.profile.Rights.Label
}

// sockets are those by which engines take orders.
var sockets = []string{"docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock", "lxd.socket", "incus.socket"}

func engineSocket(s *subject) string {
	if s.profile.Files == nil {
		return ""
	}
	for _, m := range s.profile.Files.Mounts {
		for _, place := range []string{m.Mountpoint, m.HostPath, m.Root} {
			if slices.Contains(sockets, path.Base(place)) {
				return m.Mountpoint + " inside: root on the host"
			}
		}
	}
	return ""
}

func hostRoot(s *subject) string {
	if s.profile.Files == nil || shares(inspect.Mnt, "x")(s) != "" {
		return ""
	}
	for _, m := range s.profile.Files.Mounts {
		if m.HostPath == "/" && m.Mountpoint != "/" {
			if slices.Contains(strings.Split(m.Options, ","), "ro") {
				return m.Mountpoint + " inside, read-only"
			}
			return m.Mountpoint + " inside, writable"
		}
	}
	return ""
}
