package doctor

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// needed are the capabilities that nsx has a use for, with what lacks without them.
var needed = []struct {
	capability int
	name, what string
}{
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "entering, new namespaces"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "the namespaces of others' processes"},
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "runtimes' state files"},
	{unix.CAP_KILL, "CAP_KILL", "ending others' processes"},
}

func rights(_ context.Context, _ *patient) Finding {
	caps := linux.PermittedCapabilities()
	who := "root"
	if uid := os.Geteuid(); uid != 0 {
		who = fmt.Sprintf("uid %d", uid)
	}
	var lacks []string
	for _, n := range needed {
		has := caps&(1<<n.capability) != 0
		if n.capability == unix.CAP_DAC_READ_SEARCH {
			has = has || caps&(1<<unix.CAP_DAC_OVERRIDE) != 0
		}
		if !has {
			lacks = append(lacks, n.name+" ("+n.what+")")
		}
	}
	what := fmt.Sprintf("%s, %d capabilities", who, bits.OnesCount64(caps))
	if !linux.InInitialUserNamespace() {
		return note("%s, in a user namespace", what).because("They count only for what that user namespace owns.", "run nsx as root of the host")
	}
	if len(lacks) == 0 {
		return fine("%s", what)
	}
	return note("%s", what).because("Without "+strings.Join(lacks, ", ")+", nsx sees less, and says so.", "run nsx as root")
}

func ownContainer(ctx context.Context, _ *patient) Finding {
	var m inspect.Machine
	s, match, err := m.Find(ctx, []string{"self"}, inspect.Options{Cgroups: true, Names: true, Details: inspect.AllDetails, ProcessesOnly: true})
	if err != nil || len(match.PIDs) == 0 {
		return unknown("our own process cannot be looked at")
	}
	self := s.Process(match.PIDs[0])
	apart := s.Apart(self.NS)
	const cause = "Processes, cgroups and mounts of the host that this container has not are not seen."
	const next = "run nsx on the host, or in a container that shares its PID and cgroup namespaces, with --root at its root"
	switch {
	case apart == nil && s.Process(2) == nil:
		return note("/proc shows no kernel threads: we are in a PID namespace of our own, or may not see them").because(cause, next)
	case apart == nil:
		return unknown("who shares the boot's namespaces cannot be told")
	case slices.Contains(apart, inspect.PID):
		return note("we are in a PID namespace of our own").because(cause, next)
	case len(apart) > 0:
		names := make([]string, len(apart))
		for i, t := range apart {
			names[i] = t.String()
		}
		return note("our own namespaces: %s", strings.Join(names, " ")).because("What these hide of the host is not seen.", "run nsx on the host")
	}
	return fine("we are in none")
}

// made are what runtimes and managers have where they run, or have run.
var made = []struct{ name, place string }{
	{"systemd", "run/systemd/system"},
	{"docker", "run/docker.sock"},
	{"docker", "var/lib/docker/containers"},
	{"podman", "var/lib/containers/storage"},
	{"podman", "run/containers/storage"},
	{"containerd", "run/containerd/containerd.sock"},
	{"cri-o", "run/crio/crio.sock"},
	{"kubelet", "var/lib/kubelet/pods"},
	{"lxc", "var/lib/lxc"},
	{"lxd", "var/lib/lxd"},
	{"lxd", "var/snap/lxd"},
	{"incus", "var/lib/incus"},
	{"machined", "run/systemd/machines"},
	{"libvirt-lxc", "run/libvirt/lxc"},
	{"nomad", "var/lib/nomad"},
	{"buildkit", "run/buildkit"},
}

func engines(_ context.Context, p *patient) Finding {
	var found []string
	for _, e := range made {
		at, err := p.root.Open(e.place, unix.O_PATH)
		if err != nil {
			continue
		}
		unix.Close(at)
		if !slices.Contains(found, e.name) {
			found = append(found, e.name)
		}
	}
	users, _ := p.root.ReadDir(path.Join("run", "user"), maxNames)
	for _, uid := range users {
		if at, err := p.root.Open(path.Join("run/user", uid, "containers"), unix.O_PATH); err == nil {
			unix.Close(at)
			found = append(found, "podman of uid "+uid)
		}
	}
	if len(found) == 0 {
		return fine("no sign of any")
	}
	return fine("%s", strings.Join(found, " "))
}
