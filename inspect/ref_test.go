package inspect

import (
	"strconv"
	"strings"
	"testing"

	"nsx/identity"
)

func TestParseRef(t *testing.T) {
	for _, tc := range []struct {
		word string
		want Ref
	}{
		{"1", Ref{Kind: RefProcess, PID: 1}},
		{"4194304", Ref{Kind: RefProcess, PID: 4194304}},
		{"pid:5151", Ref{Kind: RefProcess, PID: 5151}},
		{"init", Ref{Kind: RefProcess, PID: 1}},
		{"5151/5160", Ref{Kind: RefProcess, PID: 5151, TID: 5160}},
		{"5151/5151", Ref{Kind: RefProcess, PID: 5151, TID: 5151}},
		{"1/4194304", Ref{Kind: RefProcess, PID: 1, TID: 4194304}},
		{"pid:5151/5160", Ref{Kind: RefProcess, PID: 5151, TID: 5160}},
		{"5151:77", Ref{Kind: RefProcess, PID: 5151, PIDFDInode: 77}},
		{"1:18446744073709551615", Ref{Kind: RefProcess, PID: 1, PIDFDInode: 1<<64 - 1}},
		{"self", Ref{Kind: RefSelf}},
		{"4026531840", Ref{Kind: RefNamespace, ID: ID{Inode: 4026531840}, AnyType: true}},
		{"4026531001", Ref{Kind: RefNamespace, ID: ID{Inode: 4026531001}, AnyType: true}},
		{"4294967295", Ref{Kind: RefNamespace, ID: ID{Inode: 4294967295}, AnyType: true}},
		{"net:4026531840", Ref{Kind: RefNamespace, ID: ID{Net, 4026531840}}},
		{"net:[4026531840]", Ref{Kind: RefNamespace, ID: ID{Net, 4026531840}}},
		{"net:=3", Ref{Kind: RefNamespace, ID: ID{Net, 0}, KernelID: 3}},
		{"pid:=3", Ref{Kind: RefNamespace, ID: ID{PID, 0}, KernelID: 3}},
		{"pid:4026531836", Ref{Kind: RefNamespace, ID: ID{PID, 4026531836}}},
		{"pid:[4026531836]", Ref{Kind: RefNamespace, ID: ID{PID, 4026531836}}},
		{"cgroup:[4026531835]", Ref{Kind: RefNamespace, ID: ID{Cgroup, 4026531835}}},
		{"cgroup:/demo", Ref{Kind: RefCgroup, Path: "/demo"}},
		{"cgroup:/demo/", Ref{Kind: RefCgroup, Path: "/demo"}},
		{"cgroup:/", Ref{Kind: RefCgroup, Path: "/"}},
		{"cgroup:/../of the reader", Ref{Kind: RefCgroup, Path: "/../of the reader"}}, // seen from a cgroup namespace
		{"cgroup:/a:b", Ref{Kind: RefCgroup, Path: "/a:b"}},
		{"/run/netns/blue", Ref{Kind: RefFile, Path: "/run/netns/blue"}},
		{"/a:b", Ref{Kind: RefFile, Path: "/a:b"}},
		{"./blue", Ref{Kind: RefFile, Path: "./blue"}},
		{"../blue", Ref{Kind: RefFile, Path: "../blue"}},
		{".", Ref{Kind: RefFile, Path: "."}}, // no namespace file, but no name of one either
		{"..", Ref{Kind: RefFile, Path: ".."}},
		{"netns:5151", Ref{Kind: RefNetns, Path: "5151"}},
		{"netns:self", Ref{Kind: RefNetns, Path: "self"}},
		{"netns:a:b", Ref{Kind: RefNetns, Path: "a:b"}},
		{"netns:blue", Ref{Kind: RefNetns, Path: "blue"}},
		{"web", Ref{Kind: RefName, Path: "web"}},
		{"unit:web", Ref{Kind: RefUnit, Path: "web"}},
		{"unit:user@1000.service", Ref{Kind: RefUnit, Path: "user@1000.service"}},
		{"web.service", Ref{Kind: RefUnit, Path: "web.service"}},
		{"session:3", Ref{Kind: RefUnit, Path: "session-3.scope"}},
		{"netns:web.service", Ref{Kind: RefNetns, Path: "web.service"}},
		{"host", Ref{Kind: RefProcess, PID: 1}},
		{"5f2c9a1e77b0", Ref{Kind: RefName, Path: "5f2c9a1e77b0"}},
		{"ct:web", Ref{Kind: RefIdentity}},
		{"pod:shop/cart/app", Ref{Kind: RefIdentity}},
		{"podman(alice):web", Ref{Kind: RefIdentity}},
		{"docker(lxc:legacy):cache", Ref{Kind: RefIdentity}},
		{"unit(alice):sync", Ref{Kind: RefIdentity}},
		{"unit:ng*", Ref{Kind: RefIdentity}},
		{"...", Ref{Kind: RefName, Path: "..."}},
		{"Self", Ref{Kind: RefName, Path: "Self"}},
		{"\x1b[1m\xff", Ref{Kind: RefName, Path: "\x1b[1m\xff"}},
	} {
		tc.want.Word = tc.word
		if tc.want.Kind == RefName || tc.want.Kind == RefIdentity {
			tc.want.Query, _ = identity.ParseQuery(tc.word)
		}
		if got, err := ParseRef(tc.word); err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v; want %+v", tc.word, got, err, tc.want)
		}
	}
}

