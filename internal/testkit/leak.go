package testkit

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// CheckLeaks fails the test if, when it ends, it has left descriptors,
// goroutines or child processes behind. Call it first, so that all clean-up
// runs before the check. It is not for parallel tests, which would see each
// other's.
func CheckLeaks(t testing.TB) {
	t.Helper()
	before := takeSnapshot()
	t.Cleanup(func() {
		for _, leak := range before.leaks() {
			t.Errorf("left behind: %s", leak)
		}
	})
}

// Threads is how many operating system threads the process has. Go keeps
// threads for later, so only growth over many rounds of the same work tells
// of a leak.
func Threads() int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	return len(entries)
}

// snapshot is what a process owns that outlives a function.
type snapshot struct {
	fds        map[string]string // number → target
	goroutines map[string]string // id → stack
	children   []int
}

func takeSnapshot() snapshot {
	return snapshot{openFiles(), goroutines(), Children()}
}

// leaks describes what is there now and was not there before. What is about
// to go gets four seconds for it, from when nothing was left that is given up on
// purpose: that ends when somebody else's process does, such as one that a test
// of another package has sleep in the kernel.
func (before snapshot) leaks() []string {
	const patience = 4 * time.Second
	last, deadline := time.Now().Add(Lifetime/5), time.Now().Add(patience)
	for ; ; time.Sleep(5 * time.Millisecond) {
		leaks := before.added(takeSnapshot())
		now := time.Now()
		if len(leaks) == 0 || now.After(deadline) || now.After(last) {
			return leaks
		}
		if slices.ContainsFunc(leaks, isGivenUp) {
			deadline = now.Add(patience)
		}
	}
}

// isGivenUp says that a leak is the stack of a goroutine that was left behind in a
// system call because it took too long, with the descriptors that it uses.
func isGivenUp(leak string) bool {
	return strings.Contains(leak, "[syscall") &&
		strings.Contains(leak, "/proc.Guarded.")
}

func (before snapshot) added(now snapshot) []string {
	var leaks []string
	for fd, target := range now.fds {
		if before.fds[fd] != target {
			leaks = append(leaks, fmt.Sprintf("descriptor %s: %s", fd, target))
		}
	}
	for id, stack := range now.goroutines {
		if _, ok := before.goroutines[id]; !ok {
			leaks = append(leaks, stack)
		}
	}
	for _, pid := range now.children {
		if !slices.Contains(before.children, pid) {
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			state, _ := stateOf(fmt.Sprintf("/proc/%d/stat", pid))
			leaks = append(leaks, fmt.Sprintf("child process %d %q in state %c", pid, strings.TrimSpace(string(comm)), state))
		}
	}
	slices.Sort(leaks)
	return leaks
}

// openFiles is our descriptors without those of Go's poller, which come with the
// first wait and stay.
func openFiles() map[string]string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	files := make(map[string]string)
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" {
			continue // an error: the descriptor of the listing itself
		}
		files[e.Name()] = target
	}
	return files
}

// foreverGoroutines are started once and stay, by design.
var foreverGoroutines = []string{
	"/internal/testkit.spawnerLoop",
	"os/signal.loop",
	"os/signal.signal_recv",
	"runtime.ensureSigM",
}

// goroutines is the stacks of all goroutines except the calling one.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		// Each starts "goroutine 7 [chan receive]:"; the first is the caller's.
		words := strings.SplitN(stack, " ", 3)
		forever := slices.ContainsFunc(foreverGoroutines, func(name string) bool {
			return strings.Contains(stack, name+"(")
		})
		if i > 0 && len(words) == 3 && !forever {
			all[words[1]] = stack
		}
	}
	return all
}

// Children is the PIDs of our child processes, dead ones that nobody has
// waited for included.
func Children() []int {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	if errors.Is(err, unix.ECHILD) {
		return nil // the usual case, without a look at all processes
	}
	self, err := ownPID()
	if err != nil {
		return nil
	}
	var pids []int
	for _, pid := range allPIDs() {
		if ppid, err := parentOf(pid); err == nil && ppid == self {
			pids = append(pids, pid)
		}
	}
	return pids
}

// allPIDs lists /proc.
func allPIDs() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf reads the fourth field of /proc/PID/stat.
func parentOf(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := cutLast(string(data), ")")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/stat: malformed", pid)
	}
	return strconv.Atoi(fields[1])
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
