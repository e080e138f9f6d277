package enter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

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

// userSteps makes the user namespace, which then gives the right to make the
// others. We write its id maps while the helper waits: it could not itself,
// where they are more than its own id (user_namespaces(7)). joined is the user
// namespace that it is in, nil if that is ours.
func (n *Unshare) userSteps(ctx context.Context, prog *launcher.Program, joined *os.File) {
	if !n.has(inspect.User) {
		return
	}
	if o := n.Owner; o != nil {
		// create_user_ns() in kernel/user_namespace.c: the owner is the effective
		// user. All ids are his, for without maps they cannot be changed any more.
		gid, uid := launcher.Int(o.GID), launcher.Int(o.UID)
		const name = "becoming the owner of the user namespace"
		prog.Call(name, unix.SYS_SETGROUPS, launcher.Int(0), launcher.Int(0)).Ignore() // if it may not, it is us
		prog.Call(name, unix.SYS_SETRESGID, gid, gid, gid).Explain(because(explainOwner))
		prog.Call(name, unix.SYS_SETRESUID, uid, uid, uid).Explain(because(explainOwner))
	}
	prog.Unshare("unshare(CLONE_NEWUSER)", unix.CLONE_NEWUSER).Explain(because(explainNewUser))
	if len(n.UIDs)+len(n.GIDs) > 0 || n.Setgroups != "" {
		write := n.writeMaps
		if joined != nil {
			write = func(pid int) error { return n.writeMapsWithin(ctx, joined, pid) }
		}
		prog.Parent("writing the id maps", write)
	}
}

// explainOwner says why the process could not become Unshare.Owner.
func explainOwner(errno unix.Errno) (string, error) {
	switch errno {
	case unix.EPERM:
		return "it takes CAP_SETUID and CAP_SETGID: run as root", ErrPermission
	case unix.EINVAL:
		return "the owner's ids have to exist in our own user namespace", nil
	}
	return "", nil
}

// timeSteps makes the time namespace, whose offsets can be set as long as no
// process is in it: the helper itself is not, only its child will be.
func (n *Unshare) timeSteps(prog *launcher.Program) {
	if !n.has(inspect.Time) {
		return
	}
	prog.Unshare("unshare(CLONE_NEWTIME)", unix.CLONE_NEWTIME).Explain(because(explainUnshare(inspect.Time)))
	text := ""
	if n.Monotonic != nil {
		text += fmt.Sprintf("monotonic %d 0\n", *n.Monotonic)
	}
	if n.Boottime != nil {
		text += fmt.Sprintf("boottime %d 0\n", *n.Boottime)
	}
	if text != "" {
		open, write := prog.WriteFile("/proc/self/timens_offsets", text)
		open.Explain(because(explainOffsets))
		write.Explain(because(explainOffsets))
	}
}

// explainOffsets says why the offsets of a time namespace could not be set.
func explainOffsets(errno unix.Errno) (string, error) {
	if errno == unix.ERANGE {
		return "the clock would show less than nothing, or centuries", nil
	}
	return "the offsets of a time namespace can be set only before a process is in it, and with CAP_SYS_TIME in its user namespace", ErrPermission
}

// otherSteps makes the other namespaces. newRoot says that the root is still to be
// changed.
func (n *Unshare) otherSteps(prog *launcher.Program, b *binds, newRoot bool) {
	if n == nil {
		return
	}
	others := n.besides(inspect.User, inspect.Time)
	mask := 0
	for _, t := range others {
		mask |= t.CloneFlag()
	}
	if mask != 0 {
		prog.Unshare("unshare", mask).Explain(because(explainUnshare(others...)))
	}
	if how := propagations[n.Propagation]; n.has(inspect.Mnt) && how != 0 {
		prog.Mount("setting the propagation of mounts", "none", "/", "", unix.MS_REC|how, "").
			Explain(onErrno(unix.EINVAL, "the root directory here is no mount point, as in a chroot, so that it has no propagation: leave it unchanged", ErrPropagation))
	}
	if newRoot && len(n.Interpreters) > 0 {
		// An interpreter with the flag F is opened now, as a file of ours.
		n.binfmtSteps(prog, BinfmtDir, n.Interpreters)
	}
	if b.any(false) {
		prog.Parent("keeping the namespaces", func(pid int) error { return b.bind(pid, false) })
	}
}

