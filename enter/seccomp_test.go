package enter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/launcher"
	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// answering is a seccomp filter that answers a system call itself.
func answering(nr uint32, answer uint32) []byte {
	var b []byte
	for _, in := range []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	} {
		b = binary.NativeEndian.AppendUint16(b, in.Code)
		b = append(b, in.Jt, in.Jf)
		b = binary.NativeEndian.AppendUint32(b, in.K)
	}
	return b
}

func refusing(nr uint32, errno unix.Errno) []byte {
	return answering(nr, unix.SECCOMP_RET_ERRNO|uint32(errno))
}

// startFiltered starts a program, by default sleep, in a mount namespace of its
// own and under filters.
func startFiltered(t testing.TB, steps func(*launcher.Program), filters ...[]byte) (pid int) {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt")
	pids, started := make(chan int, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var process *os.Process
	// A thread that lasts, for DieWithParent.
	linux.OnThread(func() {
		prog := &launcher.Program{}
		prog.Unshare("unshare", unix.CLONE_NEWNS)
		prog.DieWithParent(unix.SIGKILL)
		for _, f := range filters {
			prog.Seccomp(f)
		}
		prog.Parent("pid", func(pid int) error { pids <- pid; return nil })
		if steps != nil {
			steps(prog)
		} else {
			prog.Exec("/bin/sleep", "")
		}
		var err error
		process, err = launcher.Start(ctx, prog, launcher.Attr{Argv: []string{"sleep", "30"}, Way: launcher.Memfd})
		started <- err
		<-ctx.Done()
	})
	select {
	case pid = <-pids:
	case err := <-started:
		t.Fatal(err)
	}
	if steps == nil {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		cancel()
		if steps == nil {
			_ = process.Kill()
			_, _ = process.Wait()
		} else if err := <-started; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return pid
}

// filteredPlan is a plan to enter the process.
func filteredPlan(t *testing.T, pid int, o Options) *Plan {
	t.Helper()
	plan, err := NewPlan(t.Context(), AllOf(resolve(t, strconv.Itoa(pid))), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plan.Close() })
	return plan
}

func processState(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return statusOf(string(text), "State")
}

// A kernel's hole that the container's filter shuts is not open to the command.
func TestTargetsSeccompFilters(t *testing.T) {
	testkit.CheckLeaks(t)
	filters := [][]byte{refusing(unix.SYS_UNAME, unix.EXDEV), refusing(unix.SYS_SYNC, unix.ENOSYS)}
	pid := startFiltered(t, nil, filters...)
	show := func(o Options) string {
		plan := filteredPlan(t, pid, o)
		got, err := output(t, Command(plan, "sh", "-c", "grep -E '^Seccomp' /proc/self/status; uname >/dev/null; echo uname $?"))
		if err != nil {
			t.Error(err)
		}
		if described := strings.Contains(plan.String(), ", 2 seccomp filters"); described == o.NoSeccomp {
			t.Errorf("%+v: %s", o, plan)
		}
		return got
	}
	got := show(Options{})
	if statusOf(got, "Seccomp") != "2" || !strings.Contains(got, "uname 1\n") {
		t.Errorf("under the target's filters: %s", got)
	}
	if n := statusOf(got, "Seccomp_filters"); n != "" && n != "2" { // Linux 5.9
		t.Errorf("%s filters", n)
	}
	nobody := uint32(65534) // who might not put a filter on itself
	if got := show(Options{UID: &nobody}); statusOf(got, "Seccomp") != "2" {
		t.Errorf("as another user: %s", got)
	}
	got = show(Options{NoSeccomp: true})
	if statusOf(got, "Seccomp") != "0" || !strings.Contains(got, "uname 0\n") {
		t.Errorf("without them: %s", got)
	}
	read, err := linux.SeccompFilters(t.Context(), pid, func() bool { return true })
	if err != nil || !slices.EqualFunc(read, filters, slices.Equal) {
		t.Errorf("%x, %v, want %x", read, err, filters)
	}
	awaitState(t, pid, 'S') // it sleeps on
}

// A target that was stopped stays so, and says nothing new to its parent.
func TestSeccompFiltersOfStopped(t *testing.T) {
	testkit.CheckLeaks(t)
	pid := startFiltered(t, nil, refusing(unix.SYS_UNAME, unix.EXDEV))
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitState(t, pid, 'T')
	if plan := filteredPlan(t, pid, Options{}); !plan.filtered() {
		t.Error("no filters were read")
	}
	awaitState(t, pid, 'T')
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	awaitState(t, pid, 'S')
}

func awaitState(t *testing.T, pid int, state byte) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got := processState(t, pid)
		if got[0] == state {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("state %s, want %c", got, state)
		}
	}
}

