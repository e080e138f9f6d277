//go:build containers

package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// hostname is that of all containers.
const hostname = "nsx-box"

// What the containers may use, where a runtime can limit it.
const (
	memoryLimit = 64 << 20
	pidsLimit   = 100
)

// boxMain is the first program of a container: two processes, so that it is not
// alone.
var boxMain = []string{"sh", "-c", "sleep " + lifetime + " & exec sleep " + lifetime}

// box is a running container, by its runtime's own answers.
type box struct {
	pid int // its first process, in this machine's PID namespace
	// pids asks the runtime for all of them; nil if it does not say. It is called when
	// the container has come to rest.
	pids func() []int
	// ns is the inode numbers of its namespaces, or nil.
	ns map[string]uint64
	// group is its cgroup in all hierarchies, or empty if it has none.
	group           string
	memory, pidsMax int64 // as the runtime says, 0 if it does not

	// name is a target that is the container, by its name or else by its ID.
	name string

	// exec is the runtime's way to run a command inside, or nil.
	exec []string
	// as is put before nsx to run it as another user.
	as []string
	// pause and unpause are the runtime's ways to do that, or nil.
	pause, unpause []string
	// owner is the runtime as nsx names it when it refuses to freeze its group, or
	// empty if nothing in the group's name tells.
	owner string
	// pauseHint is the owner's way to pause it, as nsx says it.
	pauseHint string
	// differs has what a command inside has otherwise than one of exec, with the
	// reason.
	differs map[string]string
	// varies has what a command of exec has once so and once otherwise, with what
	// one of nsx's has always.
	varies map[string]string
}

func (b *box) nsx(args ...string) []string {
	return append(append(append([]string{}, b.as...), nsxBinary), args...)
}

func (b *box) target() string { return strconv.Itoa(b.pid) }

// enter is nsx's way to run a command inside.
func (b *box) enter(args ...string) []string {
	flags := []string{"enter"}
	if b.as != nil {
		flags = append(flags, "--no-seccomp") // an ordinary user may not read filters
	}
	return b.nsx(append(append(flags, b.target(), "--"), args...)...)
}

// links reads the namespaces of a process as inode numbers.
func links(t *testing.T, pid int) map[string]uint64 {
	t.Helper()
	ns := make(map[string]uint64)
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		ns[name] = link(t, pid, name)
	}
	return ns
}

func link(t *testing.T, pid int, name string) uint64 {
	t.Helper()
	text, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns", name))
	if err != nil {
		t.Fatal(err)
	}
	_, number, _ := strings.Cut(strings.TrimSuffix(text, "]"), "[")
	inode, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return inode
}

// field reads a line of a status file such as "NSpid:	5151	7".
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// numbers reads PIDs, one a line, and leaves out a heading.
func numbers(text string) []int {
	var list []int
	for word := range strings.FieldsSeq(text) {
		if n, err := strconv.Atoi(word); err == nil {
			list = append(list, n)
		}
	}
	return list
}
