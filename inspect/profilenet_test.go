package inspect_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// TestProfileOfNetwork compares a network namespace with what ip(8) and ss(8) say of it.
func TestProfileOfNetwork(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	testkit.CheckLeaks(t)
	a := testkit.Start(t, testkit.Config{New: []string{"net"}})
	b := testkit.Start(t, testkit.Config{New: []string{"net"}})
	ip(t, a, "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(b.PID))
	ip(t, a, "link", "set", "veth0", "up")
	ip(t, b, "addr", "add", "10.99.0.3/16", "dev", "eth0")
	ip(t, b, "link", "set", "eth0", "up")
	ip(t, b, "link", "set", "lo", "up")
	listening := listenIn(t, b)
	defer unix.Close(listening)

	p, err := inspect.Machine{}.Profile(t.Context(), strconv.Itoa(b.PID))
	if err != nil || p.Network == nil {
		t.Fatalf("%v, %+v", err, p)
	}
	// Interfaces and addresses.
	type theirs struct {
		IfName   string `json:"ifname"`
		AddrInfo []struct {
			Local     string
			PrefixLen int
		} `json:"addr_info"`
	}
	var links []theirs
	out := testkit.Run(t, 20*time.Second, testkit.RequireProgram(t, "nsenter"), "--net="+b.Path("ns", "net"), testkit.RequireProgram(t, "ip"), "-j", "addr")
	if err := json.Unmarshal([]byte(out), &links); err != nil {
		t.Fatal(err)
	}
	if len(links) != len(p.Network.Interfaces) {
		t.Errorf("%+v, ip has %+v", p.Network.Interfaces, links)
	}
	for _, link := range links {
		i := slices.IndexFunc(p.Network.Interfaces, func(i inspect.Interface) bool { return i.Name == link.IfName })
		if i < 0 {
			t.Errorf("no %s", link.IfName)
			continue
		}
		for _, address := range link.AddrInfo {
			if text := fmt.Sprint(p.Network.Interfaces[i].Addresses); !strings.Contains(text, fmt.Sprintf("%s/%d", address.Local, address.PrefixLen)) {
				t.Errorf("%s has %s, and not %+v", link.IfName, text, address)
			}
		}
		if peer := p.Network.Interfaces[i].Peer; link.IfName == "eth0" && (peer == nil || peer.Name != "veth0" || peer.Netns != a.NS("net")) {
			t.Errorf("the other end: %+v", peer)
		}
	}
	if n := p.Network.Neighbours; len(n) != 1 || n[0].Inode != a.NS("net") {
		t.Errorf("%+v", n)
	}
	// Who listens: we do, from outside.
	said := testkit.Run(t, 20*time.Second, testkit.RequireProgram(t, "nsenter"), "--net="+b.Path("ns", "net"), testkit.RequireProgram(t, "ss"), "-Htln")
	if len(p.Network.Ports) != 1 || p.Network.Ports[0].PID != os.Getpid() || !strings.Contains(said, fmt.Sprintf(":%d ", p.Network.Ports[0].Address.Port())) {
		t.Errorf("%+v, ss has %q", p.Network.Ports, said)
	}
	// The namespace says the same, and that of the host is on no process's page.
	n, err := inspect.Machine{}.Profile(t.Context(), fmt.Sprintf("net:[%d]", b.NS("net")))
	if err != nil || n.Network == nil || len(n.Network.Ports) != 1 {
		t.Errorf("%v, %+v", err, n)
	}
	if own, err := (inspect.Machine{}).Profile(t.Context(), "self"); err != nil || own.Network != nil {
		t.Errorf("%v, %+v", err, own)
	}
}

// TestProfileOfNetNSID: the number that ip-netns(8) gives, in namespaces of our own.
func TestProfileOfNetNSID(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net", "mnt")
	testkit.RequireProgram(t, "ip")
	out := testkit.Run(t, 20*time.Second, testkit.RequireProgram(t, "unshare"), "-mn", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs run /run
		ip netns add nsx-test-blue
		ip netns set nsx-test-blue 4711
		NSX_TEST_NETNSID=4711 exec "$1" -test.run '^TestProfileOfNetNSIDInside$' -test.v`, "sh", os.Args[0])
	if !strings.Contains(out, "--- PASS: TestProfileOfNetNSIDInside") {
		t.Error(out)
	}
}

func TestProfileOfNetNSIDInside(t *testing.T) {
	want := os.Getenv("NSX_TEST_NETNSID")
	if want == "" {
		return // TestProfileOfNetNSID starts it
	}
	p, err := inspect.Machine{}.Profile(t.Context(), "netns:nsx-test-blue")
	if err != nil || p.Network == nil || p.Network.NetNSID == nil || strconv.Itoa(*p.Network.NetNSID) != want {
		t.Fatalf("%v, %+v", err, p)
	}
	if len(p.Namespaces) != 1 || !slices.Contains(p.Namespaces[0].Names, "nsx-test-blue") || len(p.Network.Interfaces) != 1 {
		t.Errorf("%+v, %+v", p.Namespaces, p.Network)
	}
}

// listenIn is a socket that listens in a process's network namespace.
func listenIn(t *testing.T, p *testkit.Proc) int {
	t.Helper()
	type made struct {
		fd  int
		err error
	}
	result := make(chan made)
	linux.OnThread(func() {
		ns, err := unix.Open(p.Path("ns", "net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(ns, unix.CLONE_NEWNET)
			unix.Close(ns)
		}
		fd := -1
		if err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())})
		}
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		result <- made{fd, err}
	})
	r := <-result
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.fd
}
