package enter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

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
