package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hook()
	// The roles of this package's own helper processes.
	switch os.Getenv("NSX_CGROUP_HELPER") {
	case "loop":
		for n := 0; ; n++ { // until it is killed
			_ = n
		}
	case "allocate":
		var all [][]byte
		for range 400 {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
		fmt.Println(len(all))
		os.Exit(0)
	case "fork":
		helperFork()
	case "devices":
		useDevices(os.Getenv("NSX_CGROUP_DIR"))
	case "sleep":
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(testkit.Main(m))
}

// helperFork starts children that live on until one cannot be started.
func helperFork() {
	for n := range 50 {
		cmd := exec.Command("/bin/sleep", "20")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			fmt.Println(n, errors.Is(err, unix.EAGAIN), err)
			os.Exit(0)
		}
	}
	os.Exit(1)
}

// helperCommand is this program in one of its roles, for a minute at most.
func helperCommand(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{"NSX_CGROUP_HELPER=" + role, "GOMAXPROCS=1"}
	return cmd
}

func openFS(t *testing.T) *FS {
	t.Helper()
	fs, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// needs skips the test unless the machine has the controllers, on v1 or v2.
func needs(t *testing.T, fs *FS, controllers ...string) {
	t.Helper()
	for _, c := range controllers {
		_, err := fs.Controller(c)
		testkit.Require(t, err == nil, "needs a controller: %v", err)
	}
}

var groupNumber atomic.Int32

// newGroup names a group of this test, and removes it afterwards with all that
// is in it.
func newGroup(t *testing.T, fs *FS) *Group {
	t.Helper()
	testkit.RequireRoot(t)
	g, err := fs.Group(fmt.Sprintf("/nsx-test-%d-%d", os.Getpid(), groupNumber.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	before := rootControllers(fs)
	t.Cleanup(func() {
		if exists(t, g) {
			g := g.Forced()
			if err := g.Kill(context.Background()); err != nil {
				t.Error(err)
			}
			if err := g.Remove(context.Background(), true); err != nil {
				t.Error(err)
			}
		}
		// What the test enabled for all; refused if others use it by now.
		for _, name := range rootControllers(fs) {
			if !slices.Contains(before, name) {
				_ = fs.v2().write("/", "cgroup.subtree_control", "-"+name)
			}
		}
	})
	return g
}

func rootControllers(fs *FS) []string {
	if fs.v2() == nil {
		return nil
	}
	text, _ := fs.v2().read("/", "cgroup.subtree_control")
	return strings.Fields(text)
}

// made is newGroup, created.
func made(t *testing.T, fs *FS, controllers ...string) *Group {
	t.Helper()
	g := newGroup(t, fs)
	create(t, g, controllers...)
	return g
}

func create(t *testing.T, g *Group, controllers ...string) {
	t.Helper()
	if _, err := g.Create(t.Context(), CreateOptions{Controllers: controllers}); err != nil {
		t.Fatal(err)
	}
}

func child(t *testing.T, g *Group, name string, controllers ...string) *Group {
	t.Helper()
	c, err := g.fs.Group(g.path + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	create(t, c, controllers...)
	return c
}

// set applies limits that must be taken.
func set(t *testing.T, g *Group, settings ...string) Report {
	t.Helper()
	report, err := trySet(t, g, settings...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func trySet(t *testing.T, g *Group, settings ...string) (Report, error) {
	t.Helper()
	var l Limits
	for _, word := range settings {
		s, err := keys.ParseSetting(word)
		if err != nil {
			t.Fatal(err)
		}
		l.Settings = append(l.Settings, s)
	}
	p, err := g.Plan(t.Context(), l, PlanOptions{})
	if err != nil {
		return Report{}, err
	}
	return p.Apply(t.Context())
}

func exists(t *testing.T, g *Group) bool {
	t.Helper()
	there, err := g.Exists()
	if err != nil {
		t.Error(err)
	}
	return there
}

func get(t *testing.T, g *Group, key string) string {
	t.Helper()
	v, err := g.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return v[0].Value
}

// refusedWith checks an error's errno, and that it names the evidence.
func refusedWith(t *testing.T, err error, errno unix.Errno, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s", unix.ErrnoName(errno))
	}
	if !errors.Is(err, errno) {
		t.Errorf("error is not %s: %v", unix.ErrnoName(errno), err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %q", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error does not say %q: %v", word, err)
		}
	}
	if !slices.ContainsFunc(reasons, func(r error) bool { return errors.Is(err, r) }) {
		t.Errorf("error has no reason: %v", err)
	}
	t.Log(err)
}

// reasons are those that a refusal may have.
var reasons = []error{
	ErrUsage, ErrGone, ErrAmbiguous, ErrOutside, ErrOwned, ErrWouldKill, ErrKernelThread, ErrThread, ErrBusy,
	ErrPermission, ErrNotEnabled, ErrUnsupported, ErrNoLimit, ErrValue, ErrLimit,
}

// refusedFor checks the reason too.
func refusedFor(t *testing.T, err error, errno unix.Errno, reason error, words ...string) {
	t.Helper()
	refusedWith(t, err, errno, words...)
	if !errors.Is(err, reason) {
		t.Errorf("the reason is not %q: %v", reason, err)
	}
}

// thaws checks that an error says to thaw a group.
func thaws(t *testing.T, err error, group string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, ErrFrozen) || e.Remedy == nil || e.Remedy.Verb != VerbThaw || e.Remedy.Group != group {
		t.Errorf("%v: it does not say that %s is to be thawed", err, group)
	}
}

// helps checks the remedy of an error, and what is in it.
func helps(t *testing.T, err error, verb Verb, group, what string) {
	t.Helper()
	e, _ := errors.AsType[*Error](err)
	if e == nil || e.Remedy == nil || e.Remedy.Verb != verb || e.Remedy.Group != group || !strings.Contains(fmt.Sprint(e.Remedy.Controllers, e.Remedy.Settings), what) {
		t.Errorf("the remedy of %v is not to %s %s %s: %+v", err, verb, group, what, e.Remedy)
	}
}

// sleeper is a process outside of the test's groups.
func sleeper(t *testing.T) *testkit.Proc {
	t.Helper()
	return testkit.Start(t, testkit.Config{})
}

func membershipIn(t *testing.T, fs *FS, pid int, h Hierarchy) string {
	t.Helper()
	m, ok := fs.memberOf(pid, &h)
	if !ok {
		t.Fatalf("%d is not in %s", pid, h)
	}
	return m.Path
}

// rawWrite is what another program does behind our back.
func rawWrite(t *testing.T, h Hierarchy, g *Group, file, value string) {
	t.Helper()
	if err := os.WriteFile(h.Dir(g.path)+"/"+file, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func v2Of(t *testing.T, fs *FS) Hierarchy {
	t.Helper()
	testkit.RequireCgroup2(t)
	return *fs.v2()
}

func hierarchyOf(t *testing.T, fs *FS, controller string) Hierarchy {
	t.Helper()
	h, err := fs.Controller(controller)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pidString(pid int) string { return strconv.Itoa(pid) }
