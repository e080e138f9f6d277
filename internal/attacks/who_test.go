package attacks

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loot is what a command can get at inside.
type loot struct {
	Status             string
	UserNS             string
	Opened             []string // files of its arguments that could be opened, to be closed again
	Key                string
	Environment        []string
	Descriptors        map[int]string // from 3 on
	Stdin              string
	PID, Session       int
	Terminal           bool
	Cgroup             string
	MayMount, MayTrace bool
}

// playWho looks around and tells. Its arguments are files, with "w:" before those
// to be opened for writing and "b:" before block devices to be made, as
// MAJOR:MINOR, or processes, which "k:" could kill and "p:" could trace.
func playWho(args []string) int {
	l := loot{Environment: os.Environ(), Descriptors: map[int]string{}, PID: os.Getpid()}
	status, _ := os.ReadFile("/proc/self/status")
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	l.Status, l.Cgroup = string(status), string(cgroup)
	l.UserNS, _ = os.Readlink("/proc/self/ns/user")
	l.Stdin, _ = os.Readlink("/proc/self/fd/0")
	l.Session, _ = unix.Getsid(0)
	if fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err == nil {
		l.Terminal = true
		unix.Close(fd)
	}
	for fd := 3; fd < 64; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			l.Descriptors[fd], _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		}
	}
	for _, word := range args {
		if tryOpen(word) {
			l.Opened = append(l.Opened, word)
		}
	}
	if key, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", secretKey, 0); err == nil {
		value := make([]byte, 100)
		if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, key, value, 0); err == nil {
			l.Key = string(value[:n])
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
		return 1
	}
	return 0
}

func tryOpen(word string) bool {
	flags, path := unix.O_RDONLY, word
	if rest, ok := strings.CutPrefix(word, "w:"); ok {
		flags, path = unix.O_WRONLY, rest
	}
	if rest, ok := strings.CutPrefix(word, "k:"); ok {
		pid, _ := strconv.Atoi(rest)
		return unix.Kill(pid, 0) == nil
	}
	if rest, ok := strings.CutPrefix(word, "p:"); ok {
		pid, _ := strconv.Atoi(rest)
		return unix.PtraceSeize(pid) == nil // and lets go when we end
	}
	if rest, ok := strings.CutPrefix(word, "b:"); ok {
		var major, minor uint32
		if _, err := fmt.Sscanf(rest, "%d:%d", &major, &minor); err != nil {
			return false
		}
		path = "/tmp/nsx-attacks-device." + strconv.Itoa(os.Getpid())
		if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
			return false
		}
		defer os.Remove(path)
	}
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// corePattern is what only root of the machine may open for writing.
const corePattern = "w:/proc/sys/kernel/core_pattern"

// rob enters a target and reports what a command could get there.
func (e entrant) rob(t testing.TB, pid int, flags []string, files ...string) (loot, outcome) {
	t.Helper()
	files = append([]string{program("who"), secretUser, secretRoot, corePattern}, files...)
	o := e.enter(t, pid, flags, files...)
	var l loot
	if o.status == 0 {
		if err := json.Unmarshal([]byte(o.stdout), &l); err != nil {
			t.Fatalf("%v: %v", err, o)
		}
	}
	return l, o
}

// taken is what of the caller's it got.
func (l loot) taken() string {
	var list []string
	for _, file := range l.Opened {
		list = append(list, "opened "+file)
	}
	if groups := field(l.Status, "Groups"); groups != "" && l.PID != 0 && slices.ContainsFunc(strings.Fields(groups), func(g string) bool { return g == "0" || g == "4" || g == "6" }) {
		list = append(list, "is in groups "+groups)
	}
	return strings.Join(list, ", ")
}