// BinfmtDir is where binfmt_misc is looked for.
const BinfmtDir = "/proc/sys/fs/binfmt_misc"

func (n *Unshare) binfmtSteps(prog *launcher.Program, dir string, interpreters []string) {
	prog.Mount("mounting binfmt_misc", "binfmt_misc", dir, "binfmt_misc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
		Explain(because(explainBinfmt))
	for _, line := range interpreters {
		_, write := prog.WriteFile(filepath.Join(dir, "register"), line)
		write.Explain(because(explainInterpreter))
	}
}

// explainBinfmt says why binfmt_misc could not be mounted.
func explainBinfmt(errno unix.Errno) (string, error) {
	switch errno {
	case unix.EPERM:
		return "it takes CAP_SYS_ADMIN, and before Linux 6.7 that of the initial user namespace", ErrPermission
	case unix.ENODEV:
		return "the kernel has no binfmt_misc, or its module is not loaded: modprobe binfmt_misc", nil
	}
	return "", nil
}

// explainInterpreter says why binfmt_misc did not take a line.
func explainInterpreter(errno unix.Errno) (string, error) {
	switch errno {
	case unix.EINVAL:
		return "it has to be :name:type:offset:magic:mask:interpreter:flags, with the type M or E (binfmt-misc.rst)", nil
	case unix.EEXIST:
		return "there is an interpreter of that name", nil
	case unix.ENOENT:
		return "with the flag F the interpreter has to be there", nil
	}
	return "", nil
}

// childSteps is what only the child in the new PID namespace can do. newRoot says
// that the root was changed.
func (n *Unshare) childSteps(prog *launcher.Program, b *binds, newRoot bool) {
	if n == nil {
		return
	}
	if n.MountProc != "" {
		// What is below stays out of reach of a mount that hides part of it.
		prog.Mount("mounting "+n.MountProc, "proc", n.MountProc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
			Explain(onErrno(unix.EPERM, "parts of the /proc here are covered by mounts, so that the kernel does not allow another one (mount_too_revealing in fs/namespace.c): make a PID namespace too, or run as root", ErrPermission))
	}
	if n.MountBinfmt != "" {
		interpreters := n.Interpreters
		if newRoot {
			interpreters = nil // are there already: it is the same for all of a user namespace
		}
		n.binfmtSteps(prog, n.MountBinfmt, interpreters)
	}
	if b.any(true) {
		prog.Parent("keeping the PID namespace", func(pid int) error { return b.bind(pid, true) })
	}
}

// explainNewUser says why a user namespace could not be made.
func explainNewUser(errno unix.Errno) (string, error) {
	if errno != unix.EPERM {
		return explainUnshare(inspect.User)(errno)
	}
	if who := unmappedOwner(); who != "" {
		return "our own " + who + " is not mapped in this user namespace, and so cannot own another", ErrPermission
	}
	return "this process is in a chroot, or user namespaces are restricted: see /proc/sys/kernel/unprivileged_userns_clone and apparmor_restrict_unprivileged_userns", ErrPermission
}

// explainUnshare says why namespaces of the types could not be made.
func explainUnshare(types ...inspect.Type) func(unix.Errno) (string, error) {
	return func(errno unix.Errno) (string, error) {
		switch errno {
		case unix.EPERM:
			return "it takes CAP_SYS_ADMIN: run as root, or make a user namespace too", ErrUnshare
		case unix.ENOSPC, unix.EUSERS:
			return limitReached(types), ErrLimit
		}
		return "", nil
	}
}

// limitReached says which limits new namespaces of the types have met, in user
// namespaces from ours up (inc_ucount in kernel/ucount.c). We see ours.
func limitReached(types []inspect.Type) string {
	var limits []string
	for _, t := range types {
		path := fmt.Sprintf("/proc/sys/user/max_%s_namespaces", t)
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		value := strings.TrimSpace(string(text))
		if value == "0" {
			return path + " is 0: no such namespace may be made here"
		}
		limits = append(limits, path+" is "+value)
	}
	why := "a limit on namespaces is reached, which counts for each user, here or in a user namespace above: " + strings.Join(limits, ", ")
	if slices.Contains(types, inspect.User) || slices.Contains(types, inspect.PID) {
		why += "; and no user or PID namespace is more than 32 deep"
	}
	return why
}
