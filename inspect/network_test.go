package inspect_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/inspect/network"
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

func scanNetworks(t *testing.T, o inspect.Options) (*inspect.Snapshot, []inspect.Network) {
	t.Helper()
	s, err := inspect.Scan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	list, gaps, err := inspect.Machine{}.Networks(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range gaps {
		t.Logf("unread: %+v", gap)
	}
	return s, list
}

func networkOf(list []inspect.Network, inode uint64) *inspect.Network {
	for i := range list {
		if list[i].Inode == inode {
			return &list[i]
		}
	}
	return nil
}

func interfaceOf(t *testing.T, list []inspect.Network, inode uint64, name string) *inspect.Interface {
	t.Helper()
	n := networkOf(list, inode)
	if n == nil {
		t.Fatalf("no network %d", inode)
	}
	for i := range n.Interfaces {
		if n.Interfaces[i].Name == name {
			return &n.Interfaces[i]
		}
	}
	t.Fatalf("no %s in %d: %+v", name, inode, n.Interfaces)
	return nil
}

// Every end of a veth knows its other end, though their numbers are the same in all
// of the namespaces.
func TestNetworkPeers(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	testkit.CheckLeaks(t)
	hub := testkit.Start(t, testkit.Config{New: []string{"net"}})
	var spokes []*testkit.Proc
	for i := range 4 {
		p := testkit.Start(t, testkit.Config{New: []string{"net"}})
		spokes = append(spokes, p)
		ip(t, hub, "link", "add", fmt.Sprintf("v%d", i), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(p.PID))
	}
	// Some that could be taken for each other's: the same numbers in other namespaces.
	twins := map[*testkit.Proc]*testkit.Proc{}
	for range 4 {
		near, far := testkit.Start(t, testkit.Config{New: []string{"net"}}), testkit.Start(t, testkit.Config{New: []string{"net"}})
		ip(t, near, "link", "add", "near", "index", "88", "type", "veth", "peer", "name", "far", "netns", fmt.Sprint(far.PID), "index", "77")
		twins[near] = far
	}
	ip(t, hub, "link", "add", "inner0", "type", "veth", "peer", "name", "inner1")

	_, list := scanNetworks(t, inspect.Options{})
	for i, p := range spokes {
		out, in := interfaceOf(t, list, hub.NS("net"), fmt.Sprintf("v%d", i)), interfaceOf(t, list, p.NS("net"), "eth0")
		if out.Peer == nil || *out.Peer != (inspect.Peer{Netns: p.NS("net"), Index: in.Index, Name: "eth0"}) {
			t.Errorf("the other end of %s is %+v", out.Name, out.Peer)
		}
		if in.Peer == nil || *in.Peer != (inspect.Peer{Netns: hub.NS("net"), Index: out.Index, Name: out.Name}) {
			t.Errorf("the other end of eth0 in %d is %+v", p.PID, in.Peer)
		}
	}
	for near, far := range twins {
		if i := interfaceOf(t, list, near.NS("net"), "near"); i.Peer == nil || *i.Peer != (inspect.Peer{Netns: far.NS("net"), Index: 77, Name: "far"}) {
			t.Errorf("the other end of %+v is %+v", i.Interface, i.Peer)
		}
		if i := interfaceOf(t, list, far.NS("net"), "far"); i.Peer == nil || *i.Peer != (inspect.Peer{Netns: near.NS("net"), Index: 88, Name: "near"}) {
			t.Errorf("the other end of %+v is %+v", i.Interface, i.Peer)
		}
	}
	inner := interfaceOf(t, list, hub.NS("net"), "inner0")
	if inner.Peer == nil || inner.Peer.Netns != hub.NS("net") || inner.Peer.Name != "inner1" {
		t.Errorf("the other end of inner0 is %+v", inner.Peer)
	}
	if lo := interfaceOf(t, list, hub.NS("net"), "lo"); lo.Peer != nil {
		t.Errorf("the other end of lo is %+v", lo.Peer)
	}
}

// A namespace that only a mount or a descriptor keeps is read as well.
func TestNetworksWithoutProcess(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net", "mnt")
	bind := testkit.Start(t, testkit.Config{New: []string{"mnt"}, Mode: testkit.BindHolder})
	fd := testkit.Start(t, testkit.Config{Mode: testkit.FDHolder})
	_, list := scanNetworks(t, inspect.Options{Holders: true, Relations: true})
	for _, inode := range []uint64{bind.Held["net"], fd.Held["net"]} {
		if lo := interfaceOf(t, list, inode, "lo"); !lo.Loopback || lo.Up {
			t.Errorf("lo of %d is %+v", inode, lo)
		}
	}
}

// What an ordinary user may not enter is a gap, with the reason; his own he reads.
func TestNetworksOfOthers(t *testing.T) {
	testkit.RequireUser(t)
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	s, err := inspect.Scan(t.Context(), inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, gaps, err := inspect.Machine{}.Networks(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	own, err := testkit.OwnNS("net")
	if err != nil {
		t.Fatal(err)
	}
	if networkOf(list, own) == nil {
		t.Errorf("our own is not among %+v", list)
	}
	if networkOf(list, p.NS("net")) != nil {
		t.Errorf("another user namespace's was read")
	}
	for _, gap := range gaps {
		if gap == (inspect.NetworkGap{Netns: p.NS("net"), Error: "EPERM"}) {
			return
		}
	}
	t.Errorf("gaps are %+v", gaps)
}

// The processes that have a socket are found: in its namespace, or anywhere.
func TestSocketHolders(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	p := testkit.Start(t, testkit.Config{New: []string{"net"}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// One that is made in a namespace where nobody has it.
	strange := make(chan int, 1)
	linux.OnThread(func() {
		ns, err := os.Open(p.Path("ns", "net"))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		fd := -1
		if err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			t.Error(err)
		}
		strange <- fd
	})
	fd := <-strange
	defer unix.Close(fd)

	s, list := scanNetworks(t, inspect.Options{})
	sockets, far := map[uint64]uint64{}, uint64(0)
	own := networkOf(list, s.Process(os.Getpid()).NS[inspect.Net])
	var near network.Listener
	for _, listener := range own.Listeners {
		if listener.Address.String() == l.Addr().String() && listener.Protocol == "tcp" {
			near = listener
			sockets[listener.Inode] = own.Inode
		}
	}
	for _, listener := range networkOf(list, p.NS("net")).Listeners {
		far = listener.Inode
		sockets[far] = p.NS("net")
	}
	if len(sockets) != 2 || near.Inode == 0 || far == 0 {
		t.Fatalf("sockets are %v", sockets)
	}
	holders, refused, err := inspect.Machine{}.SocketHolders(t.Context(), s, sockets)
	if err != nil {
		t.Fatal(err)
	}
	for inode := range sockets {
		if pids := holders[inode]; len(pids) != 1 || pids[0] != os.Getpid() {
			t.Errorf("socket %d is of %v", inode, pids)
		}
	}
	if len(refused) > 0 {
		t.Errorf("all were found, and yet there was refused: %v", refused)
	}
	// Alone, so that nobody is asked who is in the namespace of the other one.
	holders, _, err = inspect.Machine{}.SocketHolders(t.Context(), s, map[uint64]uint64{far: p.NS("net")})
	if pids := holders[far]; len(pids) != 1 || pids[0] != os.Getpid() || err != nil {
		t.Errorf("the socket that is held from elsewhere is of %v, %v", pids, err)
	}
	holders, _, err = inspect.Machine{}.SocketHolders(t.Context(), s, map[uint64]uint64{1 << 40: own.Inode})
	if len(holders) != 0 || err != nil {
		t.Errorf("a socket that is none is of %v, %v", holders, err)
	}
}

// Thousands of addresses in many namespaces are read as far as the bound, not beyond.
func TestNetworksAreBounded(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	p := testkit.Start(t, testkit.Config{New: []string{"net"}})
	var batch strings.Builder
	for i := range 40 {
		fmt.Fprintf(&batch, "link add v%d type veth peer name w%d\n", i, i)
	}
	for i := range 40000 {
		fmt.Fprintf(&batch, "addr add 10.%d.%d.%d/32 dev v%d\n", i>>16&255, i>>8&255, i&255, i%40)
	}
	file := t.TempDir() + "/batch"
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ip(t, p, "-batch", file)
	s, err := inspect.Scan(t.Context(), inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, gaps, err := inspect.Machine{}.Networks(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, i := range networkOf(list, p.NS("net")).Interfaces {
		n += len(i.Addresses)
	}
	if n != 1<<15 {
		t.Errorf("%d addresses", n)
	}
	if !slices.Contains(gaps, inspect.NetworkGap{Netns: p.NS("net"), Error: "EFBIG"}) {
		t.Errorf("gaps are %+v", gaps)
	}
}
