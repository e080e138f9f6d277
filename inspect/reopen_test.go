package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// Pin takes the leader of a mount namespace, and others as they are.
func TestPin(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("mnt", "uts"), Mode: testkit.FDHolder, Apart: []string{"net"}})
	s := scan(t, Options{Relations: true, Holders: true})
	led := ID{Mnt, p.NS("mnt")}
	target, err := (Machine{}).Pin(t.Context(), s, led)
	if err != nil || target.PID != p.PID {
		t.Fatalf("%+v, %v", target, err)
	}
	opens(t, target, led)
	target.Close()
	for _, bare := range []ID{{UTS, p.NS("uts")}, held(t, p, Net)} {
		if target, err = (Machine{}).Pin(t.Context(), s, bare); err != nil || target.PID != 0 {
			t.Fatalf("%+v, %v", target, err)
		}
		opens(t, target, bare)
		target.Close()
	}
	p.Kill()
	if _, err := (Machine{}).Pin(t.Context(), s, led); !errors.Is(err, ErrGone) {
		t.Errorf("a namespace that is gone: %v", err)
	}
	if _, err := (Machine{}).Pin(t.Context(), s, ID{Net, 1}); !errors.Is(err, ErrGone) {
		t.Errorf("a namespace that never was: %v", err)
	}
}

// TestPinWithoutItsLeader: the leader moves to another mount namespace after
// the scan, and the one it led is opened through its child.
func TestPinWithoutItsLeader(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt")
	unshare, nsenter := testkit.RequireProgram(t, "unshare"), testkit.RequireProgram(t, "nsenter")
	leader, stdin := startProgram(t, unshare, "--mount", "sh", "-c",
		`sleep 30 & echo; read line; exec "$0" "--mount=$1" sleep 30`, nsenter, fmt.Sprintf("/proc/%d/ns/mnt", os.Getpid()))
	link := fmt.Sprintf("/proc/%d/ns/mnt", leader)
	inode, err := testkit.ReadNS(link)
	if err != nil {
		t.Fatal(err)
	}
	id := ID{Mnt, inode}
	s := scan(t, Options{})
	n := s.Namespace(id)
	if n == nil || n.Leader.PID != leader || len(n.PIDs) != 2 {
		t.Fatalf("%+v, want it led by %d", n, leader)
	}
	for _, pid := range n.PIDs {
		if pid != leader {
			defer func() { _ = unix.Kill(pid, unix.SIGKILL) }() // which sleeps on otherwise
		}
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if now, err := testkit.ReadNS(link); err != nil || time.Now().After(deadline) {
			t.Fatalf("the leader does not leave: %d, %v", now, err)
		} else if now != inode {
			break
		}
	}
	target, err := (Machine{}).Pin(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	if target.PID != 0 || target.ID != id {
		t.Errorf("%+v", target)
	}
	opens(t, target, id)
	target.Close()
}

// TestPinBind: the path of a bind mount is as the leader of the mount namespace
// sees it, not another process.
func TestPinBind(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, withUser("net", "mnt")...)
	p := startIn(t, testkit.Config{New: withUser("mnt"), Mode: testkit.BindHolder, Apart: withUser("net")})
	s := scan(t, Options{Holders: true})
	mnt := s.Namespace(ID{Mnt, p.NS("mnt")})
	mnt.PIDs = append([]int{os.Getpid()}, mnt.PIDs...) // whose root has nothing mounted there
	id := held(t, p, Net)
	target, err := (Machine{}).Pin(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, target, id)
	target.Close()
}

// TestPinDescriptor: what was a namespace's descriptor has become a FIFO, which
// must not be opened, let alone taken for the namespace.
func TestPinDescriptor(t *testing.T) {
	testkit.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	inode, err := inodeOf(fd)
	if err != nil {
		t.Fatal(err)
	}
	s := &Snapshot{Namespaces: []Namespace{{Type: Net, Inode: inode, HeldBy: []Holder{{Kind: HeldByFD, PID: os.Getpid(), FD: &fd}}}}}
	done := make(chan error)
	go func() {
		_, err := (Machine{}).Pin(t.Context(), s, ID{Net, inode})
		done <- err
	}()
	select {
	case err = <-done:
	case <-time.After(2 * time.Second):
		t.Error("it waits for somebody to write")
		if w, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(w)
		}
		err = <-done
	}
	if !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// TestOpenThroughStrangers: each way to a namespace is checked to lead there.
func TestOpenThroughStrangers(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts"), Mode: testkit.FDHolder, Apart: []string{"net"}})
	none, uts := 1<<20, ID{UTS, p.NS("uts")}
	fd := p.HeldFD["net"]
	mnt, err := testkit.OwnNS("mnt")
	if err != nil {
		t.Fatal(err)
	}
	holders := []Holder{
		{Kind: HeldByThread, PID: p.PID, TID: p.PID},
		{Kind: HeldByThread, PID: p.PID, TID: none},
		{Kind: HeldByForChildren, PID: p.PID},
		{Kind: HeldByFD, PID: p.PID, FD: &fd},
		{Kind: HeldByFD, PID: p.PID, FD: &none},
		{Kind: HeldByFD, PID: maxPID, FD: &fd},
		{Kind: HeldBySocket, PID: p.PID, FD: &fd},
		{Kind: HeldBySocket, PID: maxPID, FD: &fd},
		{Kind: HeldByBind, Path: "/etc/passwd", Mnt: mnt},
		{Kind: HeldByBind, Path: p.Path("ns", "net"), Mnt: mnt}, // no mount, but a link
		{Kind: HeldByBind, Path: "/", Mnt: 4294967291},
		{Kind: HeldByChild, Child: &uts}, // its owner is another one
		{Kind: HeldByChild, Child: &ID{Net, 4294967292}},
	}
	s := scan(t, Options{})
	for i, h := range holders {
		for _, typ := range []Type{Net, User} {
			with := *s
			with.Namespaces = append(slices.Clone(s.Namespaces), // an inode number that is nobody's
				Namespace{Type: typ, Inode: 4294967290, PIDs: []int{os.Getpid(), none}, HeldBy: holders[i : i+1]})
			slices.SortFunc(with.Namespaces, func(a, b Namespace) int { return compareIDs(a.ID(), b.ID()) })
			if target, err := (Machine{}).Pin(t.Context(), &with, ID{typ, 4294967290}); !errors.Is(err, ErrGone) {
				t.Errorf("%s by %+v: %+v, %v", typ, h, target, err)
			}
		}
	}
	if _, err := at(t.TempDir()).Pin(t.Context(), s, ID{Net, p.NS("net")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a /proc: %v", err)
	}
}
