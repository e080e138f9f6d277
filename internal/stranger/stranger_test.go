// Package stranger uses the libraries as somebody else's program does.
package stranger

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hook()
	os.Exit(testkit.Main(m))
}

// TestStranger builds a program in a module of its own against a copy of the tree
// that has another module path, and lists, enters, limits and kills a process by it.
func TestStranger(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net", "mnt", "pid")
	const path = "example.org/somebody/nsx"
	dir := t.TempDir()
	tree, own := filepath.Join(dir, "tree"), filepath.Join(dir, "own")
	run := func(in, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	for _, part := range []string{"go.mod", "go.sum", "cgroupfs", "enter", "inspect", "identity", "internal"} {
		from := filepath.Join("../..", part)
		if info, err := os.Stat(from); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			if err := os.CopyFS(filepath.Join(tree, part), os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(tree, part), string(text))
	}
	run(tree, "go", "run", "./internal/modulepath", path)
	program, err := os.ReadFile("testdata/main.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(own, "main.go"), strings.ReplaceAll(string(program), `"nsx/`, `"`+path+`/`))
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(own, "go.sum"), string(sums))
	write(t, filepath.Join(own, "go.mod"), "module example.org/stranger\n\ngo 1.26.0\n\nrequire "+path+" v0.0.0\n\nreplace "+path+" => "+tree+"\n")
	binary := filepath.Join(dir, "stranger")
	run(own, "go", "build", "-o", binary, ".")

	p := testkit.Start(t, testkit.Config{New: []string{"net", "mnt", "pid"}})
	out := run(dir, binary, strconv.Itoa(p.PID), "/nsx-test-stranger-"+strconv.Itoa(os.Getpid()))
	if want := "found true 1\nentered another network: true\nkilled: true\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
