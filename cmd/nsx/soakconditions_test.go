package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/enter"
	"nsx/inspect"
	"nsx/internal/testkit"
)

var soakConditions = []soakCondition{
	{"fork storm", nil, forkStorm},
	{"vanishing targets", nil, vanishing},
	{"vanishing in a storm", nil, func(v *visit) func() { testkit.ForkStorm(v.T); return vanishing(v) }},
	{"groups removed", testkit.RequireRoot, removedGroups},
	{"few descriptors", nil, fewDescriptors},
	{"few processes", nil, fewProcesses},
	{"full PID table", ownPIDTable, fullPIDTable},
	{"little memory", memoryLimit, littleMemory},
	{"frozen target", testkit.RequireRoot, frozenTarget},
	{"stopped target", nil, stoppedTarget},
	{"target in state D", func(t testing.TB) { testkit.RequireStuck(t, stuckConfig()) }, stuckTarget},
}

// soakTypes is what the targets have of their own.
var soakTypes = testkit.AllNS

func forkStorm(v *visit) func() {
	testkit.ForkStorm(v.T)
	p := testkit.Start(v, testkit.Config{New: soakTypes})
	return func() { v.work(p) }
}

func stoppedTarget(v *visit) func() {
	p := testkit.Start(v, testkit.Config{New: soakTypes, Mode: testkit.Stopped})
	return func() { v.work(p) }
}

func stuckTarget(v *visit) func() {
	p := testkit.RequireStuck(v, stuckConfig())
	v.own = true // who reads its environment waits for it
	return func() { v.work(p) }
}

func stuckConfig() testkit.Config {
	if ordinaryUser() {
		return testkit.Config{New: []string{"user", "uts", "net"}}
	}
	return testkit.Config{New: []string{"uts", "net"}}
}

// ordinaryUser says that there are no groups for us, and no namespace without a
// user namespace of our own.
func ordinaryUser() bool { return os.Geteuid() != 0 }

// vanishing has a target killed at any time on the way into it, and the next one
// take its place.
func vanishing(v *visit) func() {
	took := 20 * time.Millisecond
	return func() {
		p, err := testkit.TryStart(testkit.Config{New: soakTypes})
		if err != nil {
			v.Fatal(err)
		}
		uts, err := testkit.ReadNS(p.Path("ns", "uts"))
		if err != nil {
			v.Fatal(err)
		}
		killed := make(chan struct{})
		time.AfterFunc(rand.N(took), func() { defer close(killed); p.Kill() })
		start := time.Now()
		if v.Rounds%8 == 7 {
			v.vanishingProgram(p.PID, uts)
		} else if err := v.enter(p.PID, uts); err != nil {
			v.refused(v.whyGone("entering a target that vanishes", err))
		} else {
			took = (3*took + time.Since(start)) / 4
		}
		v.scan()
		<-killed
		if err := v.enter(p.PID, uts); err == nil || !errors.Is(err, inspect.ErrGone) && !errors.Is(err, unix.ESRCH) && !anotherIs(p.PID) {
			v.Fatalf("process %d is gone, but entering it: %v", p.PID, err)
		}
	}
}

// anotherIs says that there is a process of that number, or thread: after some
// thousand forks, its turn has come again.
func anotherIs(pid int) bool { return exists(fmt.Sprintf("/proc/%d", pid)) }

// hasEnded is what the command's PID namespace has, if it never began.
const hasEnded = "its PID namespace has ended"

var goneSaid = regexp.MustCompile("ESRCH|ENOENT|not found|no process|lost its init|" + hasEnded)

// whyGone is what became of a command, or of the way to it, when the target was
// killed: it was not found, or its PID namespace ended and with it all inside.
func (v *visit) whyGone(doing string, err error) string {
	if exit, ok := errors.AsType[*enter.ExitError](err); ok {
		if exit.ShellStatus() != 128+int(unix.SIGKILL) {
			v.Fatalf("%s: %v", doing, err)
		}
		return "killed inside"
	}
	if strings.Contains(err.Error(), hasEnded) {
		return "killed before"
	}
	if errors.Is(err, inspect.ErrGone) {
		return "gone"
	}
	return v.errnoOf(doing, err, unix.ESRCH, unix.ENOENT, unix.ENOMEM)
}

func (v *visit) vanishingProgram(pid int, uts uint64) {
	v.Entries++
	s := v.nsx(append([]string{"enter", strconv.Itoa(pid), "--"}, inside(uts)...)...)
	switch {
	case s.status == 7:
	case s.status == 128+int(unix.SIGKILL) && s.err == "":
		v.refused("killed inside")
	case s.status == exitOwn && goneSaid.MatchString(s.err):
		v.refused("gone")
	default:
		v.Fatalf("nsx enter of a target that vanishes: %s", s)
	}
}

