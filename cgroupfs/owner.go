package cgroupfs

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// Owner is who a group belongs to. Somebody else's is changed only by force:
// its owner would undo it, or come to harm.
type Owner struct {
	// Kind is "root", "systemd", "docker", "podman", "containerd", "cri-o",
	// "kubernetes", "lxc" or "self", or empty if nobody is known to own it.
	Kind string `json:"kind"`
	// Name is the unit, the container's id or the like.
	Name string `json:"name,omitempty"`
	// Command is the owner's own way to change it, or empty.
	Command string `json:"command,omitempty"`
}

// String is for messages: "systemd unit nginx.service".
func (o Owner) String() string {
	switch o.Kind {
	case "":
		return "nobody known"
	case "root":
		return "the root of the hierarchy, which holds the whole machine"
	case "self":
		return "the caller's own group, or one above it"
	case "systemd":
		return "systemd unit " + o.Name
	case "kubernetes":
		return "kubernetes"
	}
	return o.Kind + " container " + o.Name
}

// ownerPatterns find the runtimes by the names that they give; the first
// submatch is the container, word is in all that match. The order counts: a
// container's scope is one of systemd's too.
func ownerPatterns() []struct{ kind, word, pattern string } {
	return []struct{ kind, word, pattern string }{
		{"docker", "docker", `(?:^|/)docker[-/]([0-9a-f]{64})`},
		{"podman", "libpod", `(?:^|/)libpod(?:_pod)?[-_](?:conmon-)?([0-9a-f]{64})`},
		{"cri-o", "crio-", `(?:^|/)crio-(?:conmon-)?([0-9a-f]{64})`},
		{"containerd", "cri-containerd", `(?:^|/|:)cri-containerd[-:]([0-9a-f]{64})`},
		{"lxc", "/lxc", `^/lxc\.(?:payload|monitor)\.([^/]+)`},
		{"lxc", "/lxc", `^/lxc/([^/]+)`},
		{"kubernetes", "kubepods", `^(?:/[^/]+)*?/(kubepods[^/]*)`},
	}
}

// Owner looks at the path, at systemd's mark for delegated groups, and at
// where the caller itself is.
func (g *Group) Owner() Owner {
	if g.path == "/" {
		return Owner{Kind: "root"}
	}
	for _, p := range ownerPatterns() {
		if !strings.Contains(g.path, p.word) {
			continue // to compile costs more than to look
		}
		if m := regexp.MustCompile(p.pattern).FindStringSubmatch(g.path); m != nil {
			return containerOwner(p.kind, m[1])
		}
	}
	if o, ok := g.unitOwner(); ok {
		return o
	}
	if g.holdsCaller() {
		return Owner{Kind: "self"}
	}
	return Owner{}
}

func containerOwner(kind, name string) Owner {
	o := Owner{Kind: kind, Name: name}
	short := o.short()
	switch kind {
	case "docker", "podman":
		o.Command = kind + " update --memory … --cpus … " + short
	case "cri-o", "containerd":
		o.Command = "crictl update --memory … " + short
	case "kubernetes":
		o.Command = "kubectl set resources …"
	case "lxc":
		o.Command = "lxc-cgroup -n " + name + " KEY VALUE"
	}
	return o
}

// short is the name as people write it.
func (o Owner) short() string {
	if len(o.Name) == 64 {
		return o.Name[:12]
	}
	return o.Name
}

// pauseCommand is the owner's own way to freeze it, or to let it go on; empty if
// it has none.
func (o Owner) pauseCommand(freeze bool) string {
	var verbs [2]string
	switch o.Kind {
	case "docker", "podman":
		verbs = [2]string{o.Kind + " unpause ", o.Kind + " pause "}
	case "containerd": // crictl has no word for it
		verbs = [2]string{"ctr -n k8s.io tasks resume ", "ctr -n k8s.io tasks pause "}
	case "lxc":
		verbs = [2]string{"lxc-unfreeze -n ", "lxc-freeze -n "}
	default:
		return ""
	}
	name := o.short()
	if o.Kind == "containerd" {
		name = o.Name // ctr takes no part of it
	}
	if freeze {
		return verbs[1] + name
	}
	return verbs[0] + name
}

// thawCommand is how to let a frozen group go on: as its owner does, who has
// frozen it most likely, and else by nsx.
func (fs *FS) thawCommand(group string) string {
	command := "nsx cgroup thaw " + group
	if own := (&Group{fs: fs, path: group}).Owner().pauseCommand(false); own != "" {
		return own + ", or " + command + " --force"
	}
	return command
}

// unitOwner finds the innermost systemd unit in the path. What lies below a
// service or scope is its own only if systemd delegated it; what somebody
// made below a slice is that somebody's.
func (g *Group) unitOwner() (Owner, bool) {
	for _, at := range ancestors(g.path) {
		name := path.Base(at)
		slice := strings.HasSuffix(name, ".slice")
		unit := slice || name == "init.scope" || strings.HasSuffix(name, ".service") ||
			strings.HasSuffix(name, ".scope") || strings.HasSuffix(name, ".socket") || strings.HasSuffix(name, ".mount")
		if !unit {
			continue
		}
		if at != g.path && (slice || g.fs.delegated(at)) {
			return Owner{}, false
		}
		command := "systemctl set-property " + name + " MemoryMax=… CPUQuota=…"
		if strings.Contains(at, "/user@") && !strings.HasPrefix(name, "user@") {
			command = "systemctl --user set-property " + name + " MemoryMax=… CPUQuota=…"
		}
		return Owner{Kind: "systemd", Name: name, Command: command}, true
	}
	return Owner{}, false
}

// delegated reads the mark that systemd leaves on a unit with Delegate=yes
// (cg_set_xattr… in systemd's src/core/cgroup.c): an attribute "1" in user.
// or, set by root on older kernels, trusted.
func (fs *FS) delegated(group string) bool {
	for _, h := range fs.with(group) {
		for _, name := range []string{"user.delegate", "trusted.delegate"} {
			value := make([]byte, 8)
			n, err := unix.Getxattr(h.Dir(group), name, value)
			if err == nil && string(value[:n]) == "1" {
				return true
			}
		}
	}
	return false
}

func (g *Group) holdsCaller() bool {
	list, err := g.fs.Memberships(0)
	if err != nil {
		return false
	}
	for _, m := range list {
		if !m.Deleted && isBelow(m.Path, g.path) {
			return true
		}
	}
	return false
}

// guard refuses to change somebody else's group.
func (g *Group) guard(op string) error {
	if g.force {
		return nil
	}
	return g.refuse(op, g.Owner())
}

// guardFreezer does so too, and says how the owner would freeze or thaw it.
func (g *Group) guardFreezer(op string, freeze bool) error {
	if g.force {
		return nil
	}
	o := g.Owner()
	o.Command = cmp.Or(o.pauseCommand(freeze), o.Command)
	return g.refuse(op, o)
}

func (g *Group) refuse(op string, o Owner) error {
	if o.Kind == "" {
		return nil
	}
	e := &Error{Op: op, Err: unix.EPERM, Cause: "it is " + o.String(), Next: "force it (--force) if you know what depends on it"}
	switch {
	case o.Command != "":
		e.Cause = fmt.Sprintf("it belongs to %s", o)
		e.Next = fmt.Sprintf("use %s, or force it (--force)", o.Command)
	case o.Kind == "root":
		e.Next = "make a group below it, or force it (--force)"
	}
	return e
}
