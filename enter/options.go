package enter

import (
	"nsx/cgroupfs"
	"nsx/inspect"
)

// Request asks for one namespace: that of a type which a target is in, or is.
type Request struct {
	Type   inspect.Type
	Target *inspect.Target
}

// AllOf requests all namespaces of a process, or the one that the target is.
func AllOf(t *inspect.Target) []Request {
	if t.PID == 0 {
		return []Request{{t.ID.Type, t}}
	}
	requests := make([]Request, 0, inspect.NumTypes)
	for _, typ := range inspect.Types {
		requests = append(requests, Request{typ, t})
	}
	return requests
}

// Options say what a command gets besides namespaces. The zero value is what
// one expects of entering a container.
type Options struct {
	// Process is the one that TargetRoot, TargetDir and the ids are of; nil: the
	// one whose mount namespace, or else user namespace, is joined.
	Process *inspect.Target
	// Root is a directory of ours that becomes the root directory. Without it,
	// that is the root of the process whose mount namespace is joined, or, with
	// TargetRoot, of the target in any case. For the target's own code Root and Dir
	// are looked up inside: a directory of ours would lead it to our files.
	Root       string
	TargetRoot bool
	// Dir is a directory of ours that becomes the working directory, TargetDir
	// makes it the target's, and DirInside is a path to be looked up at last, in
	// the new root. Without them it stays what it is, or becomes the new root.
	Dir       string
	TargetDir bool
	DirInside string
	// UID and GID are who the command is, in the joined user namespace. If that
	// is joined and they are nil, they are 0 or, where 0 is not mapped, the
	// target's; otherwise they stay. KeepCredentials changes nothing at all.
	UID, GID *uint32
	// TargetUID and TargetGID make them the target's.
	TargetUID, TargetGID bool
	KeepCredentials      bool
	// KeepCaps lets the command keep capabilities although it is not root, as
	// ambient ones (capabilities(7)): those of the user namespace that is joined
	// or made, or else ours, as far as the target's bounding set goes.
	KeepCaps bool
	// JoinOwner joins the user namespace that owns the others, or, if one is
	// joined, its parent instead of that.
	JoinOwner bool
	// Privileged leaves the command our rights, environment, cgroups and keyring
	// when it is the target's own code, that is when the mount namespace or
	// TargetRoot is entered. By default it gets the capabilities, no_new_privs,
	// security label, seccomp filters, environment and cgroups of the process whose
	// mount namespace or root that is, or of one that is in it if a namespace is
	// named, and a new session keyring. It must not be run outside of that process's
	// user namespace, where capabilities mean more.
	Privileged bool
	// NoSeccomp leaves the target's seccomp filters out. To read them, the target
	// is stopped for some tenths of a millisecond (ptrace(2)), and that can be
	// seen: a call of it such as epoll_wait(2) may end with EINTR.
	NoSeccomp bool
	// OwnEnv gives a command that is the target's code our environment instead of
	// the target's. OwnCgroup leaves it in our cgroups, but for a devices hierarchy
	// of v1, and takes CAP_MKNOD away.
	OwnEnv, OwnCgroup bool
	// TargetCgroup starts a command of ours in the target's cgroups, Cgroup any in others.
	// That stays the caller's to close.
	TargetCgroup bool
	Cgroup       *cgroupfs.Entrance
	// NoFork runs the command without a fork: it is then not itself in a joined
	// PID namespace, only its children are.
	NoFork bool
	// MountProc mounts a new /proc, for the joined PID namespace, in a mount
	// namespace of the command's own.
	MountProc bool
	// MountSys does what ip netns exec does, in a mount namespace of the command's
	// own: a new /sys, which shows the devices of the joined network namespace,
	// and, if ip netns has a name for that, the files of /etc/netns/NAME over
	// those of /etc. Of what is mounted below /sys only the cgroups stay.
	MountSys bool
	// Unshare makes new namespaces, after the others are joined.
	Unshare *Unshare
	// HostTools leaves out the mount namespace, so that the command is ours with
	// our libraries, and the user namespace, so that the target cannot trace it. It
	// gives it a new /proc and, in the environment variable NSX_ROOT, a path of the
	// target's root directory.
	HostTools bool
}
