// Modulepath gives the module another path:
//
//	go run ./internal/modulepath github.com/owner/nsx
//
// It rewrites, below the current directory, the import paths of all Go files (with
// build tags too), the go.mod files, those of nested modules among them, the rules
// of the linter, and the commands "go install PATH/…" of documents. Nothing else
// knows the path: not the schemas of documents ("nsx/ls/1"), nor the command's name.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "modulepath: want one argument: the new path, such as github.com/owner/nsx")
		os.Exit(2)
	}
	changed, err := rename(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "modulepath:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files changed\n", changed)
}

// validPath is what `go help goproxy` and cmd/go take without escapes, and with a
// dot in the first element: a path without one is kept for the standard library.
var validPath = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9][A-Za-z0-9._~-]*)+$`)

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// rename moves the module in dir to another path and says how many files changed.
// All of them are read and changed in memory before the first is written.
func rename(dir, to string) (changed int, err error) {
	if !validPath.MatchString(to) {
		return 0, fmt.Errorf("%q is no module path: it takes a host with a dot, and a path: github.com/owner/nsx", to)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return 0, err
	}
	found := moduleLine.FindSubmatch(mod)
	if found == nil {
		return 0, errors.New("go.mod has no module line")
	}
	m := move{from: string(found[1]), to: to}
	written := make(map[string][]byte)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && (strings.HasPrefix(entry.Name(), ".") || path == filepath.Join(dir, "bin") || path == filepath.Join(dir, "build")):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		rewrite := m.rewriter(entry.Name())
		if rewrite == nil {
			return nil
		}
		before, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		after, err := rewrite(before)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(before, after) {
			written[path] = after
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for path, text := range written {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return 0, err
		}
	}
	return len(written), nil
}

// move is a module's way from one path to another.
type move struct{ from, to string }

// rewriter chooses by a file's name how the path is found in it, or nil.
func (m move) rewriter(name string) func([]byte) ([]byte, error) {
	switch {
	case filepath.Ext(name) == ".go":
		return m.goFile
	case name == "go.mod":
		return m.words(`(?m)(^(?:module |require |replace |\t)"?|=> "?)`)
	case name == ".golangci.yml":
		return m.words(`(?m)(^\s*- pkg: |^\s*module-path: |^\s*allow: \[|, )`)
	case filepath.Ext(name) == ".md":
		return m.words(`(go (?:install|get|doc) )`)
	default:
		return nil
	}
}

// words makes a function that replaces the path behind what matches before.
func (m move) words(before string) func([]byte) ([]byte, error) {
	word := regexp.MustCompile(before + regexp.QuoteMeta(m.from) + `([\s"/,\]@]|$)`)
	return func(text []byte) ([]byte, error) {
		return word.ReplaceAll(text, []byte("${1}"+m.to+"${2}")), nil
	}
}

// goFile replaces the path in imports, which stay sorted.
func (m move) goFile(text []byte) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var after []byte
	last := 0
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		rest, ours := strings.CutPrefix(path, m.from)
		if !ours || rest != "" && rest[0] != '/' {
			continue
		}
		after = append(after, text[last:offset(set, spec)]...)
		after = append(after, strconv.Quote(m.to+rest)...)
		last = offset(set, spec) + len(spec.Path.Value)
	}
	if last == 0 {
		return text, nil
	}
	return format.Source(append(after, text[last:]...))
}

func offset(set *token.FileSet, spec *ast.ImportSpec) int {
	return set.Position(spec.Path.Pos()).Offset
}
