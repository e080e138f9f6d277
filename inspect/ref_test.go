package inspect

import (
	"strings"
	"testing"
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
		{"pid:5151/5160", Ref{Kind: RefProcess, PID: 5151, TID: 5160}},
		{"self", Ref{Kind: RefSelf}},
		{"4026531840", Ref{Kind: RefNamespace, ID: ID{Inode: 4026531840}, AnyType: true}},
		{"net:4026531840", Ref{Kind: RefNamespace, ID: ID{Net, 4026531840}}},
		{"net:[4026531840]", Ref{Kind: RefNamespace, ID: ID{Net, 4026531840}}},
		{"pid:4026531836", Ref{Kind: RefNamespace, ID: ID{PID, 4026531836}}},
		{"pid:[4026531836]", Ref{Kind: RefNamespace, ID: ID{PID, 4026531836}}},
		{"cgroup:[4026531835]", Ref{Kind: RefNamespace, ID: ID{Cgroup, 4026531835}}},
		{"cgroup:/demo", Ref{Kind: RefCgroup, Path: "/demo"}},
		{"cgroup:/a:b", Ref{Kind: RefCgroup, Path: "/a:b"}},
		{"/run/netns/blue", Ref{Kind: RefFile, Path: "/run/netns/blue"}},
		{"netns:blue", Ref{Kind: RefNetns, Path: "blue"}},
		{"web", Ref{Kind: RefName, Path: "web"}},
	} {
		tc.want.Word = tc.word
		if got, err := ParseRef(tc.word); err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v; want %+v", tc.word, got, err, tc.want)
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
		"99999999999999999999999": "no PID",
		"pid:":                    "no PID",
		"pid:-1":                  "no PID",
		"5151/":                   "no thread id",
		"5151/0":                  "no thread id",
		"5151/x":                  "no thread id",
		"4026531840/1":            "neither a PID",
		"net:":                    "no inode number",
		"net:[":                   "not closed",
		"net:[1]":                 "above",
		"nix:[4026531840]":        "unknown namespace type",
		"netns:":                  "no name",
		"netns:..":                "no name",
		"netns:a/b":               "no name",
		"cgroup:demo":             "no inode number",
	} {
		got, err := ParseRef(word)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %+v, %v; want an error that says %q", word, got, err, says)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, word := range []string{"1", "5/6", "self", "net:[4026531840]", "cgroup:/x", "/run/x", "netns:a", "web", "pid:4026531836"} {
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
			if r.PID < 1 || r.PID > maxPID || r.TID < 0 || r.TID > maxPID {
				t.Errorf("%q: %+v", word, r)
			}
		case RefNamespace:
			if r.ID.Inode < minInode {
				t.Errorf("%q: %+v", word, r)
			}
			if again, err := ParseRef(r.ID.String()); !r.AnyType && (err != nil || again.ID != r.ID) {
				t.Errorf("%q: %+v, and %s is %+v, %v", word, r, r.ID, again, err)
			}
		case RefSelf:
		case RefNetns:
			if r.Path == "" || strings.Contains(r.Path, "/") || r.Path == ".." {
				t.Errorf("%q: %+v", word, r)
			}
		default:
			if r.Path == "" {
				t.Errorf("%q: %+v", word, r)
			}
		}
	})
}
