package inspect

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nsx/internal/proc"
)

func TestUserNames(t *testing.T) {
	for _, c := range []struct {
		name, passwd string
		want         map[uint32]string
	}{
		{"empty", "", map[uint32]string{}},
		{"usual", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n", map[uint32]string{0: "root", 1000: "web"}},
		{"the first name of a uid is its name", "root:x:0:0::/:\ntoor:x:0:0::/:\n", map[uint32]string{0: "root"}},
		{"no last newline", "web:x:1000:1000::/:", map[uint32]string{1000: "web"}},
		{"short lines, comments, NIS", "web\nweb:x\nweb:x:5\n# c:o:m:ment\n+::::::\n", map[uint32]string{}},
		{"uids that are none", "a:x::0\nb:x:-1:0\nc:x:x:0\nd:x:4294967296:0\ne:x:4294967295:0\n", map[uint32]string{1<<32 - 1: "e"}},
		{"a bad line does not take uid 0's name", "bad:x:x:0::/:\nroot:x:0:0::/:\n", map[uint32]string{0: "root"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := userNames(proc.Root(passwdBelow(t, c.passwd))); !maps.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if got := userNames(proc.Root(t.TempDir())); got == nil || len(got) != 0 {
		t.Errorf("without a passwd file: %v", got)
	}
}

// passwdBelow makes a root with that passwd file.
func passwdBelow(t *testing.T, text string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func FuzzUserNames(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n")
	f.Add("a:x:-1:0\n\n:::\n")
	f.Fuzz(func(t *testing.T, text string) {
		for uid, name := range userNames(proc.Root(passwdBelow(t, text))) {
			// Each name comes from a line of its own, and is all of a field.
			if strings.ContainsAny(name, ":\n") || !strings.Contains("\n"+text, "\n"+name+":") {
				t.Fatalf("uid %d is %q", uid, name)
			}
		}
	})
}
