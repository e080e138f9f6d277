package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// newNetNS is a descriptor of a network namespace that a process is in.
func newNetNS(t *testing.T) *os.File {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	p := testkit.Start(t, testkit.Config{New: []string{"net"}})
	f, err := os.Open(p.Path("ns", "net"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// in runs a program in a network namespace, our own if ns is nil, and returns what it
// prints.
func in(t *testing.T, ns *os.File, name string, args ...string) string {
	t.Helper()
	testkit.RequireProgram(t, name)
	cmd := exec.Command(name, args...)
	if ns != nil {
		cmd = exec.Command(testkit.RequireProgram(t, "nsenter"), append([]string{"--net=/proc/self/fd/3", name}, args...)...)
		cmd.ExtraFiles = []*os.File{ns}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
	return string(out)
}

// open opens a network namespace, our own if ns is nil.
func open(t *testing.T, ns *os.File) *Namespace {
	t.Helper()
	if ns == nil {
		var err error
		if ns, err = os.Open("/proc/self/ns/net"); err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
	}
	n, err := Open(int(ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func interfaces(t *testing.T, n *Namespace) []Interface {
	t.Helper()
	list, err := n.Interfaces(1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// sameAsIP compares the interfaces of a namespace with what ip(8) says of them.
func sameAsIP(t *testing.T, ns *os.File) {
	t.Helper()
	var want []struct {
		Index     int      `json:"ifindex"`
		LinkIndex int      `json:"link_index"`
		Link      string   `json:"link"`
		NetNSID   *int     `json:"link_netnsid"`
		Name      string   `json:"ifname"`
		AltNames  []string `json:"altnames"`
		Flags     []string `json:"flags"`
		Master    string   `json:"master"`
		State     string   `json:"operstate"`
		MAC       string   `json:"address"`
		LinkType  string   `json:"link_type"`
		MTU       int      `json:"mtu"`
		LinkInfo  struct {
			Kind string `json:"info_kind"`
		} `json:"linkinfo"`
		Addresses []struct {
			Local     string `json:"local"`
			Address   string `json:"address"`
			PrefixLen int    `json:"prefixlen"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(in(t, ns, "ip", "-d", "-j", "addr")), &want); err != nil {
		t.Fatal(err)
	}
	have := interfaces(t, open(t, ns))
	names := map[int]string{0: ""}
	for _, i := range have {
		names[i.Index] = i.Name
	}
	var haveText, wantText []string
	for _, i := range have {
		link := i.Link
		lower := names[i.Link]
		if i.LinkNetNSID != nil {
			lower = ""
		} else {
			link = 0
		}
		text := fmt.Sprint(i.Index, i.Name, i.AltNames, i.Up, strings.ToUpper(i.State), i.MAC, i.MTU, i.Kind, names[i.Master], link, lower, i.Loopback)
		if i.LinkNetNSID != nil {
			text += fmt.Sprint(" netnsid ", *i.LinkNetNSID)
		}
		for _, a := range i.Addresses {
			text += fmt.Sprint(" ", a.Addr(), "/", a.Bits(), " peer ", a.Peer.IsValid())
		}
		haveText = append(haveText, text)
	}
	for _, i := range want {
		text := fmt.Sprint(i.Index, i.Name, i.AltNames, slices.Contains(i.Flags, "UP"), i.State, i.MAC, i.MTU, i.LinkInfo.Kind, i.Master, i.LinkIndex, i.Link, i.LinkType == "loopback")
		if i.NetNSID != nil {
			text += fmt.Sprint(" netnsid ", *i.NetNSID)
		}
		for _, a := range i.Addresses {
			text += fmt.Sprint(" ", a.Local, "/", a.PrefixLen, " peer ", a.Address != "")
		}
		wantText = append(wantText, text)
	}
	if h, w := strings.Join(haveText, "\n"), strings.Join(wantText, "\n"); h != w {
		t.Errorf("Interfaces:\n%s\nip(8):\n%s", h, w)
	}
}

func TestInterfacesOfOwnNamespace(t *testing.T) { sameAsIP(t, nil) }

func TestInterfaces(t *testing.T) {
	ns, other := newNetNS(t), newNetNS(t)
	for _, args := range []string{
		"link set lo up",
		"link add br0 type bridge",
		"link add veth0 type veth peer name veth1",
		"link set veth0 master br0 up",
		"link property add dev veth0 altname a-second-name-that-is-longer",
		"link add br1 mtu 9000 type bridge",

		"addr add 10.88.0.3/16 dev br1",
		"addr add 192.0.2.1 peer 192.0.2.9/32 dev br1",
		"addr add fd00::3/64 dev br1 nodad",
		"link set br1 up",
		"link add far0 type veth peer name eth0",
	} {
		in(t, ns, "ip", strings.Fields(args)...)
	}
	// By its descriptor: ip(8) knows names and PIDs alone.
	cmd := exec.Command("nsenter", "--net=/proc/self/fd/3", "ip", "link", "set", "eth0", "netns", "/proc/self/fd/4")
	cmd.ExtraFiles = []*os.File{ns, other}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameAsIP(t, ns)
	sameAsIP(t, other)

	// The two ends of a veth know each other.
	here, there := open(t, ns), open(t, other)
	find := func(n *Namespace, name string) Interface {
		for _, i := range interfaces(t, n) {
			if i.Name == name {
				return i
			}
		}
		t.Fatalf("no interface %s", name)
		return Interface{}
	}
	far, eth := find(here, "far0"), find(there, "eth0")
	if far.Link != eth.Index || eth.Link != far.Index || far.LinkNetNSID == nil || eth.LinkNetNSID == nil {
		t.Fatalf("far0 is %+v, eth0 is %+v", far, eth)
	}
	for _, c := range []struct {
		n     *Namespace
		other *os.File
		want  int
	}{{here, other, *far.LinkNetNSID}, {there, ns, *eth.LinkNetNSID}} {
		if id, ok, err := c.n.NetNSID(int(c.other.Fd())); id != c.want || !ok || err != nil {
			t.Errorf("NetNSID: %v, %v, %v, want %d", id, ok, err, c.want)
		}
	}
	if id, ok, err := here.NetNSID(int(newNetNS(t).Fd())); ok || err != nil {
		t.Errorf("NetNSID of a stranger: %v, %v, %v", id, ok, err)
	}
	if _, _, err := here.NetNSID(0); err == nil {
		t.Error("NetNSID took what is no namespace")
	}
}

// Addresses read back from their JSON.
func TestAddressText(t *testing.T) {
	for _, text := range []string{"10.88.0.3/16", "192.0.2.1/32 peer 192.0.2.9", "fd00::3/64"} {
		var a Address
		if err := a.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if back, err := a.MarshalText(); string(back) != text || err != nil {
			t.Errorf("%q reads back as %q, %v", text, back, err)
		}
	}
	var a Address
	for _, text := range []string{"", "10.0.0.1", "10.0.0.1/8 peer x"} {
		if a.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was taken as %v", text, a)
		}
	}
}

// An ordinary user may not enter others' namespaces, but reads his own.
func TestOpenNeedsRights(t *testing.T) {
	testkit.RequireUser(t)
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	f, err := os.Open(p.Path("ns", "net"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(int(f.Fd())); !errors.Is(err, unix.EPERM) {
		t.Errorf("Open: %v, want EPERM", err)
	}
}

func TestOpenOfNoNamespace(t *testing.T) {
	testkit.CheckLeaks(t)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(int(f.Fd())); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Open: %v, want EINVAL", err)
	}
	if _, err := Open(-1); !errors.Is(err, unix.EBADF) {
		t.Errorf("Open: %v, want EBADF", err)
	}
}

func TestClosedNamespace(t *testing.T) {
	n := open(t, nil)
	n.Close()
	_, e1 := n.Interfaces(1)
	_, e2 := n.Listeners(1)
	_, _, e3 := n.NetNSID(0)
	for _, err := range []error{e1, e2, e3} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
}