// fewDescriptors has nsx, and this program, find no descriptor left at any step.
func fewDescriptors(v *visit) func() {
	p := testkit.Start(v, testkit.Config{New: soakTypes})
	uts := p.NS("uts")
	enterIt := append([]string{"enter", strconv.Itoa(p.PID), "--"}, inside(uts)...)
	return func() {
		n := 3 + v.Rounds%22
		for _, args := range [][]string{{"ls", "--all"}, {"ps"}, enterIt, {"run", "-U", "true"}} {
			v.count(args)
			cmd := exec.Command("sh", append([]string{"-c", `ulimit -n $1; shift; exec nsx "$@"`, "sh", strconv.Itoa(n)}, args...)...)
			s := v.program(cmd)
			switch {
			case strings.Contains(s.err, "error while loading shared libraries"):
				v.refused("no descriptor to load it") // test binaries need some
			case strings.Contains(s.err, "EMFILE") && nsxSaid.MatchString(s.err):
				v.refused("EMFILE")
			case args[0] == "enter" && s.status != 7 || args[0] != "enter" && s.status != 0:
				v.Fatalf("nsx %q with %d descriptors: %s", args, n, s)
			}
		}
		v.withDescriptors(n, func() {
			v.Scans++
			s, err := inspect.Scan(v.Context(), soakScans[v.Rounds%len(soakScans)])
			if err == nil && !s.Complete || errors.Is(err, unix.EMFILE) {
				v.refused("EMFILE")
			} else if err != nil {
				v.Fatalf("scan with %d descriptors: %v", n, err)
			}
			if err := v.enter(p.PID, uts); err != nil && !diedOfDescriptors(err) {
				v.refused(v.errnoOf("entering", err, unix.EMFILE))
			}
		})
	}
}

// diedOfDescriptors: it was the command that found none.
func diedOfDescriptors(err error) bool {
	_, ok := errors.AsType[*enter.ExitError](err)
	return ok
}

// withDescriptors runs f when only n more descriptors can be opened.
func (v *visit) withDescriptors(n int, f func()) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		v.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		v.Fatal(err)
	}
	highest := 0
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		highest = max(highest, fd)
	}
	few := unix.Rlimit{Cur: uint64(highest + n), Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		v.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			v.Fatal(err)
		}
	}()
	f()
}

func (v *visit) count(args []string) {
	if args[0] == "ls" || args[0] == "ps" {
		v.Scans++
	} else {
		v.Entries++
	}
}

// noThread is the end of a Go program that finds no room for a thread, which it
// cannot prevent: newosproc in runtime/os_linux.go, and its like in runtime/cgo,
// where two threads may say so at once, in pieces.
var noThread = regexp.MustCompile("failed to create new OS thread|pthread_create failed")

// crowded runs nsx where there is room for few processes.
func (v *visit) crowded(cmd *exec.Cmd, args []string) {
	v.count(args)
	s := v.program(cmd)
	switch {
	case noThread.MatchString(s.err):
		v.refused("no thread for Go")
	case strings.Contains(s.err, "a limit on processes is reached"), strings.Contains(s.err, "starting threads: resource temporarily unavailable: "):
		v.refused("EAGAIN")
	case strings.Contains(s.err, "sh: ") || strings.Contains(s.err, "fork"):
		v.refused("no process for sh")
	case s.status != 0 || s.err != "" && !nsxSaid.MatchString(s.err):
		v.Fatalf("%s: %s", args, s)
	}
}

// crowdedWork is what nsx does there, in turn.
func (v *visit) crowdedWork() []string {
	types := "-n"
	if ordinaryUser() {
		types = "-Un"
	}
	works := [][]string{{"ls", "--no-headers", "-o", "name"}, {"enter", "self", "true"}, {"run", types, "true"}, {"run", types + "p", "true"}}
	return works[v.Rounds%len(works)]
}

// fewProcesses has a cgroup allow nsx few processes or threads; or, for an
// ordinary user, RLIMIT_NPROC, which counts in each user namespace anew.
func fewProcesses(v *visit) func() {
	few := func() int { return 1 + rand.IntN(14) }
	if ordinaryUser() {
		return func() {
			args := v.crowdedWork()
			v.crowded(exec.Command("unshare", append([]string{"-r", "prlimit", fmt.Sprintf("--nproc=%d", few()), "nsx"}, args...)...), args)
		}
	}
	v.Cleanup(func() { removeSoakGroups(v.T) })
	group := v.group("pids")
	return func() {
		args := v.crowdedWork()
		if err := v.limit(group.Group, int64(few())); err != nil {
			v.Fatal(err)
		}
		v.crowded(group.command("nsx", args...), args)
	}
}

