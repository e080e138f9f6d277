package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"nsx/identity"
	"nsx/inspect"
	"nsx/inspect/network"
	"nsx/output"
	"nsx/who"
)

func TestWordOf(t *testing.T) {
	for line, want := range map[string]string{
		"5151":                      "5151",
		"  5151 nginx":              "5151",
		"|  1234, python |":         "1234",
		"| 0 N/A":                   "0",
		":8080":                     ":8080",
		"*:8080 x":                  "*:8080",
		"[::1]:80":                  "[::1]:80",
		"::1":                       "::1",
		"tcp:8080":                  "tcp:8080",
		"/run/netns/blue":           "/run/netns/blue",
		"* web":                     "web",
		"":                          "",
		" -- | ** ":                 "",
		"podman(alice):notes other": "podman(alice):notes",
	} {
		if got := wordOf(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestWhoWords checks what an answer says in some words, without the machine that has it.
func TestWhoWords(t *testing.T) {
	yes, no, uid := true, false, uint32(100999)
	inside := uint32(1000)
	site := &identity.Identity{Kind: identity.Pod, Runtime: identity.Podman, Pod: &identity.PodName{Name: "site"}}
	snapshot := &inspect.Snapshot{Namespaces: []inspect.Namespace{
		{Type: inspect.Net, Inode: 4026531833, Initial: &yes},
		{Type: inspect.Net, Inode: 4026532697, Initial: &no, Identity: site},
	}}
	host, box := &inspect.ID{Type: inspect.Net, Inode: 4026531833}, &inspect.ID{Type: inspect.Net, Inode: 4026532697}
	nginx := &inspect.Process{PID: 26102, Comm: "nginx"}
	listeners := func(texts ...string) (list []network.Listener) {
		for _, text := range texts {
			list = append(list, network.Listener{Protocol: "tcp", Address: netip.MustParseAddrPort(text), UID: uid})
		}
		return list
	}
	var address network.Address
	if err := address.UnmarshalText([]byte("10.88.0.3/16")); err != nil {
		t.Fatal(err)
	}
	eth := &inspect.Interface{Interface: network.Interface{Name: "eth0", Kind: "veth", State: "up", Addresses: []network.Address{address}}, Peer: &inspect.Peer{Netns: 4026531833, Name: "veth1"}}
	veth := &inspect.Interface{Interface: network.Interface{Name: "veth1", Kind: "veth"}, Peer: &inspect.Peer{Netns: 4026532697, Name: "eth0"}}
	for _, c := range []struct {
		answer who.Answer
		want   string
	}{
		{who.Answer{Kind: who.KindListener, Name: "podman:web", Process: nginx, Namespace: box, Listeners: listeners("0.0.0.0:8080")}, "nginx, tcp 0.0.0.0 in net of pod:site"},
		{who.Answer{Kind: who.KindListener, Name: "podman:web", Process: nginx, Namespace: &inspect.ID{Type: inspect.Net, Inode: 4026532177}, Listeners: listeners("0.0.0.0:8080")}, "nginx, tcp 0.0.0.0 in net:4026532177"},
		{who.Answer{Kind: who.KindListener, Name: "pod:site", Process: nginx, Namespace: box, Listeners: listeners("0.0.0.0:8080", "[::1]:8080")}, "nginx, tcp 0.0.0.0 and tcp [::1]"},
		{who.Answer{Kind: who.KindListener, Name: "unit:nginx", Process: nginx, Namespace: host, Listeners: listeners("127.0.0.1:8080")}, "nginx, tcp 127.0.0.1 on the host"},
		{who.Answer{Kind: who.KindListener, Namespace: host, Listeners: listeners("127.0.0.1:8080")}, "tcp 127.0.0.1 on the host, by whom may not be seen (uid 100999)"},
		{who.Answer{Kind: who.KindListener, Name: "pod:site", Process: &inspect.Process{Comm: "docker-proxy"}, Namespace: host, Listeners: listeners("0.0.0.0:8080"), Forward: &who.Forward{Address: "10.88.0.3", Port: 80}}, "docker-proxy on the host, to 10.88.0.3:80"},
		{who.Answer{Kind: who.KindInterface, Name: "pod:site", Namespace: host, Interface: veth, Peer: eth}, "its eth0, 10.88.0.3"},
		{who.Answer{Kind: who.KindInterface, Name: "pod:site", Namespace: box, Interface: eth, Peer: veth}, "its eth0, 10.88.0.3, other end veth1 of host"},
		{who.Answer{Kind: who.KindAddress, Name: "pod:site", Namespace: box, Interface: eth, Members: []string{"podman:db", "podman:web"}}, "its eth0; podman:db podman:web"},
		{who.Answer{Kind: who.KindUID, PIDs: []int{26102}, Process: nginx, SubIDsOf: "alice", Levels: []who.Level{{Number: &uid}, {Number: &inside}}}, "subuid of alice: 1000 inside, nginx"},
		{who.Answer{Kind: who.KindUID, SubIDsOf: "alice"}, "subuid of alice: no process"},
		{who.Answer{Kind: who.KindName, Process: nginx, PIDs: []int{1, 2}}, "nginx, the oldest of 2 processes"},
	} {
		c.answer.Found, c.answer.Word = true, "uid:100999"
		if got := (&whoRow{&c.answer, &who.Report{Snapshot: snapshot}}).what(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	nobody := whoRow{&who.Answer{Word: ":1", Reason: "nobody listens there"}, &who.Report{Snapshot: snapshot}}
	if got := nobody.what(); got != "nobody listens there" {
		t.Errorf("%q", got)
	}
	var page bytes.Buffer
	proxy := whoRow{&who.Answer{Kind: who.KindListener, Name: "pod:site", Identity: site, Found: true, Namespace: host, Process: &inspect.Process{PID: 7, Comm: "docker-proxy", UID: new(uint32(0)), User: "root"}, Listeners: listeners("0.0.0.0:8080"), Forward: &who.Forward{Address: "10.88.0.3", Port: 80}}, &who.Report{Snapshot: snapshot}}
	if err := whoPage.Print(&page, &proxy, output.Options{}); err != nil {
		t.Fatal(err)
	}
	want := "pod:site\n\nlistens   tcp 0.0.0.0:8080 on the host\n          sends on to 10.88.0.3:80\nprocess   7 docker-proxy\npod       site\nuser      root, uid 0\n"
	if !strings.HasPrefix(page.String(), want) {
		t.Errorf("the page is\n%s\nwant\n%s", &page, want)
	}
}
