package house

import (
	"bytes"
	"flag"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is exported to testdata")

// TestSurface compares what each public package exports with testdata/PACKAGE.txt, so
// that no change of it goes unnoticed: other programs are built on it.
func TestSurface(t *testing.T) {
	golden := "testdata"
	var known []string
	for dir, files := range goFiles(t) {
		if dir == "." || strings.HasPrefix(dir, "internal") || strings.HasPrefix(dir, "cmd") {
			continue
		}
		name := strings.ReplaceAll(dir, "/", "-") + ".txt"
		known = append(known, name)
		have := surface(t, files)
		path := filepath.Join(golden, name)
		if *update {
			if err := os.WriteFile(path, []byte(strings.Join(have, "")), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if changes := differences(slices.Collect(strings.Lines(string(want))), slices.Collect(strings.Lines(strings.Join(have, "")))); len(changes) > 0 {
			t.Errorf("package %s exports something else than before. If that is meant: go test ./internal/house -update, and a line in CHANGELOG.md\n%s",
				dir, strings.Join(changes, ""))
		}
	}
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("testdata/%s is of no public package", e.Name())
		}
	}
}

const root = "../.."

// goFiles is all Go files below the root, by directory.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && (rel == "bin" || rel == "build" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && rel != "."):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			files[filepath.Dir(rel)] = append(files[filepath.Dir(rel)], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// surface is the exported declarations of a package's files, sorted, without comments
// and bodies, as linux/amd64 has them.
func surface(t *testing.T, files []string) []string {
	t.Helper()
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "linux", "amd64", false
	var list []string
	for _, path := range files {
		if match, err := context.MatchFile(filepath.Split(path)); err != nil || !match || strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(file)
		ast.Inspect(file, func(n ast.Node) bool { // or a comment says what was left out
			switch n := n.(type) {
			case *ast.StructType:
				n.Incomplete = false
			case *ast.InterfaceType:
				n.Incomplete = false
			}
			return true
		})
		for _, decl := range file.Decls {
			for _, part := range parts(decl) {
				var b bytes.Buffer
				if err := (&printer.Config{Mode: printer.RawFormat}).Fprint(&b, token.NewFileSet(), part); err != nil {
					t.Fatal(err)
				}
				list = append(list, b.String()+"\n")
			}
		}
	}
	slices.Sort(list)
	return list
}

// parts is a declaration in pieces that can be sorted: constants stay together, since
// their values may depend on their order.
func parts(decl ast.Decl) []ast.Node {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && !ast.IsExported(receiver(d.Recv.List[0].Type)) {
			return nil
		}
		d.Body = nil
		return []ast.Node{d}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return nil
		}
		if d.Tok == token.CONST {
			return []ast.Node{d}
		}
		var nodes []ast.Node
		for _, spec := range d.Specs {
			nodes = append(nodes, &ast.GenDecl{Tok: d.Tok, Specs: []ast.Spec{spec}})
		}
		return nodes
	default:
		return nil
	}
}

// receiver is the name of a method's type.
func receiver(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr: // T[P]
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}

// differences lists the lines that only one of two texts has.
func differences(before, after []string) []string {
	var changes []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			changes = append(changes, "-"+line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			changes = append(changes, "+"+line)
		}
	}
	if changes == nil && !slices.Equal(before, after) {
		changes = []string{"the order of lines\n"}
	}
	return changes
}
