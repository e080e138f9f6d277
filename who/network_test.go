package who

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// ip runs ip(8) in a process's network namespace.
func ip(t *testing.T, p *testkit.Proc, args ...string) {
	t.Helper()
	args = append([]string{"--net=" + p.Path("ns", "net"), testkit.RequireProgram(t, "ip")}, args...)
	if out, err := exec.Command(testkit.RequireProgram(t, "nsenter"), args...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// inside calls f on a thread in a process's network namespace.
func inside(t *testing.T, p *testkit.Proc, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	linux.OnThread(func() {
		ns, err := os.Open(p.Path("ns", "net"))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// within are the answers that are about a process's network namespace: other tests may
// have the like in theirs.
func within(t *testing.T, p *testkit.Proc, word string) []Answer {
	t.Helper()
	return slices.DeleteFunc(ask(t, word).Answers, func(a Answer) bool { return a.Namespace == nil || a.Namespace.Inode != p.NS("net") })
}

func TestNetwork(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	testkit.CheckLeaks(t)
	box, hub := testkit.Start(t, testkit.Config{New: []string{"net"}}), testkit.Start(t, testkit.Config{New: []string{"net"}})
	ip(t, hub, "link", "add", "nsxwho0", "type", "veth", "peer", "name", "nsxeth0", "netns", fmt.Sprint(box.PID))
	ip(t, box, "link", "set", "lo", "up")
	ip(t, box, "link", "set", "nsxeth0", "up")
	ip(t, box, "addr", "add", "10.88.77.3/16", "dev", "nsxeth0")
	var l net.Listener
	var u net.PacketConn
	inside(t, box, func() (err error) {
		var config net.ListenConfig
		if l, err = config.Listen(context.Background(), "tcp", ":18080"); err == nil {
			u, err = config.ListenPacket(context.Background(), "udp4", "127.0.0.1:18053")
		}
		return err
	})
	defer l.Close()
	defer u.Close()
	home := fmt.Sprintf("net:%d", box.NS("net"))
	far := fmt.Sprintf("net:%d", hub.NS("net"))

	for _, c := range []struct {
		word string
		kind Kind
		name string
		pid  int
	}{
		{"if:nsxeth0", KindInterface, home, box.PID},
		{"nsxeth0", KindInterface, home, box.PID},
		{"if:nsxet*", KindInterface, home, box.PID},
		{"if:nsxwho0", KindInterface, far, hub.PID}, // not the host's, so it is whose it is in
		{"10.88.77.3", KindAddress, home, box.PID},
		{"10.88.77.3/16", KindAddress, home, box.PID},
	} {
		a := one(t, c.word)
		if a.Kind != c.kind || a.Name != c.name || a.Process == nil || a.Process.PID != c.pid || a.Interface == nil {
			t.Errorf("%s: %+v", c.word, a)
		}
	}
	eth := one(t, "if:nsxeth0")
	if a := one(t, eth.Interface.MAC); a.Name != home || a.Interface == nil || a.Interface.Name != "nsxeth0" {
		t.Errorf("%s: %+v", eth.Interface.MAC, a)
	}
	if r := ask(t, "02:00:00:00:00:01"); r.AllFound() {
		t.Errorf("%+v", r.Answers)
	}
	if eth.Peer == nil || eth.Peer.Name != "nsxwho0" || eth.Interface.Peer.Netns != hub.NS("net") {
		t.Errorf("the other end of %+v is %+v", eth.Interface, eth.Peer)
	}
	// The sockets are ours, though they are in there.
	for _, word := range []string{":18080", "tcp:18080", "10.88.77.3:18080", "tcp:127.0.0.1:18080", "[::1]:18080", "udp:18053", "127.0.0.1:18053"} {
		list := within(t, box, word)
		if len(list) != 1 || list[0].Kind != KindListener || list[0].Process == nil || list[0].Process.PID != os.Getpid() || len(list[0].Listeners) != 1 {
			t.Errorf("%s: %+v", word, list)
		}
	}
	for _, word := range []string{"udp:18080", "10.88.77.4:18080", "10.88.77.3:18053", ":18081"} {
		if list := within(t, box, word); len(list) > 0 {
			t.Errorf("%s: %+v", word, list)
		}
	}
}

// What is on the host leads to who is at the other end.
func TestHostsInterface(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	own, err := testkit.OwnNS("net")
	if err != nil {
		t.Fatal(err)
	}
	initial, err := testkit.ReadNS("/proc/1/ns/net")
	testkit.Require(t, err != nil || own == initial, "needs to be in the network namespace of the boot")
	box := testkit.Start(t, testkit.Config{New: []string{"net"}})
	ip(t, box, "link", "add", "nsxeth1", "type", "veth", "peer", "name", "nsxwho1", "netns", fmt.Sprint(os.Getpid()))
	a := one(t, "if:nsxwho1")
	if a.Name != fmt.Sprintf("net:%d", box.NS("net")) || a.Process == nil || a.Process.PID != box.PID || a.Peer == nil || a.Peer.Name != "nsxeth1" {
		t.Errorf("%+v", a)
	}
}

// A namespace that no process is in has an answer too.
func TestPinnedNetwork(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net", "mnt")
	p := testkit.Start(t, testkit.Config{New: []string{"mnt"}, Mode: testkit.BindHolder})
	r, err := Ask(t.Context(), inspect.Machine{}, []string{"if:lo"}, Options{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Answers, func(a Answer) bool { return a.Namespace.Inode == p.Held["net"] && a.Process == nil }) {
		t.Errorf("%+v", r.Answers)
	}
}
