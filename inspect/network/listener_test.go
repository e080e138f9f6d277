package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen opens sockets of all kinds in the network namespace of the calling thread.
func listen(t *testing.T) {
	t.Helper()
	keep := func(c interface{ Close() error }, err error) {
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { c.Close() })
	}
	both, only4 := net.ListenConfig{}, net.ListenConfig{}
	only4.SetMultipathTCP(false)
	ctx := context.Background()
	for _, l := range []struct {
		config           *net.ListenConfig
		network, address string
	}{
		{&both, "tcp", ":8080"},
		{&both, "tcp4", "127.0.0.1:8081"},
		{&only4, "tcp4", "0.0.0.0:8082"},
		{&both, "tcp6", "[::]:8083"},
		{&both, "tcp6", "[::1]:8084"},
		{bound("lo"), "tcp4", "0.0.0.0:8085"},
	} {
		keep(l.config.Listen(ctx, l.network, l.address))
	}
	keep(both.ListenPacket(ctx, "udp", ":5353"))
	keep(both.ListenPacket(ctx, "udp4", "127.0.0.1:53"))
	keep(both.ListenPacket(ctx, "udp6", "[::1]:53"))
	keep(net.Dial("udp4", "127.0.0.1:53")) // is connected, and waits for one alone
	// IPv4 by an IPv6 socket: Go makes none.
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { unix.Close(fd) })
	mapped := &unix.SockaddrInet6{Port: 8086, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	for _, err := range []error{unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.Bind(fd, mapped), unix.Listen(fd, 1)} {
		if err != nil {
			t.Error(err)
		}
	}
}

// bound makes sockets that are bound to an interface.
func bound(name string) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), name) }); e != nil {
			return e
		}
		return err
	}}
}

// sameAsSS compares the listeners of a namespace with what ss(8) says.
func sameAsSS(t *testing.T, ns *os.File, list []Listener) {
	t.Helper()
	lo := map[int]string{}
	for _, i := range interfaces(t, open(t, ns)) {
		lo[i.Index] = i.Name
	}
	var have, want []string
	for _, l := range list {
		if l.Protocol == "sctp" {
			continue // which ss shows with -S
		}
		host, device := l.Address.Addr().String(), ""
		if l.Address.Addr().Is6() {
			host = "[" + host + "]"
		}
		if l.Both {
			host = "*"
		}
		if l.Interface != 0 {
			device = "%" + lo[l.Interface]
		}
		have = append(have, fmt.Sprintf("%s %s%s:%d", l.Protocol, host, device, l.Address.Port()))
	}
	for line := range strings.Lines(in(t, ns, "ss", "-H", "-l", "-n", "-t", "-u")) {
		f := strings.Fields(line)
		want = append(want, f[0]+" "+f[4])
	}
	slices.Sort(have)
	slices.Sort(want)
	if h, w := strings.Join(have, "\n"), strings.Join(want, "\n"); h != w {
		t.Errorf("Listeners:\n%s\nss(8):\n%s", h, w)
	}
}

func TestListeners(t *testing.T) {
	ns := newNetNS(t)
	in(t, ns, "ip", "link", "set", "lo", "up")
	err := inside(int(ns.Fd()), func() error {
		listen(t)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, ns)
	list, err := n.Listeners(1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 10 {
		t.Errorf("%d listeners: %+v", len(list), list)
	}
	sameAsSS(t, ns, list)
	ours := ownSockets(t)
	for _, l := range list {
		if !ours[l.Inode] {
			t.Errorf("%v: no descriptor of ours is its socket", l)
		}
		if l.UID != 0 {
			t.Errorf("%v: of user %d", l, l.UID)
		}
	}
	checkHears(t, list)
	some, err := n.Listeners(3)
	if !errors.Is(err, ErrTooMany) || len(some) != 3 {
		t.Errorf("at most three: %v, %v", some, err)
	}
}

func TestListenersOfOwnNamespace(t *testing.T) {
	// Others may come and go.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		list, err := open(t, nil).Listeners(100000)
		if err != nil {
			t.Fatal(err)
		}
		before := in(t, nil, "ss", "-H", "-l", "-n", "-t", "-u")
		again, err := open(t, nil).Listeners(100000)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(list, again) && before == in(t, nil, "ss", "-H", "-l", "-n", "-t", "-u") {
			sameAsSS(t, nil, list)
			return
		}
		if time.Now().After(end) {
			t.Fatal("the sockets of our own namespace never rest")
		}
	}
}

func checkHears(t *testing.T, list []Listener) {
	t.Helper()
	for _, c := range []struct {
		to   string
		port uint16
		want bool
	}{
		{"127.0.0.1", 8080, true},
		{"::1", 8080, true},
		{"", 8080, true},
		{"", 8079, false},
		{"127.0.0.1", 8081, true},
		{"127.0.0.2", 8081, false},
		{"::1", 8082, false},
		{"10.0.0.1", 8082, true},
		{"127.0.0.1", 8083, false},
		{"fd00::1", 8083, true},
		{"127.0.0.1", 8084, false},
		{"127.0.0.1", 8086, true},
		{"::ffff:127.0.0.1", 8081, true},
	} {
		var to netip.Addr
		if c.to != "" {
			to = netip.MustParseAddr(c.to)
		}
		got := slices.ContainsFunc(list, func(l Listener) bool { return l.Protocol == "tcp" && l.Hears(to, c.port) })
		if got != c.want {
			t.Errorf("somebody hears %q at %d: %v", c.to, c.port, got)
		}
	}
}

// ownSockets are the inode numbers of our own sockets.
func ownSockets(t *testing.T) map[uint64]bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[uint64]bool{}
	for _, link := range links {
		var inode uint64
		target, _ := os.Readlink(link)
		if n, _ := fmt.Sscanf(target, "socket:[%d]", &inode); n == 1 {
			found[inode] = true
		}
	}
	return found
}
