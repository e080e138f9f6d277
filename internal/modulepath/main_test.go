package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// The tree has what looks like the path and is none, too: a schema, the command, a
// package of somebody else's.
const before = `
-- go.mod --
module nsx

go 1.26.0

require github.com/other/nsx v1.0.0 // nsx uses it
-- .golangci.yml --
          files: ["**/nsx/*.go"]
          allow: [nsx/a, nsx/internal]
          deny:
            - pkg: nsx
              desc: nsx/a knows nothing about nsx
    module-path: nsx # nsx is first
-- README.md --
nsx/ls/1 in cmd/nsx: go install nsx/cmd/nsx@latest
-- a/a.go --
//go:build other

package a

import (
	"fmt"

	"github.com/zebra/nsx/b"
	in "nsx/internal"
	"nsxy/c"
)

const schema = "nsx/ls/1"
-- internal/nested/go.mod --
module nsx/internal/nested

replace nsx => ../..

require (
	nsx v0.0.0
	nsxy v0.0.0
)
-- build/a.go --
package build

import "nsx/a"
`

const after = `
-- go.mod --
module example.com/o.w/nsx

go 1.26.0

require github.com/other/nsx v1.0.0 // nsx uses it
-- .golangci.yml --
          files: ["**/nsx/*.go"]
          allow: [example.com/o.w/nsx/a, example.com/o.w/nsx/internal]
          deny:
            - pkg: example.com/o.w/nsx
              desc: nsx/a knows nothing about nsx
    module-path: example.com/o.w/nsx # nsx is first
-- README.md --
nsx/ls/1 in cmd/nsx: go install example.com/o.w/nsx/cmd/nsx@latest
-- a/a.go --
//go:build other

package a

import (
	"fmt"

	in "example.com/o.w/nsx/internal"
	"github.com/zebra/nsx/b"
	"nsxy/c"
)

const schema = "nsx/ls/1"
-- internal/nested/go.mod --
module example.com/o.w/nsx/internal/nested

replace example.com/o.w/nsx => ../..

require (
	example.com/o.w/nsx v0.0.0
	nsxy v0.0.0
)
-- build/a.go --
package build

import "nsx/a"
`

func TestRename(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, before)
	if n, err := rename(dir, "example.com/o.w/nsx"); n != 5 || err != nil {
		t.Fatalf("%d files changed, %v; want 5", n, err)
	}
	holds(t, dir, after)
	// A path that has a dot already moves as well: hosts change.
	if n, err := rename(dir, "git.example.org/x"); n != 5 || err != nil {
		t.Fatalf("moved again: %d files changed, %v; want 5", n, err)
	}
	if _, err := rename(dir, "example.com/o.w/nsx"); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, after)
}

func TestRenameRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, before)
	for _, path := range []string{"", "nsx", "nsx/nsx", "example.com", "example.com/", "example.com//nsx", "example.com/../nsx", "https://example.com/nsx", "example.com/a b", "-v.x/nsx$1"} {
		if _, err := rename(dir, path); err == nil {
			t.Errorf("%q is taken for a module path", path)
		}
	}
	holds(t, dir, before)
	// One file that cannot be read, and none is changed.
	if err := os.WriteFile(filepath.Join(dir, "z.go"), []byte("no Go"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := rename(dir, "example.com/o.w/nsx"); err == nil {
		t.Error("a file that is not Go is no error")
	}
	holds(t, dir, before)
}

func write(t *testing.T, dir, archive string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, dir, archive string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if string(data) != string(f.Data) {
			t.Errorf("%s:\n%s\nwant\n%s", f.Name, data, f.Data)
		}
	}
}
