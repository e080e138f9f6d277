package attacks

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// helperCalls are the system calls that the helper makes, and some that it might.
var helperCalls = map[string]uint32{
	"capget": unix.SYS_CAPGET, "capset": unix.SYS_CAPSET, "chdir": unix.SYS_CHDIR, "chroot": unix.SYS_CHROOT,
	"clone": unix.SYS_CLONE, "clone3": unix.SYS_CLONE3, "close": unix.SYS_CLOSE, "close_range": unix.SYS_CLOSE_RANGE,
	"execve": unix.SYS_EXECVE, "execveat": unix.SYS_EXECVEAT, "exit": unix.SYS_EXIT, "exit_group": unix.SYS_EXIT_GROUP,
	"faccessat": unix.SYS_FACCESSAT, "fchdir": unix.SYS_FCHDIR, "fcntl": unix.SYS_FCNTL, "getcwd": unix.SYS_GETCWD,
	"getpid": unix.SYS_GETPID, "getppid": unix.SYS_GETPPID, "ioctl": unix.SYS_IOCTL, "keyctl": unix.SYS_KEYCTL,
	"mount": unix.SYS_MOUNT, "openat": unix.SYS_OPENAT, "prctl": unix.SYS_PRCTL, "read": unix.SYS_READ,
	"rt_sigprocmask": unix.SYS_RT_SIGPROCMASK, "seccomp": unix.SYS_SECCOMP, "setgroups": unix.SYS_SETGROUPS,
	"setns": unix.SYS_SETNS, "setresgid": unix.SYS_SETRESGID, "setresuid": unix.SYS_SETRESUID, "setsid": unix.SYS_SETSID,
	"unshare": unix.SYS_UNSHARE, "write": unix.SYS_WRITE,
}

// answers are all that a filter can say instead of the kernel.
var answers = map[string]uint32{
	"0":      unix.SECCOMP_RET_ERRNO,
	"ENOENT": unix.SECCOMP_RET_ERRNO | uint32(unix.ENOENT),
	"EINTR":  unix.SECCOMP_RET_ERRNO | uint32(unix.EINTR),
	"trace":  unix.SECCOMP_RET_TRACE,
	"notify": unix.SECCOMP_RET_USER_NOTIF,
	"trap":   unix.SECCOMP_RET_TRAP,
	"kill":   unix.SECCOMP_RET_KILL_PROCESS,
	"thread": unix.SECCOMP_RET_KILL_THREAD,
	"log":    unix.SECCOMP_RET_LOG,
}

// fullEnv has the long tests run in full: make attacks sets it.
const fullEnv = "NSX_ATTACKS_FULL"

func full() bool { return os.Getenv(fullEnv) != "" && !testing.Short() }

// Whatever a filter answers to whichever of the helper's calls, a command has what
// its target has, or does not start; and nothing hangs.
func TestFilterAnswers(t *testing.T) {
	requireTargets(t)
	names := slices.Sorted(maps.Keys(helperCalls))
	all := slices.Sorted(maps.Values(helperCalls))
	places := []place{ordinary(), rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(dockerCaps)}
	if !full() {
		names = []string{"execve", "exit_group", "prctl", "setresuid", "setsid", "write"}
		places = []place{ordinary(), rootful(dockerCaps | ptraceCap)}
	}
	try := func(t *testing.T, p place, what string, filters ...filter) {
		t.Run(what+" in a target "+p.name, func(t *testing.T) {
			pid := p.filtered(t, filters...)
			mayStay = slices.Contains(filters[0].Calls, unix.SYS_PRCTL)
			defer func() { mayStay = false }()
			if taken := compare(t, nsx, pid); taken != "" {
				t.Error(taken)
			}
		})
	}
	for _, p := range places {
		for answer, code := range answers {
			if !full() && answer != "0" && answer != "kill" && answer != "notify" {
				continue
			}
			try(t, p, "all answered "+answer, filter{Calls: all, Answer: code})
			for _, name := range names {
				if full() || answer == "0" || name == "execve" {
					try(t, p, name+" answered "+answer, filter{Calls: []uint32{helperCalls[name]}, Answer: code})
				}
			}
		}
		// The first one swallows the second.
		try(t, p, "seccomp faked before another filter",
			filter{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}, filter{Calls: []uint32{unix.SYS_SECCOMP}, Answer: unix.SECCOMP_RET_ERRNO})
	}
}

// A faked execve(2) let the helper run on, behind the end of its program.
func TestFilterFakesExecve(t *testing.T) {
	requireTargets(t)
	for _, calls := range [][]string{{"execve"}, {"execve", "exit_group"}, {"execve", "exit_group", "exit"}, {"execve", "exit_group", "write"}, {"execve", "exit_group", "read", "write", "close"}} {
		t.Run(fmt.Sprint(calls), func(t *testing.T) {
			f := filter{Answer: unix.SECCOMP_RET_ERRNO}
			for _, name := range calls {
				f.Calls = append(f.Calls, helperCalls[name])
			}
			for _, p := range []place{ordinary(), rootful(dockerCaps), rootful(dockerCaps | ptraceCap)} {
				pid := p.filtered(t, f)
				resist(t, func(t *testing.T, e entrant) string {
					// Under its own filter the command may not know how to end.
					o := e.look(t, pid)
					if o.inside == nil && !o.failed() || o.hung {
						return o.String()
					}
					return ""
				})
			}
		})
	}
}
