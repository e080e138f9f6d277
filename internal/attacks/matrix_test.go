package attacks

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/enter"
	"nsx/inspect"
)

// mightCalls are system calls that the helper does not make, or only at times, and
// might make one day in the place of others.
var mightCalls = []uint32{
	unix.SYS_CAPGET, unix.SYS_CHDIR, unix.SYS_CLONE3, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_EXECVEAT, unix.SYS_EXIT, unix.SYS_FACCESSAT, unix.SYS_FCNTL,
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_IOCTL, unix.SYS_MOUNT, unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_RT_SIGPROCMASK,
	unix.SYS_UNSHARE, unix.SYS_WRITE,
}

// helperCalls are the system calls that the helper makes to become a command of the
// target's, by its own table: a step that is new is attacked without a word here.
// Those of mightCalls come with them.
func helperCalls(t *testing.T, places ...place) []uint32 {
	t.Helper()
	calls := slices.Clone(mightCalls)
	for _, p := range places {
		pid := p.filtered(t, filter{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO})
		target, err := inspect.Resolve(t.Context(), strconv.Itoa(pid))
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		plan, err := enter.NewPlan(t.Context(), enter.AllOf(target), enter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		table, err := enter.Command(plan, program("idle")).SystemCalls(t.Context())
		if err != nil || !slices.Contains(table, unix.SYS_SECCOMP) || !slices.Contains(table, unix.SYS_EXECVE) {
			t.Fatalf("this is not the table: %d, %v", table, err)
		}
		for _, nr := range table {
			calls = append(calls, uint32(nr))
		}
	}
	slices.Sort(calls)
	return slices.Compact(calls)
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
	places := []place{ordinary(), rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(dockerCaps)}
	all := helperCalls(t, places...)
	t.Logf("%d system calls: %d", len(all), all)
	single := all
	if !full() {
		single = []uint32{unix.SYS_EXECVE, unix.SYS_EXIT_GROUP, unix.SYS_PRCTL, unix.SYS_SETRESUID, unix.SYS_SETSID, unix.SYS_WRITE}
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
			for _, nr := range single {
				if full() || answer == "0" || nr == unix.SYS_EXECVE {
					try(t, p, fmt.Sprintf("call %d answered %s", nr, answer), filter{Calls: []uint32{nr}, Answer: code})
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
	for _, more := range [][]uint32{
		nil,
		{unix.SYS_EXIT_GROUP},
		{unix.SYS_EXIT_GROUP, unix.SYS_EXIT},
		{unix.SYS_EXIT_GROUP, unix.SYS_WRITE},
		{unix.SYS_EXIT_GROUP, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE},
	} {
		t.Run(fmt.Sprint("execve and ", more), func(t *testing.T) {
			f := filter{Calls: append([]uint32{unix.SYS_EXECVE}, more...), Answer: unix.SECCOMP_RET_ERRNO}
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