func TestParseRefOfEveryType(t *testing.T) {
	for _, typ := range Types {
		want := ID{typ, 4026532201}
		for _, word := range []string{want.String(), typ.String() + ":4026532201"} {
			if got, err := ParseRef(word); err != nil || got != (Ref{Word: word, Kind: RefNamespace, ID: want}) {
				t.Errorf("%s: %+v, %v", word, got, err)
			}
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	for word, says := range map[string]string{
		"":                        "empty",
		"0":                       "no PID",
		"007":                     "no PID",
		"0x10":                    "no PID",
		"1 ":                      "no PID",
		"4194305":                 "neither a PID",
		"4026530999":              "neither a PID",
		"4026531000":              "neither a PID",
		"18446744073709551616":    "no PID",
		"99999999999999999999999": "no PID",
		"pid:":                    "no PID",
		"pid:-1":                  "no PID",
		"pid:0":                   "no PID",
		"pid:+1":                  "no PID",
		"pid:4026531000":          "neither a PID",
		"pid:[5]":                 "above",
		"5151/":                   "no thread id",
		"5151/01":                 "no thread id",
		"5151/4194305":            "no thread id",
		"5151/5160/1":             "no thread id",
		"5151/0":                  "no thread id",
		"5151/x":                  "no thread id",
		"4026531840/1":            "neither a PID",
		"net:":                    "no inode number",
		"net:[":                   "not closed",
		"net:[]":                  "no inode number",
		"net:=":                   "no id of a namespace",
		"net:=0":                  "no id of a namespace",
		"net:=x":                  "no id of a namespace",
		"nix:=3":                  "unknown namespace type",
		"net:4026531840]":         "no inode number",
		"net:[4026531840]]":       "no inode number",
		"net:-4026531840":         "no inode number",
		"net: 4026531840":         "no inode number",
		"net:[1]":                 "above",
		"net:4026531000":          "above",
		":4026531840":             "unknown namespace type",
		"nix:[4026531840]":        "unknown namespace type",
		"netns:":                  "no name",
		"netns:..":                "no name",
		"netns:.":                 "no name",
		"netns:a/b":               "no name",
		"netns:/run/netns/blue":   "no name",
		"a/b":                     "begins with / or ./",
		"cgroup:":                 "no inode number",
		"unit:":                   "no name of a unit",
		"session:a/b":             "no name of a session",
		"ct:":                     "",
		"cgroup:demo":             "no inode number",
	} {
		got, err := ParseRef(word)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), strings.Trim(strconv.Quote(word), `"`)) {
			t.Errorf("%q: got %+v, %v; want an error that says %q", word, got, err, says)
		}
		if got.Word != word {
			t.Errorf("%q became %q", word, got.Word)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, word := range []string{"1", "5/6", "self", "net:[4026531840]", "cgroup:/x", "/run/x", "netns:a", "web", "pid:4026531836", "4026531840", "init", ".", "pid:5/6"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		r, err := ParseRef(word)
		if r.Word != word {
			t.Fatalf("%q became %q", word, r.Word)
		}
		if err != nil {
			return
		}
		switch r.Kind {
		case RefProcess:
			if r.PID < 1 || r.PID > 4194304 || r.TID < 0 || r.TID > 4194304 || r.Path != "" {
				t.Errorf("%q: %+v", word, r)
			}
		case RefNamespace:
			if r.ID.Inode <= 4026531000 || r.PID != 0 {
				t.Errorf("%q: %+v", word, r)
			}
			if again, err := ParseRef(r.ID.String()); !r.AnyType && (err != nil || again.ID != r.ID) {
				t.Errorf("%q: %+v, and %s is %+v, %v", word, r, r.ID, again, err)
			}
		case RefSelf:
		case RefFile:
			if r.Path != word {
				t.Errorf("%q: %+v", word, r)
			}
		case RefCgroup:
			if !strings.HasPrefix(r.Path, "/") {
				t.Errorf("%q: %+v", word, r)
			}
		case RefNetns, RefName: // joined to a directory
			if r.Path == "" || strings.Contains(r.Path, "/") || r.Path == "." || r.Path == ".." {
				t.Errorf("%q: %+v", word, r)
			}
		default:
			t.Errorf("%q: %+v", word, r)
		}
	})
}