// ownPIDTable: before Linux 6.14 pid_max is the machine's.
func ownPIDTable(t testing.TB) { testkit.RequireKernel(t, 6, 14) }

// fullPIDTable has nsx run as the init of a PID namespace of 300 processes, all
// but a few of which are there: kernel.pid_max is the namespace's own.
func fullPIDTable(v *visit) func() {
	const script = `
test $$ = 1 && echo 301 > /proc/sys/kernel/pid_max || exit 9
mkfifo "$0" && exec 3<> "$0" && rm "$0" || exit 9
n=$1; shift
while [ $n -gt 0 ]; do read x <&3 & n=$((n-1)); done
exec nsx "$@" 3<&-`
	fifo := filepath.Join(v.TempDir(), "fifo")
	before := pidMax(v)
	v.Cleanup(func() {
		if now := pidMax(v); now != before {
			v.Errorf("the machine's pid_max was %s and is %s", before, now)
		}
	})
	flags := "-mpf"
	if ordinaryUser() {
		flags = "-rmpf"
	}
	return func() {
		args := v.crowdedWork()
		cmd := exec.Command("unshare", append([]string{flags, "--kill-child", "--mount-proc", "sh", "-c", script, fifo, strconv.Itoa(285 + rand.IntN(15))}, args...)...)
		v.crowded(cmd, args)
	}
}

func pidMax(v *visit) string {
	data, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		v.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// memoryLimit asks for the limit on memory that littleMemory sets.
func memoryLimit(t testing.TB) {
	if ordinaryUser() {
		return
	}
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err == nil {
		_, err = fs.Controller("memory")
	}
	testkit.Require(t, err == nil, "needs a controller: %v", err)
}

// littleMemory has the kernel refuse nsx memory, or kill it, at any step: by a
// cgroup's limit or, for an ordinary user, by RLIMIT_DATA.
func littleMemory(v *visit) func() {
	p := testkit.Start(v, testkit.Config{New: soakTypes})
	enterIt := append([]string{"enter", strconv.Itoa(p.PID), "--"}, inside(p.NS("uts"))...)
	works := [][]string{{"ls", "--all"}, {"ps"}, enterIt, {"run", "-Un", "true"}}
	limited := func(args []string) *exec.Cmd {
		return exec.Command("prlimit", append([]string{fmt.Sprintf("--data=%d", (60+rand.IntN(90))<<20), "nsx"}, args...)...)
	}
	if !ordinaryUser() {
		v.Cleanup(func() { removeSoakGroups(v.T) })
		group := v.group("memory")
		limited = func(args []string) *exec.Cmd {
			if err := group.limitMemory(int64(1+rand.IntN(60)) << 18); err != nil {
				v.Fatal(err)
			}
			return group.command("nsx", args...)
		}
	}
	return func() {
		args := works[v.Rounds%len(works)]
		v.count(args)
		s := v.program(limited(args))
		v.reapInside(p)
		switch {
		case s.status == -1, s.status == 128+int(unix.SIGKILL):
			v.refused("killed")
		case strings.Contains(s.err, "ENOMEM"), strings.Contains(s.err, "annot allocate memory"), strings.Contains(s.err, "out of memory"):
			v.refused("ENOMEM")
		case strings.Contains(s.err, "killed"):
			v.refused("helper killed")
		case noThread.MatchString(s.err):
			v.refused("no thread for Go")
		case args[0] == "enter" && s.status == 7, args[0] != "enter" && s.status == 0:
		default:
			v.Fatalf("nsx %q with little memory: %s", args, s)
		}
	}
}

// frozenTarget is in a frozen group, which nsx must not go into.
func frozenTarget(v *visit) func() {
	v.Cleanup(func() { removeSoakGroups(v.T) })
	p := testkit.Start(v, testkit.Config{New: soakTypes})
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		v.Fatal(err)
	}
	// Not among those of groupWork, which are removed meanwhile.
	group, err := fs.Group(soakGroup() + "-frozen")
	if err == nil {
		_, err = group.Create(context.Background(), cgroupfs.CreateOptions{Controllers: []string{"freezer"}})
	}
	if err == nil {
		err = group.Attach(context.Background(), p.PID)
	}
	if err == nil {
		err = group.Freeze(v.Context())
	}
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() {
		ctx := context.WithoutCancel(v.Context()) // which has ended by now
		_ = group.Thaw(ctx)
		p.Kill()
		if err := group.Remove(ctx, true); err != nil {
			v.Error(err)
		}
	})
	v.own = true
	return func() {
		v.work(p)
		s := v.nsx("enter", strconv.Itoa(p.PID), "--", "true")
		if s.status != exitOwn || !strings.Contains(s.err, "frozen") {
			v.Fatalf("nsx enter of a target in a frozen group: %s", s)
		}
		v.refused("frozen group")
	}
}
