package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/launcher"
	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// helpersCalls are the system calls that a helper makes for the plan, by its own
// table, and the one that gives it a terminal.
func helpersCalls(t *testing.T, plan *Plan) []uint64 {
	t.Helper()
	calls, err := Command(plan, "cat").SystemCalls(t.Context())
	if err != nil || len(calls) < 15 {
		t.Fatalf("only %d system calls: %d, %v", len(calls), calls, err)
	}
	return append(calls, unix.SYS_IOCTL)
}

// answeringAll is a filter that answers all of the calls itself.
func answeringAll(numbers []uint64, answer uint32) []byte {
	var filter []byte
	for _, nr := range numbers {
		// The load of the number, a comparison and its answer, in front of the rest.
		one := answering(uint32(nr), answer)
		if filter == nil {
			filter = one[3*unix.SizeofSockFilter:]
		}
		filter = append(slices.Clone(one[:3*unix.SizeofSockFilter]), filter...)
	}
	return filter
}

// TestFakedCalls is about filters that answer the helper's system calls in the
// kernel's place. A process of an ordinary user, with such a filter and namespaces
// of its own, became root of the host when root entered it: setresuid(2) had done
// nothing, and returned 0.
func TestFakedCalls(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "mnt", "pid")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("root's own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := map[string]uint32{
		"success":  unix.SECCOMP_RET_ERRNO,
		"EPERM":    unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
		"trace":    unix.SECCOMP_RET_TRACE,
		"notify":   unix.SECCOMP_RET_USER_NOTIF,
		"trap":     unix.SECCOMP_RET_TRAP,
		"kill":     unix.SECCOMP_RET_KILL_PROCESS,
		"kill one": unix.SECCOMP_RET_KILL_THREAD,
	}
	// enters runs a command under the answers to the calls, and looks at what it is
	// if it runs at all.
	enters := func(t *testing.T, ofUser bool, calls []uint64, answer uint32) {
		filter := answeringAll(calls, answer)
		pid := startFilteredIn(t, ofUser, filter)
		plan := filteredPlan(t, pid, Options{})
		if len(calls) == 1 && calls[0] == unix.SYS_WRITE {
			// A program that prints would try for ever.
			if err := Command(plan, "/bin/true").Run(); err != nil {
				t.Error(err)
			}
			return
		}
		got, err := output(t, Command(plan, "/bin/sh", "-c",
			`while read -r line; do echo "$line"; done < /proc/self/status; read -r line < `+secret+` && echo "read $line"; echo done`))
		if strings.Contains(got, "root's own") && ofUser {
			t.Errorf("it reads root's file: %s", got)
		}
		if !strings.Contains(got, "Uid:") {
			if _, ended := errors.AsType[*ExitError](err); err == nil || !ended && strings.Contains(err.Error(), "launcher:") {
				t.Errorf("%q, %v", got, err)
			}
			return
		}
		want := "0\t0\t0\t0"
		if uid := statusOf(got, "Uid"); uid != want {
			t.Errorf("Uid %s, want %s", uid, want)
		}
		if filters := statusOf(got, "Seccomp_filters"); filters != "1" {
			t.Errorf("%s filters", filters)
		}
		if groups := statusOf(got, "Groups"); groups != "" {
			t.Errorf("groups %s", groups)
		}
		bounding := statusOf(got, "CapBnd")
		for _, set := range []string{"CapPrm", "CapEff"} {
			if statusOf(got, set) != bounding {
				t.Errorf("%s %s, bounding %s", set, statusOf(got, set), bounding)
			}
		}
	}
	for _, ofUser := range []bool{true, false} {
		whose := map[bool]string{true: "user", false: "root"}[ofUser]
		pid := startFilteredIn(t, ofUser, refusing(unix.SYS_UNAME, unix.EXDEV))
		calls := helpersCalls(t, filteredPlan(t, pid, Options{}))
		for name, answer := range answers {
			t.Run(whose+"/all/"+name, func(t *testing.T) { enters(t, ofUser, calls, answer) })
			if name != "success" && testing.Short() {
				continue
			}
			for _, nr := range calls {
				t.Run(fmt.Sprintf("%s/%d/%s", whose, nr, name), func(t *testing.T) { enters(t, ofUser, []uint64{nr}, answer) })
			}
		}
	}
}

// startFilteredIn starts a process under a filter in user, mount and PID
// namespaces of an ordinary user, or in mount and PID namespaces of root's. It makes
// no call but nanosleep(2).
func startFilteredIn(t *testing.T, ofUser bool, filter []byte) int {
	t.Helper()
	testkit.RequireRoot(t)
	prog := &launcher.Program{}
	if ofUser {
		prog.Setgroups(nil)
		prog.Setgid(65534)
		prog.Setuid(65534)
		prog.Unshare("unshare", unix.CLONE_NEWUSER)
		prog.Parent("maps", func(pid int) error {
			for _, f := range [][2]string{{"setgroups", "deny"}, {"uid_map", "0 65534 1"}, {"gid_map", "0 65534 1"}} {
				if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, f[0]), []byte(f[1]), 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	prog.Unshare("unshare", unix.CLONE_NEWNS|unix.CLONE_NEWPID)
	prog.Fork()
	prog.DieWithParent(unix.SIGKILL)
	pids := make(chan int, 1)
	prog.Parent("pid", func(pid int) error { pids <- pid; return nil })
	prog.Seccomp(filter)
	prog.Call("sleep", unix.SYS_NANOSLEEP, prog.Words(60, 0), launcher.Int(0))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	linux.OnThread(func() { // one that lasts, for DieWithParent
		_, err := launcher.Start(ctx, prog, launcher.Attr{Argv: []string{"target"}, Env: []string{"PATH=/bin"}, Way: launcher.Memfd})
		ended <- err
	})
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case pid := <-pids:
		awaitFiltered(t, pid)
		return pid
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return 0
}

// awaitFiltered waits until the process is under its filter and sleeps.
func awaitFiltered(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if statusOf(string(text), "Seccomp") == "2" && strings.HasPrefix(statusOf(string(text), "State"), "S") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not under its filter: %s", text)
		}
	}
}
