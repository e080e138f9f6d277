package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// withUser is the types plus what an ordinary user needs to create them.
func withUser(types ...string) []string {
	if os.Geteuid() != 0 && !slices.Contains(types, "user") {
		types = append(types, "user")
	}
	return types
}

func ownNS(t *testing.T, name string) uint64 {
	t.Helper()
	inode, err := OwnNS(name)
	if err != nil {
		t.Fatal(err)
	}
	return inode
}

// read is a file of the fixture's.
func read(t *testing.T, p *Proc, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(p.Path(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// nobodyIn fails the test if a process or thread is in the namespace.
func nobodyIn(t *testing.T, name string, inode uint64) {
	t.Helper()
	want := fmt.Sprintf("%s:[%d]", name, inode)
	links, _ := filepath.Glob("/proc/[0-9]*/task/*/ns/" + name)
	for _, link := range links {
		if got, err := os.Readlink(link); err == nil && got == want {
			t.Errorf("%s is in %s", link, want)
		}
	}
}

func TestEveryTypeIsNew(t *testing.T) {
	CheckLeaks(t)
	for _, name := range AllNS {
		t.Run(name, func(t *testing.T) {
			types := withUser(name)
			RequireNS(t, types...)
			p := Start(t, Config{New: types})
			for _, other := range AllNS {
				isNew := p.NS(other) != ownNS(t, other)
				if want := slices.Contains(types, other); isNew != want {
					t.Errorf("%s is new: %v, want %v", other, isNew, want)
				}
			}
		})
	}
}

func TestAllTypesAtOnce(t *testing.T) {
	CheckLeaks(t)
	RequireNS(t, AllNS...)
	p := Start(t, Config{New: AllNS})
	for name, inode := range p.AllNS() {
		if inode == ownNS(t, name) {
			t.Errorf("%s is not new", name)
		}
	}
	want := "0 " + strconv.Itoa(os.Geteuid()) + " 1"
	if os.Geteuid() == 0 {
		want = "0 0 65536"
	}
	if got := strings.Join(strings.Fields(read(t, p, "uid_map")), " "); got != want {
		t.Errorf("uid_map %q, want %q", got, want)
	}
	if n := len(p.TIDs()); n > 8 {
		t.Errorf("%d threads", n)
	}
}

func TestNameAndArguments(t *testing.T) {
	CheckLeaks(t)
	p := Start(t, Config{Comm: "a)\x1b[31m\n\xff b (", Args: []string{"weird\x1bname", "", "two\nlines", "\xff"}})
	if got, want := read(t, p, "comm"), "a)\x1b[31m\n\xff b (\n"; got != want {
		t.Errorf("comm %q, want %q", got, want)
	}
	if got, want := read(t, p, "cmdline"), "weird\x1bname\x00\x00two\nlines\x00\xff\x00"; got != want {
		t.Errorf("cmdline %q, want %q", got, want)
	}
}

func TestOrdinaryUser(t *testing.T) {
	RequireRoot(t)
	CheckLeaks(t)
	p := Start(t, Config{UID: 65534})
	if got := read(t, p, "status"); !strings.Contains(got, "Uid:\t65534\t65534\t65534\t65534\n") {
		t.Errorf("status: %s", got)
	}
	// The owner of a user namespace is the effective uid of its creator.
	const nsGetOwnerUID = 0xb704 // _IO(NSIO, 0x4) in linux/nsfs.h
	p = Start(t, Config{UID: 65534, New: []string{"user", "net"}})
	f, err := os.Open(p.Path("ns", "user"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	uid, err := unix.IoctlGetUint32(int(f.Fd()), nsGetOwnerUID)
	if err != nil || uid != 65534 {
		t.Errorf("owner %d, %v", uid, err)
	}
}

func TestNested(t *testing.T) {
	CheckLeaks(t)
	types := withUser("user", "pid")
	RequireNS(t, types...)
	p := Start(t, Config{New: types, Depth: 3})
	if len(p.Levels) != 3 || p.Levels[2] != p.PID {
		t.Fatalf("levels %v, PID %d", p.Levels, p.PID)
	}
	status := read(t, p, "status") // once: lines above it change in length
	line, _, _ := strings.Cut(status[strings.Index(status, "NSpid:"):], "\n")
	pids := strings.Fields(line)[1:]
	if len(pids) < 4 || !slices.Equal(pids[len(pids)-1:], []string{"1"}) {
		t.Errorf("%s: want at least four levels, the last 1", line)
	}
	seen := map[uint64]bool{}
	for _, pid := range p.Levels {
		inode, err := ReadNS(fmt.Sprintf("/proc/%d/ns/user", pid))
		if err != nil {
			t.Fatal(err)
		}
		seen[inode] = true
	}
	if len(seen) != 3 {
		t.Errorf("user namespaces %v, want three", seen)
	}
	p.Kill()
	for _, pid := range p.Levels {
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("%d after Kill: %v", pid, err)
		}
	}
}

func TestThreadElsewhere(t *testing.T) {
	CheckLeaks(t)
	c := Config{Mode: ThreadElsewhere, New: withUser(), Apart: []string{"net", "uts"}}
	p := Start(t, c)
	if p.Thread == p.PID || !slices.Contains(p.TIDs(), p.Thread) {
		t.Fatalf("thread %d of %d: %v", p.Thread, p.PID, p.TIDs())
	}
	for _, name := range c.Apart {
		if p.ThreadNS(p.Thread, name) == p.NS(name) || p.ThreadNS(p.Thread, name) != p.Held[name] {
			t.Errorf("%s: thread %d, process %d, held %d", name, p.ThreadNS(p.Thread, name), p.NS(name), p.Held[name])
		}
	}
}

func TestDeadLeader(t *testing.T) {
	CheckLeaks(t)
	p := Start(t, Config{Mode: DeadLeader, New: withUser()})
	if p.State() != 'Z' {
		t.Errorf("state %c", p.State())
	}
	if _, err := ReadNS(p.Path("ns", "uts")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("leader's uts link: %v", err)
	}
	if got := p.ThreadNS(p.Thread, "uts"); got == ownNS(t, "uts") || got != p.Held["uts"] {
		t.Errorf("thread's uts %d, own %d, held %d", got, ownNS(t, "uts"), p.Held["uts"])
	}
}

func TestZombie(t *testing.T) {
	CheckLeaks(t)
	p := Start(t, Config{Mode: Zombie, New: withUser()})
	if p.State() != 'Z' || len(p.Levels) != 2 || len(p.TIDs()) != 1 {
		t.Errorf("state %c, levels %v, threads %v", p.State(), p.Levels, p.TIDs())
	}
	if _, err := ReadNS(p.Path("ns", "net")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("net link: %v", err)
	}
	p.NS("user") // stays readable
	p.NS("pid")
	p.Kill()
	if _, err := os.Lstat(p.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Kill: %v", err)
	}
}

func TestStopped(t *testing.T) {
	CheckLeaks(t)
	if p := Start(t, Config{Mode: Stopped}); p.State() != 'T' {
		t.Errorf("state %c", p.State())
	}
}

func TestChrooted(t *testing.T) {
	CheckLeaks(t)
	dir := t.TempDir()
	p := Start(t, Config{Mode: Chrooted, Dir: dir, New: withUser()})
	if got, err := os.Readlink(p.Path("root")); got != dir {
		t.Errorf("root %q, %v, want %q", got, err, dir)
	}
}

func TestPIDForChildren(t *testing.T) {
	CheckLeaks(t)
	for _, mode := range []Mode{PIDForChildrenEmpty, PIDForChildrenDead, PIDForChildrenAlive} {
		p := Start(t, Config{Mode: mode, New: withUser()})
		if p.NS("pid") != ownNS(t, "pid") {
			t.Errorf("%s: the process itself moved", mode)
		}
		inode, err := ReadNS(p.Path("ns", "pid_for_children"))
		if mode == PIDForChildrenEmpty {
			if err == nil && inode != p.Held["pid"] || err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %d, %v", mode, inode, err)
			}
			continue
		}
		if err != nil || inode == p.NS("pid") || inode != p.Held["pid"] {
			t.Errorf("%s: %d, %v, held %d", mode, inode, err, p.Held["pid"])
		}
		if mode == PIDForChildrenDead {
			nobodyIn(t, "pid", inode)
			continue
		}
		if got, err := ReadNS(fmt.Sprintf("/proc/%d/ns/pid", p.Child)); got != inode {
			t.Errorf("%s: child in %d, %v", mode, got, err)
		}
	}
}

func TestTimeForChildren(t *testing.T) {
	CheckLeaks(t)
	RequireNS(t, withUser("time")...)
	p := Start(t, Config{Mode: TimeForChildren, New: withUser()})
	if p.NS("time") != ownNS(t, "time") || p.NS("time_for_children") == p.NS("time") {
		t.Errorf("time %d, for children %d", p.NS("time"), p.NS("time_for_children"))
	}
}

func TestFDHolder(t *testing.T) {
	CheckLeaks(t)
	apart := AllNS
	RequireNS(t, apart...)
	p := Start(t, Config{Mode: FDHolder, Apart: apart, New: withUser()})
	for _, name := range apart {
		fd := strconv.Itoa(p.HeldFD[name])
		if got, err := ReadNS(p.Path("fd", fd)); err != nil || got != p.Held[name] || got == p.NS(name) {
			t.Errorf("%s: fd %s is %d, %v, held %d", name, fd, got, err, p.Held[name])
		}
		nobodyIn(t, name, p.Held[name])
	}
}

func TestBindHolder(t *testing.T) {
	CheckLeaks(t)
	p := Start(t, Config{Mode: BindHolder, Apart: []string{"net", "uts"}, New: withUser()})
	for name, point := range p.HeldPath {
		mounted := fmt.Sprintf(" %s:[%d] %s ", name, p.Held[name], point)
		if !strings.Contains(read(t, p, "mountinfo"), mounted) {
			t.Errorf("no %q in its mountinfo", mounted)
		}
		if own, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(own, []byte(point)) {
			t.Errorf("%s is mounted in the test's mount namespace too", point)
		}
		nobodyIn(t, name, p.Held[name])
	}
	if len(p.HeldPath) != 2 {
		t.Errorf("mounts %v", p.HeldPath)
	}
}

func TestSocketHolder(t *testing.T) {
	CheckLeaks(t)
	p := Start(t, Config{Mode: SocketHolder, New: withUser()})
	nobodyIn(t, "net", p.Held["net"])
	target, err := os.Readlink(p.Path("fd", strconv.Itoa(p.HeldFD["net"])))
	if !strings.HasPrefix(target, "socket:[") {
		t.Errorf("fd is %q, %v", target, err)
	}
	// The kernel itself says which namespace the socket is in.
	const siocgskns = 0x894c // linux/sockios.h
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	sock, err := unix.PidfdGetfd(pidfd, p.HeldFD["net"], 0)
	if err != nil {
		t.Skipf("pidfd_getfd: %v", err)
	}
	defer unix.Close(sock)
	ns, err := unix.IoctlRetInt(sock, siocgskns)
	if err != nil {
		t.Skipf("SIOCGSKNS: %v", err) // asks for CAP_NET_ADMIN over that namespace
	}
	defer unix.Close(ns)
	if inode, err := ReadNS(fmt.Sprintf("/proc/self/fd/%d", ns)); inode != p.Held["net"] {
		t.Errorf("socket in %d, %v, want %d", inode, err, p.Held["net"])
	}
}

func TestErrorsAreTheChilds(t *testing.T) {
	CheckLeaks(t)
	_, err := start(Config{Mode: Chrooted, Dir: "/nonexistent/dir", New: withUser()})
	if err == nil || !strings.Contains(err.Error(), "chroot /nonexistent/dir: no such file") {
		t.Errorf("error %v", err)
	}
	if _, err := start(Config{New: []string{"bogus"}}); err == nil {
		t.Error("no error for an unknown type")
	}
}

func TestChildrenDieWithTheTest(t *testing.T) {
	CheckLeaks(t)
	// The inner level's parent is killed without warning.
	p := Start(t, Config{New: withUser("pid"), Depth: 2})
	if err := unix.Kill(p.Levels[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.h.dead
	if state, err := stateOf(p.Path("stat")); err == nil && state != 'Z' && state != 'X' {
		// PID namespaces are torn down asynchronously.
		if err := waitGone(p.Path()); err != nil {
			t.Error(err)
		}
	}
}
