package who

import (
	"errors"
	"net/netip"
	"testing"

	"nsx/inspect"
)

func TestParse(t *testing.T) {
	address := netip.MustParseAddr
	for _, c := range []struct {
		word string
		want question
	}{
		{"if:veth3de0e04", question{kind: KindInterface, name: "veth3de0e04"}},
		{":8080", question{kind: KindListener, port: 8080}},
		{"*:8080", question{kind: KindListener, port: 8080}},
		{"tcp:8080", question{kind: KindListener, protocol: "tcp", port: 8080}},
		{"udp:53", question{kind: KindListener, protocol: "udp", port: 53}},
		{"tcp:10.0.0.1:80", question{kind: KindListener, protocol: "tcp", address: address("10.0.0.1"), port: 80}},
		{"10.0.0.1:80", question{kind: KindListener, address: address("10.0.0.1"), port: 80}},
		{"[::1]:80", question{kind: KindListener, address: address("::1"), port: 80}},
		{"[fe80::1%eth0]:80", question{kind: KindListener, address: address("fe80::1"), port: 80}},
		{"10.88.0.3", question{kind: KindAddress, address: address("10.88.0.3")}},
		{"10.88.0.3/16", question{kind: KindAddress, address: address("10.88.0.3")}},
		{"fd00::3", question{kind: KindAddress, address: address("fd00::3")}},
		{"::1", question{kind: KindAddress, address: address("::1")}},
		{"[::1]", question{kind: KindAddress, address: address("::1")}},
		{"52:54:00:AB:34:56", question{kind: KindInterface, mac: "52:54:00:ab:34:56"}},
		{"fe80::1%eth0", question{kind: KindAddress, address: address("fe80::1")}},
		{"uid:100999", question{kind: KindUID, number: 100999}},
	} {
		c.want.word = c.word
		if got, err := parse(c.word); got != c.want || err != nil {
			t.Errorf("%q is %+v, %v, want %+v", c.word, got, err, c.want)
		}
	}
	for word, want := range map[string]Kind{
		"5151": KindProcess, "self": KindProcess, "pid:5151": KindProcess, "net:4026532704": KindNamespace, "pid:[4026532704]": KindNamespace,
		"netns:blue": KindNamespace, "/run/netns/blue": KindNamespace, "cgroup:/demo": KindGroup, "web": KindName, "podman:web": KindName, "unit:nginx": KindName,
	} {
		if got, err := parse(word); got.kind != want || err != nil {
			t.Errorf("%q is %q, %v, want %q", word, got.kind, err, want)
		}
	}
	for word, want := range map[string]string{"uid:1000@podman:web": "podman:web", "pid:17@web": "web", "uid:0@net:4026532704": "net:4026532704"} {
		if got, err := parse(word); err != nil || got.at == nil || got.at.Word != want {
			t.Errorf("%q is %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{
		"", "if:", "if:a/b", ":", ":0", ":65536", ":http", "tcp::8080", "tcp:", "tcp:x:80", "udp:-1", "uid:", "uid:x", "uid:4294967295", "pid:0@web",
		"uid:1@", "10.0.0.1/99", "foo:bar", "10.0.0.1:99999",
	} {
		if got, err := parse(word); !errors.Is(err, inspect.ErrUsage) {
			t.Errorf("%q is %+v, %v, want ErrUsage", word, got, err)
		}
	}
}

func TestParseSubIDs(t *testing.T) {
	list := parseSubIDs("# nobody\nalice:100000:65536\nbroken\n1001:200000:65536\nbob:x:1\n:1:1\n")
	if len(list) != 2 || list[0] != (subIDs{"alice", 100000, 65536}) || list[1] != (subIDs{"1001", 200000, 65536}) {
		t.Errorf("%+v", list)
	}
}
