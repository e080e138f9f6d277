package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// No thread stays in a namespace that was read.
func TestThreadsLeave(t *testing.T) {
	ns := newNetNS(t)
	testkit.CheckLeaks(t)
	for range 50 {
		n, err := Open(int(ns.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		n.Close()
	}
	own, err := testkit.OwnNS("net")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		elsewhere := 0
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			inode, err := testkit.ReadNS("/proc/self/task/" + task.Name() + "/ns/net")
			if err == nil && inode != own {
				elsewhere++
			}
		}
		if elsewhere == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d threads are still in another network namespace", elsewhere)
		}
	}
}

// Many interfaces and addresses are read up to the bound, with its error.
func TestBounds(t *testing.T) {
	ns := newNetNS(t)
	var batch strings.Builder
	for i := range 150 {
		fmt.Fprintf(&batch, "link add d%d type veth peer name e%d\n", i, i)
	}
	for i := range 1000 {
		fmt.Fprintf(&batch, "addr add 10.0.%d.%d/32 dev d0\n", i/250, i%250)
	}
	file := t.TempDir() + "/batch"
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	in(t, ns, "ip", "-batch", file)
	n := open(t, ns)
	list, err := n.Interfaces(2000)
	if err != nil || len(list) != 301 {
		t.Fatalf("%d interfaces, %v", len(list), err)
	}
	count := 0
	for _, i := range list {
		count += len(i.Addresses)
	}
	if count != 1000 {
		t.Errorf("%d addresses, want 1000", count)
	}
	list, err = open(t, ns).Interfaces(500)
	if !errors.Is(err, ErrTooMany) || len(list) != 301 {
		t.Errorf("%d interfaces with at most 500 addresses, %v", len(list), err)
	}
	n = open(t, ns)
	list, err = n.Interfaces(100)
	if !errors.Is(err, ErrTooMany) || len(list) != 100 {
		t.Errorf("%d interfaces of at most 100, %v", len(list), err)
	}
	// What was left in the socket is not taken for another answer.
	if list, err = n.Interfaces(1000); err == nil {
		t.Errorf("%d interfaces after an unfinished dump", len(list))
	}
}

// A list that changes while it is read is read again, and if it always does, that is said.
func TestChanging(t *testing.T) {
	for _, c := range []struct {
		changes int
		want    error
	}{{0, nil}, {1, nil}, {rounds - 1, nil}, {rounds, ErrChanging}} {
		s, end := pair(t)
		go func() {
			buf := make([]byte, 100)
			for i := 0; ; i++ {
				n, err := unix.Read(end, buf)
				if err != nil || n == 0 {
					return
				}
				seq := binary.NativeEndian.Uint32(buf[8:])
				flags := uint16(unix.NLM_F_MULTI)
				if i < c.changes {
					flags |= unix.NLM_F_DUMP_INTR
				}
				answer := appendMessage(nil, unix.RTM_NEWLINK, flags, seq-1, make([]byte, 16)) // of an older question
				answer = appendMessage(answer, unix.RTM_NEWLINK, flags, seq, make([]byte, 16))
				answer = appendMessage(answer, unix.NLMSG_DONE, flags, seq, make([]byte, 4))
				_, _ = unix.Write(end, answer)
			}
		}()
		entries := 0
		err := s.dump(unix.RTM_GETLINK, nil, func() { entries = 0 }, func(uint16, []byte) bool { entries++; return true })
		if !errors.Is(err, c.want) || entries != 1 {
			t.Errorf("%d changes: %d entries, %v, want %v", c.changes, entries, err, c.want)
		}
	}
}

// pair is a socket whose other end is the test's.
func pair(t *testing.T) (*socket, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Shutdown(fds[1], unix.SHUT_RDWR)
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return &socket{fd: fds[0]}, fds[1]
}

// FuzzMessages parses what no kernel sends.
func FuzzMessages(f *testing.F) {
	link := appendMessage(nil, unix.RTM_NEWLINK, 0, 1, append(make([]byte, 16), appendAttribute(nil, unix.IFLA_MTU, 1500)...))
	f.Add(link)
	f.Add(appendMessage(link, unix.RTM_NEWADDR, 0, 1, appendAttribute(make([]byte, 8), unix.IFA_LOCAL, 1)))
	f.Add(appendMessage(nil, unix.SOCK_DIAG_BY_FAMILY, 0, 1, appendAttribute(append([]byte{unix.AF_INET6}, make([]byte, 71)...), diagV6Only, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			m, rest, err := cutMessage(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("it does not get shorter")
			}
			_, _ = parseLink(m.data)
			_, _, _ = parseAddress(m.data)
			_, _ = parseListener(m.data)
			_ = errnoOf(m.data)
			b = rest
		}
	})
}
