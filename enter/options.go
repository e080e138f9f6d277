package enter

import (
	"slices"

	"golang.org/x/sys/unix"

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
	// the target's. OwnCgroup leaves it in our cgroups, except in a devices hierarchy
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

// Unshare says which namespaces to make for the command, and how: unshare(2).
type Unshare struct {
	Types []inspect.Type
	// Bind keeps namespaces by bind mounts on these files, which are made if
	// they do not exist; both are undone if the command does not start.
	Bind map[inspect.Type]string
	// UIDs and GIDs are the id maps of a new user namespace. Its Outside is in
	// our own user namespace or, if another is joined, in that: see CallerOf.
	// Without any, all ids inside are the overflow id.
	UIDs, GIDs inspect.IDMap
	// Setgroups is "allow" or "deny", for setgroups(2) in a new user namespace. ""
	// denies it where the kernel takes a map of our own group no other way.
	Setgroups string
	// Owner owns a new user namespace: who has that effective uid has all
	// capabilities in it (user_namespaces(7)). nil is ourselves.
	Owner *IDs
	// Propagation is that of the mounts in a new mount namespace: "private"
	// (also ""), "slave", "shared" or "unchanged" (mount_namespaces(7)).
	Propagation string
	// MountProc is where a new /proc is mounted; "" nowhere.
	MountProc string
	// MountBinfmt is where binfmt_misc is mounted, as at BinfmtDir; "" nowhere. A user namespace in
	// which it is has interpreters of its own since Linux 6.7, any other has its
	// parent's (fs/binfmt_misc.c). Interpreters are registered there, each written
	// as in Documentation/admin-guide/binfmt-misc.rst.
	MountBinfmt  string
	Interpreters []string
	// Monotonic and Boottime are the offsets of these clocks in a new time
	// namespace, in seconds; nil is 0.
	Monotonic, Boottime *int64
	// KillSignal is what the command gets when we end; 0 is SIGKILL.
	KillSignal unix.Signal
}

// IDs are who is meant by Unshare.Owner, with ids of our own user namespace.
type IDs struct{ UID, GID uint32 }

// propagations are the values of Unshare.Propagation.
var propagations = map[string]uintptr{
	"": unix.MS_PRIVATE, "private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED, "unchanged": 0,
}

// check refuses what cannot be.
func (n *Unshare) check() error {
	if n == nil {
		return nil
	}
	if _, known := propagations[n.Propagation]; !known {
		return usagef("unknown propagation %q: there are private, slave, shared and unchanged", n.Propagation)
	}
	if !slices.Contains([]string{"", "allow", "deny"}, n.Setgroups) {
		return usagef("setgroups %q: there are allow and deny", n.Setgroups)
	}
	if len(n.Interpreters) > 0 && n.MountBinfmt == "" {
		return usagef("interpreters are registered where binfmt_misc is mounted: say where")
	}
	for _, need := range []struct {
		what string
		has  bool
		typ  inspect.Type
	}{
		{"an id map", len(n.UIDs)+len(n.GIDs) > 0, inspect.User},
		{"a decision on setgroups", n.Setgroups != "", inspect.User},
		{"an owner", n.Owner != nil, inspect.User},
		{"an interpreter, so that it is not this host's,", len(n.Interpreters) > 0, inspect.User},
		{"a clock offset", n.Monotonic != nil || n.Boottime != nil, inspect.Time},
		{"a new /proc", n.MountProc != "", inspect.Mnt},
		{"binfmt_misc", n.MountBinfmt != "", inspect.Mnt},
		{"a propagation", n.Propagation != "", inspect.Mnt},
	} {
		if need.has && !n.has(need.typ) {
			return usagef("%s takes a new %s namespace", need.what, need.typ)
		}
	}
	for t := range n.Bind {
		if !n.has(t) {
			return usagef("%s can be kept by a file only if it is new", t)
		}
	}
	return nil
}

func (n *Unshare) has(t inspect.Type) bool { return n != nil && slices.Contains(n.Types, t) }

// besides are the types but for those.
func (n *Unshare) besides(but ...inspect.Type) []inspect.Type {
	return slices.DeleteFunc(slices.Clone(n.Types), func(t inspect.Type) bool { return slices.Contains(but, t) })
}
