package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// abilities are what a kernel must be new enough for, the newest first.
var abilities = []struct {
	major, minor int
	what         string
}{
	{6, 18, "namespaces have ids that are never used again (NS_GET_ID)"},
	{5, 14, "a whole group is killed at once (cgroup.kill)"},
	{5, 8, "several namespaces are joined at once, by a pidfd (setns)"},
	{5, 6, "there are time namespaces"},
	{5, 3, "processes are pinned by pidfds (pidfd_open)"},
	{5, 2, "groups of v2 freeze (cgroup.freeze)"},
}

func kernelRelease(_ context.Context, p *patient) Finding {
	release, known := p.text("proc/sys/kernel/osrelease")
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil || !known {
		return unknown("its release cannot be read")
	}
	var lacks []string
	for _, a := range abilities {
		if major*1000+minor < a.major*1000+a.minor {
			lacks = append(lacks, fmt.Sprintf("%d.%d: %s", a.major, a.minor, a.what))
		}
	}
	switch {
	case len(lacks) == 0:
		return fine("Linux %s has all that nsx uses", release)
	case major*1000+minor < 5003:
		return no("Linux %s is too old to pin processes", release).
			because("Later kernels have "+strings.Join(lacks, "; "), "Linux 5.10 or later")
	}
	return note("Linux %s lacks %d things of later ones", release, len(lacks)).because("Later kernels have "+strings.Join(lacks, "; "), "")
}

// sysListns is listns(2) of Linux 6.19 (arch/x86/entry/syscalls/syscall_64.tbl, and
// include/uapi/asm-generic/unistd.h).
const sysListns = 470

func listns(context.Context, *patient) Finding {
	// Without arguments it fails with EFAULT or EINVAL where there is such a call.
	_, _, errno := unix.Syscall(sysListns, 0, 0, 0)
	if errno != unix.ENOSYS {
		return fine("the kernel lists its namespaces")
	}
	return note("the kernel does not list its namespaces").
		because("Before Linux 6.19 a namespace is found only by what keeps it: processes, descriptors, mounts.", "nsx ls --all looks at all of these")
}

func securityModules(_ context.Context, p *patient) Finding {
	list, known := p.text("sys/kernel/security/lsm")
	if !known {
		return unknown("securityfs is not mounted, or may not be read").because("The list of modules is in it.", "mount -t securityfs none /sys/kernel/security")
	}
	modules := strings.Split(list, ",")
	what := strings.Join(modules, " ")
	if enforce, ok := p.number("sys/fs/selinux/enforce"); ok && slices.Contains(modules, "selinux") {
		if enforce == 0 {
			what += "; SELinux only warns"
		} else {
			what += "; SELinux enforces"
		}
	}
	return fine("%s", what)
}

func ptraceScope(_ context.Context, p *patient) Finding {
	const cause = "nsx enter reads the filters of what it enters, and looks at its own command before that runs, by ptrace(2)."
	scope, known := p.number("proc/sys/kernel/yama/ptrace_scope")
	switch {
	case !known:
		return fine("no Yama: who may read a process may trace it")
	case scope == 0:
		return fine("yama ptrace_scope=0")
	case scope == 1:
		return fine("yama ptrace_scope=1: one's own children, which is enough as root")
	case scope == 2:
		return note("yama ptrace_scope=2: enter needs CAP_SYS_PTRACE").because(cause, "run nsx enter as root")
	}
	return no("yama ptrace_scope=%d: nobody may trace", scope).
		because(cause+" Until the next boot no one can change that.", "nsx enter --no-seccomp goes without")
}

func userNamespaces(_ context.Context, p *patient) Finding {
	const cause = "unshare -U, rootless containers, bubblewrap and browsers' sandboxes cannot start."
	most, known := p.number("proc/sys/user/max_user_namespaces")
	clone, debian := p.number("proc/sys/kernel/unprivileged_userns_clone")
	switch {
	case !known:
		return no("the kernel has no user namespaces").because(cause, "a kernel with CONFIG_USER_NS")
	case most == 0:
		return no("user.max_user_namespaces=0").because(cause, "sysctl user.max_user_namespaces=10000")
	case debian && clone == 0:
		return no("kernel.unprivileged_userns_clone=0: root alone").because(cause, "sysctl kernel.unprivileged_userns_clone=1")
	}
	return fine("allowed, %d for each user", most)
}

func apparmorUserns(_ context.Context, p *patient) Finding {
	if n, known := p.number("proc/sys/kernel/apparmor_restrict_unprivileged_userns"); !known || n == 0 {
		return fine("not forbidden")
	}
	return no("kernel.apparmor_restrict_unprivileged_userns=1").because(
		"Ordinary users cannot use user namespaces: unshare, rootless podman and bubblewrap end with EPERM.",
		`for one program an AppArmor profile with "userns,"; for all sysctl kernel.apparmor_restrict_unprivileged_userns=0`)
}

func hidepid(_ context.Context, p *patient) Finding {
	mounts, err := p.root.ReadMounts("proc/self/mountinfo", "proc")
	if err != nil && !p.live {
		mounts, err = p.root.ReadMounts("proc/1/mountinfo", "proc")
	}
	if err != nil {
		return unknown("the mount table cannot be read")
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[4] != "/proc" {
			continue
		}
		for option := range strings.SplitSeq(fields[len(fields)-1], ",") {
			if value, hides := strings.CutPrefix(option, "hidepid="); hides && value != "0" && value != "off" {
				return note("/proc is mounted with hidepid=%s", value).
					because("Whoever is not root, nor in the group of its option gid=, sees his own processes alone.", "run nsx as root")
			}
		}
	}
	return fine("/proc shows all processes")
}
