package enter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// New says which namespaces to make for the command, and how: unshare(2).
type New struct {
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
	Owner *Owner
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

// Owner is who is meant by New.Owner, with ids of our own user namespace.
type Owner struct{ UID, GID uint32 }

// propagations are the values of New.Propagation.
var propagations = map[string]uintptr{
	"": unix.MS_PRIVATE, "private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED, "unchanged": 0,
}

// check refuses what cannot be.
func (n *New) check() error {
	if n == nil {
		return nil
	}
	if _, known := propagations[n.Propagation]; !known {
		return fmt.Errorf("unknown propagation %q: there are private, slave, shared and unchanged", n.Propagation)
	}
	if !slices.Contains([]string{"", "allow", "deny"}, n.Setgroups) {
		return fmt.Errorf("setgroups %q: there are allow and deny", n.Setgroups)
	}
	if len(n.Interpreters) > 0 && n.MountBinfmt == "" {
		return errors.New("interpreters are registered where binfmt_misc is mounted: say where")
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
			return fmt.Errorf("%s takes a new %s namespace", need.what, need.typ)
		}
	}
	for t := range n.Bind {
		if !n.has(t) {
			return fmt.Errorf("%s can be kept by a file only if it is new", t)
		}
	}
	return nil
}

func (n *New) has(t inspect.Type) bool { return n != nil && slices.Contains(n.Types, t) }

// flags is the CLONE_NEW* mask without those of the given types.
func (n *New) flags(but ...inspect.Type) int {
	mask := 0
	for _, t := range n.Types {
		if !slices.Contains(but, t) {
			mask |= t.CloneFlag()
		}
	}
	return mask
}

// userSteps makes the user namespace, which then gives the right to make the
// others. We write its id maps while the helper waits: it could not itself,
// where they are more than its own id (user_namespaces(7)). joined is the user
// namespace that it is in, nil if that is ours.
func (n *New) userSteps(prog *launcher.Program, joined *os.File) {
	if !n.has(inspect.User) {
		return
	}
	if o := n.Owner; o != nil {
		// create_user_ns() in kernel/user_namespace.c: the owner is the effective
		// user. All ids are his, for without maps they cannot be changed any more.
		gid, uid := launcher.Int(o.GID), launcher.Int(o.UID)
		prog.Call(becomeOwner, unix.SYS_SETGROUPS, launcher.Int(0), launcher.Int(0)).Ignore() // if it may not, it is us
		prog.Call(becomeOwner, unix.SYS_SETRESGID, gid, gid, gid)
		prog.Call(becomeOwner, unix.SYS_SETRESUID, uid, uid, uid)
	}
	prog.Unshare("unshare(CLONE_NEWUSER)", unix.CLONE_NEWUSER)
	if len(n.UIDs)+len(n.GIDs) > 0 || n.Setgroups != "" {
		write := n.writeMaps
		if joined != nil {
			write = func(pid int) error { return n.writeMapsWithin(joined, pid) }
		}
		prog.Parent("writing the id maps", write)
	}
}

// becomeOwner is the name of the steps that change to New.Owner.
const becomeOwner = "becoming the owner of the user namespace"

// timeOffsets is where a time namespace's offsets are written.
const timeOffsets = "/proc/self/timens_offsets"

// timeSteps makes the time namespace, whose offsets can be set as long as no
// process is in it: the helper itself is not, only its child will be.
func (n *New) timeSteps(prog *launcher.Program) {
	if !n.has(inspect.Time) {
		return
	}
	prog.Unshare("unshare(CLONE_NEWTIME)", unix.CLONE_NEWTIME)
	text := ""
	if n.Monotonic != nil {
		text += fmt.Sprintf("monotonic %d 0\n", *n.Monotonic)
	}
	if n.Boottime != nil {
		text += fmt.Sprintf("boottime %d 0\n", *n.Boottime)
	}
	if text != "" {
		prog.WriteFile(timeOffsets, text)
	}
}

// otherSteps makes the other namespaces. newRoot says that the root is still to be
// changed.
func (n *New) otherSteps(prog *launcher.Program, b *binds, newRoot bool) {
	if n == nil {
		return
	}
	if mask := n.flags(inspect.User, inspect.Time); mask != 0 {
		prog.Unshare("unshare", mask)
	}
	if how := propagations[n.Propagation]; n.has(inspect.Mnt) && how != 0 {
		prog.Mount(setPropagation, "none", "/", "", unix.MS_REC|how, "")
	}
	if newRoot && len(n.Interpreters) > 0 {
		// An interpreter with the flag F is opened now, as a file of ours.
		n.binfmtSteps(prog, BinfmtDir, n.Interpreters)
	}
	if b.any(false) {
		prog.Parent("keeping the namespaces", func(pid int) error { return b.bind(pid, false) })
	}
}

