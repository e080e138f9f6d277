package enter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/testkit"
)

// A hostile target must get nothing of us, by the attacks that other tools fell
// to. Each test fails when its mitigation is taken out of Plan.steps.

// boxed starts a process in a mount namespace of its own, with a smaller
// bounding set than ours and with no_new_privs, as container runtimes do.
func boxed(t *testing.T) int {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt")
	testkit.RequireProgram(t, "setpriv")
	testkit.RequireProgram(t, "unshare")
	cmd := exec.Command("unshare", "-m", "setpriv", "--bounding-set", "-sys_admin,-mknod,-sys_ptrace", "--no-new-privs",
		"sh", "-c", "echo ready; exec sleep 60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // Pdeathsig goes by the thread
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid
}

// statusOf reads a line of a status text.
func statusOf(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// With our capabilities, a program of the container mounts the host's disk.
func TestTargetsRights(t *testing.T) {
	pid := strconv.Itoa(boxed(t))
	theirs, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	show := func(o Options) string {
		target, err := inspect.Resolve(t.Context(), pid)
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		plan, err := NewPlan(t.Context(), AllOf(target), o)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		got, err := output(t, Command(plan, "cat", "/proc/self/status"))
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		return got
	}
	got := show(Options{})
	for _, name := range []string{"CapBnd", "NoNewPrivs"} {
		if statusOf(got, name) != statusOf(string(theirs), name) {
			t.Errorf("%s %s, the target has %s", name, statusOf(got, name), statusOf(string(theirs), name))
		}
	}
	for _, name := range []string{"CapPrm", "CapEff"} {
		if statusOf(got, name) != statusOf(string(theirs), "CapBnd") {
			t.Errorf("%s %s is beyond the target's bounding set %s", name, statusOf(got, name), statusOf(string(theirs), "CapBnd"))
		}
	}
	if inh := statusOf(got, "CapInh"); inh != "0000000000000000" {
		t.Errorf("CapInh %s", inh)
	}
	got = show(Options{Privileged: true})
	for _, name := range []string{"CapBnd", "NoNewPrivs"} {
		if statusOf(got, name) != statusOf(string(ours), name) {
			t.Errorf("privileged: %s %s, ours is %s", name, statusOf(got, name), statusOf(string(ours), name))
		}
	}
}

// CVE-2016-9962: before its execve the helper, which still has our environment
// and rights, must not be open to others in the target.
func TestHelperIsNotDumpable(t *testing.T) {
	testkit.RequireNS(t, withUser("pid")...)
	p := testkit.Start(t, testkit.Config{New: withUser("pid")})
	plan := planFor(t, strconv.Itoa(p.PID))
	var prog launcher.Program
	Command(plan, "x").steps(t.Context(), &prog, &binds{})
	dumpable, hidden := prog.Slot(1), prog.Label()
	prog.Prctl("prctl(PR_GET_DUMPABLE)", unix.PR_GET_DUMPABLE).Into(dumpable)
	prog.JumpIf(dumpable.Value(), ^uint64(0), 0, hidden)
	prog.FailWith("the helper is dumpable", unix.EPERM)
	prog.Place(hidden)
	prog.Exit(0)
	process, err := launcher.Start(context.Background(), &prog, launcher.Attr{Argv: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.Wait(); err != nil {
		t.Error(err)
	}
}

// CVE-2024-21626: a descriptor of a host directory leads out of the container.
func TestNoDescriptorsOfOurs(t *testing.T) {
	pid := strconv.Itoa(boxed(t)) // in our PID namespace, as the attack needs it
	fd, err := unix.Open("/etc", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	target, err := inspect.Resolve(t.Context(), pid)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	plan := func(o Options) *Plan {
		plan, err := NewPlan(t.Context(), AllOf(target), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { plan.Close() })
		return plan
	}
	got, err := output(t, Command(plan(Options{}), "sh", "-c", "ls /proc/$$/fd"))
	if err != nil || got != "0\n1\n2\n" {
		t.Errorf("descriptors %q, %v", got, err)
	}
	for n := range 40 {
		o := Options{DirInside: fmt.Sprintf("/proc/self/fd/%d", n)}
		err := Command(plan(o), "pwd").Run()
		if err == nil {
			t.Errorf("working directory %s: %v", o.DirInside, err)
		}
		err = Command(plan(Options{}), fmt.Sprintf("/proc/self/fd/%d/passwd", n)).Run()
		if e, ok := errors.AsType[*ExecError](err); !ok || !e.NotFound() {
			t.Errorf("command below descriptor %d: %v", n, err)
		}
	}
	// A working directory of ours is not below the target's root.
	out := t.TempDir()
	box := t.TempDir()
	if err := Command(plan(Options{Root: box, Dir: out, Privileged: true}), "true").Run(); err == nil || !strings.Contains(err.Error(), "not below the new root") {
		t.Errorf("a working directory outside: %v", err)
	}
}

// A symbolic link of the target's is followed under its root, and not ours.
func TestLinksStayUnderTheRoot(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt")
	box := t.TempDir()
	copySelf(t, box, "/programs/show")
	if err := os.Symlink("/programs/show", filepath.Join(box, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/sh", filepath.Join(box, "out")); err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, testkit.Config{New: []string{"mnt"}, Mode: testkit.Chrooted, Dir: box})
	plan := planFor(t, strconv.Itoa(p.PID))
	c := Command(plan, "/link")
	c.Env = []string{partEnv + "=show-root"}
	if got, err := output(t, c); err != nil || !strings.Contains(got, "/programs\n") {
		t.Errorf("%q, %v", got, err)
	}
	if err := Command(plan, "/out").Run(); err == nil {
		t.Error("the host's /bin/sh ran")
	}
}

// TIOCSTI: with our terminal, the target could type into our shell.
func TestTerminalOfItsOwn(t *testing.T) {
	pid := strconv.Itoa(boxed(t))
	master, slave := openTerminal(t)
	go func() { _, _ = io.Copy(io.Discard, master) }()
	target, err := inspect.Resolve(t.Context(), pid)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for _, c := range []struct {
		privileged bool
		ours       bool
	}{{false, false}, {true, true}} {
		plan, err := NewPlan(t.Context(), AllOf(target), Options{Privileged: c.privileged})
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := Command(plan, "stat", "-L", "-c", "%t:%T", "/proc/self/fd/0")
		cmd.Stdin, cmd.Stdout = slave, w
		err = cmd.Accompany()
		w.Close()
		plan.Close()
		text, _ := io.ReadAll(r)
		r.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(slave.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		own := fmt.Sprintf("%x:%x\n", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		if err != nil || (string(text) == own) != c.ours {
			t.Errorf("privileged %v: stdin is %q, ours is %q: %v", c.privileged, text, own, err)
		}
	}
}

// openTerminal opens a pseudoterminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// Thousands of entries of all eight types while the garbage collector runs, with
// descriptor 0 closed for a part of them. NSX_ENTRIES is how many.
func TestManyEntries(t *testing.T) {
	types := slices.Clone(testkit.AllNS)
	testkit.RequireNS(t, types...)
	runs := testkit.Rounds(2_000, 500)
	if os.Geteuid() != 0 {
		runs = min(runs, 500)
	}
	if n, err := strconv.Atoi(os.Getenv("NSX_ENTRIES")); err == nil {
		runs = n
	}
	p := testkit.Start(t, testkit.Config{New: types})
	plan := planFor(t, strconv.Itoa(p.PID))
	stop := make(chan struct{})
	defer close(stop)
	for range 64 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = make([]byte, 64<<10)
					runtime.Gosched()
				}
			}
		}()
	}
	saved, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	defer func() { _ = unix.Dup3(saved, 0, 0) }()
	for i := range runs {
		if i == runs*49/50 {
			unix.Close(0)
		}
		c := Command(plan, "/bin/true")
		do := c.Try
		if i%10 == 0 {
			do = c.Run
		}
		if err := do(); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// With input from a file there is no terminal to take the place of ours, but
// /dev/tty would still be it, if the command were in our session.
func TestSessionOfItsOwn(t *testing.T) {
	pid := boxed(t)
	plan := planFor(t, strconv.Itoa(pid))
	got, err := output(t, Command(plan, "sh", "-c", "cut -d' ' -f6 /proc/$$/stat; echo $$"))
	session, self, _ := strings.Cut(strings.TrimSpace(got), "\n")
	if err != nil || session != self {
		t.Errorf("in session %q as process %q, %v", session, self, err)
	}
}

// Code of a user namespace has rights there, and must not run outside of it.
func TestCodeStaysInItsUserNamespace(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "user", "mnt")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "mnt"}, UID: 1000})
	target, err := inspect.Resolve(t.Context(), strconv.Itoa(p.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	alone := []Request{{inspect.Mnt, target}}
	if _, err := NewPlan(t.Context(), alone, Options{}); err == nil || !errors.Is(err, ErrUserNamespace) || !errors.Is(err, ErrUnsafe) {
		t.Errorf("its mount namespace alone: %v", err)
	}
	for _, c := range []struct {
		requests []Request
		options  Options
	}{
		{append(alone, Request{inspect.User, target}), Options{}},
		{alone, Options{Privileged: true}},
	} {
		plan, err := NewPlan(t.Context(), c.requests, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if err := Command(plan, "true").Run(); err != nil {
			t.Error(err)
		}
		plan.Close()
	}
}
