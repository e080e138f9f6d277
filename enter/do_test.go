package enter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/testkit"
)

// In fn, the thread is in the namespace that was asked for and in no other one
// but its own, as the kernel shows it.
func TestDoJoins(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, names(joinable)...)
	testkit.CheckLeaks(t)
	p := testkit.Start(t, testkit.Config{New: names(joinable)})
	own := map[inspect.Type]uint64{}
	for _, typ := range joinable {
		inode, err := threadNS(typ)
		if err != nil {
			t.Fatal(err)
		}
		own[typ] = inode
	}
	check := func(joined ...inspect.Type) {
		t.Helper()
		plan := planFor(t, strconv.Itoa(p.PID), joined...)
		err := Do(bg, plan, func() error {
			for _, typ := range joinable {
				want := own[typ]
				if slices.Contains(joined, typ) {
					want = p.NS(typ.String())
				}
				got, err := threadNS(typ)
				if err != nil {
					return err
				}
				if got != want {
					return fmt.Errorf("joined %v: in %s:[%d], want [%d]", joined, typ, got, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, typ := range joinable {
		check(typ)
	}
	check(joinable...)
}

func TestDoReturnsTheErrorOfFn(t *testing.T) {
	want := errors.New("mine")
	if err := Do(bg, planFor(t, "self"), func() error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// runtime.Goexit (which t.FailNow calls) must not leave the caller waiting.
func TestDoGoexit(t *testing.T) {
	testkit.CheckLeaks(t)
	err := Do(bg, planFor(t, "self"), func() error { runtime.Goexit(); return nil })
	if !errors.Is(err, errGoexit) {
		t.Errorf("got %v", err)
	}
}

// What is started in fn is not inside.
func TestGoroutinesOfFnStayOutside(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	p := testkit.Start(t, testkit.Config{New: []string{"net"}})
	own, err := testkit.OwnNS("net")
	if err != nil {
		t.Fatal(err)
	}
	err = Do(bg, planFor(t, strconv.Itoa(p.PID), inspect.Net), func() error {
		for range 50 {
			got := make(chan uint64)
			go func() {
				runtime.LockOSThread() // another one than fn's, which is ours
				defer runtime.UnlockOSThread()
				inode, _ := threadNS(inspect.Net)
				got <- inode
			}()
			if inode := <-got; inode != own {
				return fmt.Errorf("a goroutine is in net:[%d]", inode)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The other threads, the process's root and its working directory stay where
// they were, while fn runs and after.
func TestDoLeavesTheProcessAlone(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, names(joinable)...)
	p := testkit.Start(t, testkit.Config{New: names(joinable)})
	plan := planFor(t, strconv.Itoa(p.PID), joinable...)
	where := func() string {
		root, _ := os.Readlink("/proc/self/root")
		cwd, _ := os.Readlink("/proc/self/cwd")
		return root + " " + cwd
	}
	before := where()
	inside := 0
	if err := Do(bg, plan, func() error {
		inside = unix.Gettid()
		for _, tid := range threads(t) {
			if tid != inside {
				checkOutside(t, tid)
			}
		}
		return unix.Chdir("/")
	}); err != nil {
		t.Fatal(err)
	}
	// Threads end a little after their goroutines.
	for deadline := time.Now().Add(5 * time.Second); slices.Contains(threads(t), inside); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("thread %d is still there", inside)
		}
	}
	for _, tid := range threads(t) {
		checkOutside(t, tid)
	}
	if after := where(); after != before {
		t.Errorf("root and cwd are %q, were %q", after, before)
	}
}

func threads(t testing.TB) []int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	var tids []int
	for _, e := range entries {
		tid, _ := strconv.Atoi(e.Name())
		tids = append(tids, tid)
	}
	return tids
}

// checkOutside fails the test if a thread of ours is not in our parent's
// namespaces, where we were started.
func checkOutside(t testing.TB, tid int) {
	t.Helper()
	for _, typ := range joinable {
		name := "/ns/" + typ.String()
		want, err := testkit.ReadNS("/proc/" + strconv.Itoa(os.Getppid()) + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := testkit.ReadNS("/proc/self/task/" + strconv.Itoa(tid) + name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			return // it has ended
		}
		if err != nil || got != want {
			t.Errorf("thread %d is in %s:[%d] (%v), want [%d]", tid, typ, got, err, want)
		}
	}
}

// Do from the process's first thread: it must not be the one that moves, since
// it cannot end without the process, and /proc/self shows what it is in.
func TestDoFromTheMainThread(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"mnt", "net"}})
	out, err := playPart("main-thread", strconv.Itoa(p.PID)).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func playMainThread(args []string) int {
	complain := func(format string, a ...any) int { fmt.Printf(format+"\n", a...); return 1 }
	if unix.Gettid() != unix.Getpid() {
		return complain("this is not the first thread")
	}
	plan, err := planOf(args[0])
	if err != nil {
		return complain("%v", err)
	}
	defer plan.Close()
	before, _ := testkit.OwnNS("net")
	for range 20 {
		err := Do(bg, plan, func() error {
			if unix.Gettid() == unix.Getpid() {
				return errors.New("fn runs on the first thread")
			}
			return nil
		})
		if err != nil {
			return complain("%v", err)
		}
	}
	// The same when the first thread is free, and any goroutine may get it.
	runtime.UnlockOSThread()
	for range 100 {
		err := Do(bg, plan, func() error {
			if unix.Gettid() == unix.Getpid() {
				return errors.New("fn runs on the first thread, which was free")
			}
			return nil
		})
		if err != nil {
			return complain("%v", err)
		}
	}
	if after, _ := testkit.OwnNS("net"); after != before {
		return complain("the process is in net:[%d] now, not [%d]", after, before)
	}
	return 0
}

// planOf is planFor without a test.
func planOf(word string) (*Plan, error) {
	target, err := inspect.Resolve(bg, word)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	return NewPlan(bg, AllOf(target), Options{})
}

// playPart is a command that plays one of the parts.
func playPart(name string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), partEnv+"="+name)
	return cmd
}

// Threads that moved end. Many calls leave no descriptors, no goroutines and
// no more threads than a few.
func TestDoManyTimes(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, names(joinable)...)
	testkit.CheckLeaks(t)
	p := testkit.Start(t, testkit.Config{New: names(joinable)})
	plan := planFor(t, strconv.Itoa(p.PID), joinable...)
	before := 0
	for i := range 200 {
		if i == 20 {
			before = testkit.Threads()
		}
		if err := Do(bg, plan, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if after := testkit.Threads(); after > before+10 {
		t.Errorf("%d threads after 20 calls, %d after 200", before, after)
	}
}

// A plan that asks for the impossible runs nothing.
func TestDoThreadError(t *testing.T) {
	testkit.RequireNS(t, "user", "time")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "time", "net"}})
	for _, c := range []struct {
		typ  inspect.Type
		want unix.Errno
	}{{inspect.User, unix.EINVAL}, {inspect.Time, unix.EUSERS}} {
		err := Do(bg, planFor(t, strconv.Itoa(p.PID), c.typ, inspect.Net), func() error {
			t.Errorf("%s: fn was called", c.typ)
			return nil
		})
		var thread *ThreadError
		if !errors.As(err, &thread) || thread.ID != (inspect.ID{Type: c.typ, Inode: p.NS(c.typ.String())}) {
			t.Errorf("%s: got %v", c.typ, err)
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), unix.ErrnoName(c.want)) {
			t.Errorf("%s: %v is not %v", c.typ, err, c.want)
		}
	}
}

// The error says who owns the namespace and keeps the errno, and fn does not
// run when one of several cannot be joined.
func TestDoRefused(t *testing.T) {
	testkit.RequireUser(t)
	testkit.RequireNS(t, "user", "net", "uts")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "net", "uts"}})
	err := Do(bg, planFor(t, strconv.Itoa(p.PID), inspect.Net, inspect.UTS), func() error {
		t.Error("fn was called")
		return nil
	})
	var explained *Error
	if !errors.Is(err, unix.EPERM) || !errors.As(err, &explained) {
		t.Errorf("got %v", err)
	}
	owner := fmt.Sprintf("owned by user:[%d] of uid %d", p.NS("user"), os.Geteuid())
	if err != nil && !strings.Contains(err.Error(), owner) {
		t.Errorf("%q does not say %q", err, owner)
	}
}

// A PID namespace above one's own cannot be joined, and the kernel's EINVAL
// does not say so.
func TestDoAncestor(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "pid")
	cmd := playPart("ancestor", fmt.Sprintf("/proc/%d/ns/pid", os.Getpid()))
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func playAncestor(args []string) int {
	plan, err := planOf(args[0])
	if err == nil {
		defer plan.Close()
		err = Do(bg, plan, func() error { return nil })
	}
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "below one's own") {
		fmt.Println("got", err)
		return 1
	}
	return 0
}

// playShowRoot lists the root directory.
func playShowRoot([]string) int {
	entries, err := os.ReadDir("/")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, e := range entries {
		fmt.Println(filepath.Join("/", e.Name()))
	}
	return 0
}