// setPropagation is the name of the step that New.Propagation is about.
const setPropagation = "setting the propagation of mounts"

// BinfmtDir is where binfmt_misc is looked for.
const BinfmtDir = "/proc/sys/fs/binfmt_misc"

func (n *New) binfmtSteps(prog *launcher.Program, dir string, interpreters []string) {
	prog.Mount(mountBinfmt, "binfmt_misc", dir, "binfmt_misc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	for _, line := range interpreters {
		prog.WriteFile(filepath.Join(dir, "register"), line)
	}
}

// mountBinfmt is the name of the step that mounts binfmt_misc.
const mountBinfmt = "mounting binfmt_misc"

// childSteps is what only the child in the new PID namespace can do. newRoot says
// that the root was changed.
func (n *New) childSteps(prog *launcher.Program, b *binds, newRoot bool) {
	if n == nil {
		return
	}
	if n.MountProc != "" {
		// What is below stays out of reach of a mount that hides part of it.
		prog.Mount("mounting "+n.MountProc, "proc", n.MountProc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
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

// explain says why a step was refused, "" if it cannot tell.
func (n *New) explain(step string, err error) string {
	if n == nil {
		return ""
	}
	switch {
	case step == "unshare(CLONE_NEWUSER)" && errors.Is(err, unix.EPERM):
		if who := unmappedOwner(); who != "" {
			return "our own " + who + " is not mapped in this user namespace, and so cannot own another"
		}
		return "this process is in a chroot, or user namespaces are restricted: see /proc/sys/kernel/unprivileged_userns_clone and apparmor_restrict_unprivileged_userns"
	case errors.Is(err, unix.EPERM) && (step == "unshare" || step == "unshare(CLONE_NEWTIME)"):
		return "it takes CAP_SYS_ADMIN: run as root, or make a user namespace too (-U -r)"
	case strings.HasPrefix(step, "unshare") && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)):
		return n.limitReached(step)
	case step == setPropagation && errors.Is(err, unix.EINVAL):
		return "the root directory here is no mount point, as in a chroot, so that it has no propagation: leave it unchanged (--propagation unchanged)"
	case errors.Is(err, unix.EPERM) && step == "mounting "+n.MountProc:
		return "parts of the /proc here are covered by mounts, so that the kernel does not allow another one (mount_too_revealing in fs/namespace.c): make a PID namespace too, or run as root"
	case step == mountBinfmt && errors.Is(err, unix.EPERM):
		return "it takes CAP_SYS_ADMIN, and before Linux 6.7 that of the initial user namespace"
	case step == mountBinfmt && errors.Is(err, unix.ENODEV):
		return "the kernel has no binfmt_misc, or its module is not loaded: modprobe binfmt_misc"
	case strings.HasSuffix(step, "/register"):
		return explainInterpreter(err)
	case step == becomeOwner && errors.Is(err, unix.EPERM):
		return "it takes CAP_SETUID and CAP_SETGID: run as root"
	case step == becomeOwner && errors.Is(err, unix.EINVAL):
		return "the owner's ids have to exist in our own user namespace"
	case strings.HasSuffix(step, timeOffsets) && errors.Is(err, unix.ERANGE):
		return "the clock would show less than nothing, or centuries"
	case strings.HasSuffix(step, timeOffsets):
		return "the offsets of a time namespace can be set only before a process is in it, and with CAP_SYS_TIME in its user namespace"
	default:
		return ""
	}
}

// limitReached says which limits a refused step has met: those of the types that
// it was to make, in user namespaces from ours up (inc_ucount in kernel/ucount.c).
// We see ours.
func (n *New) limitReached(step string) string {
	types := slices.DeleteFunc(slices.Clone(n.Types), func(t inspect.Type) bool { return t == inspect.User || t == inspect.Time })
	switch step {
	case "unshare(CLONE_NEWUSER)":
		types = []inspect.Type{inspect.User}
	case "unshare(CLONE_NEWTIME)":
		types = []inspect.Type{inspect.Time}
	}
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

// explainInterpreter says why binfmt_misc did not take a line.
func explainInterpreter(err error) string {
	switch {
	case errors.Is(err, unix.EINVAL):
		return "it has to be :name:type:offset:magic:mask:interpreter:flags, with the type M or E (binfmt-misc.rst)"
	case errors.Is(err, unix.EEXIST):
		return "there is an interpreter of that name"
	case errors.Is(err, unix.ENOENT):
		return "with the flag F the interpreter has to be there"
	default:
		return ""
	}
}