// Where the filters cannot be read the command does not run without them, unless
// that is asked for: a target can see to it that they cannot.
func TestUnreadableFilters(t *testing.T) {
	testkit.CheckLeaks(t)
	check := func(t *testing.T, pid int, errno unix.Errno, evidence string) {
		t.Helper()
		target := resolve(t, strconv.Itoa(pid))
		_, err := NewPlan(t.Context(), AllOf(target), Options{})
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), evidence) || !errors.Is(err, ErrUntraceable) {
			t.Errorf("%v, want %v and %q", err, errno, evidence)
		}
		plan := filteredPlan(t, pid, Options{NoSeccomp: true})
		if got, err := output(t, Command(plan, "grep", "Seccomp:", "/proc/self/status")); err != nil || statusOf(got, "Seccomp") != "0" {
			t.Errorf("%s, %v", got, err)
		}
	}
	t.Run("traced", func(t *testing.T) {
		pid := startFiltered(t, nil, refusing(unix.SYS_UNAME, unix.EXDEV))
		seized, done := make(chan error), make(chan struct{})
		linux.OnThread(func() { // which ends afterwards, and lets go of it
			seized <- unix.PtraceSeize(pid)
			<-done
		})
		if err := <-seized; err != nil {
			t.Fatal(err)
		}
		check(t, pid, unix.EPERM, "traces it already")
		close(done)
	})
	t.Run("uninterruptible", func(t *testing.T) {
		// A parent waits so for the child of its vfork(2).
		pid := startFiltered(t, func(prog *launcher.Program) {
			prog.Call("vfork", unix.SYS_CLONE, launcher.Int(unix.CLONE_VFORK|int(unix.SIGCHLD)))
			prog.DieWithParent(unix.SIGKILL)
			prog.Call("sleep", unix.SYS_NANOSLEEP, prog.Words(5, 0), launcher.Int(0))
		}, refusing(unix.SYS_UNAME, unix.EXDEV))
		awaitState(t, pid, 'D')
		check(t, pid, unix.ETIMEDOUT, "in uninterruptible sleep")
	})
}

// A filter that does not let the helper do its work is named as the reason.
func TestSeccompFilterStopsUs(t *testing.T) {
	testkit.CheckLeaks(t)
	for name, c := range map[string]struct {
		filter []byte
		errno  unix.Errno
	}{
		"refused": {refusing(unix.SYS_SETSID, unix.EXDEV), unix.EXDEV},
		"killed":  {answering(unix.SYS_SETSID, unix.SECCOMP_RET_KILL_PROCESS), 0},
	} {
		t.Run(name, func(t *testing.T) {
			pid := startFiltered(t, nil, c.filter)
			got, err := output(t, Command(filteredPlan(t, pid, Options{}), "true"))
			if err == nil || !errors.Is(err, ErrFiltered) || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := output(t, Command(filteredPlan(t, pid, Options{NoSeccomp: true}), "true")); err != nil {
				t.Errorf("without: %q, %v", got, err)
			}
		})
	}
}

// BenchmarkSeccompFilters is how long a target stops, and a thread for it.
func BenchmarkSeccompFilters(b *testing.B) {
	pid := startFiltered(b, nil, refusing(unix.SYS_UNAME, unix.EXDEV))
	for b.Loop() {
		if _, err := linux.SeccompFilters(b.Context(), pid, func() bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}

// An ordinary user may not read the filters even of its own process, and that is
// stopped in vain for no moment.
func TestUnfilteredForUsers(t *testing.T) {
	testkit.RequireUser(t)
	if _, err := linux.SeccompFilters(t.Context(), os.Getppid(), nil); !errors.Is(err, unix.EACCES) {
		t.Error(err)
	}
	if err := explainFilters(resolve(t, "self"), unix.EACCES); !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Error(err)
	}
}
