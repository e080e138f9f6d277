package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestLibrariesKnowNoFlags reads what the libraries can say: in a program that is
// not nsx, its flags and commands mean nothing.
func TestLibrariesKnowNoFlags(t *testing.T) {
	words := []string{`(^|[ (])-[A-Za-z]([ ,;:)]|$)`}
	var collect func(*cobra.Command)
	collect = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { words = append(words, `--`+regexp.QuoteMeta(f.Name)+`\b`) })
		for _, sub := range cmd.Commands() {
			words = append(words, `\bnsx `+sub.Name()+`\b`)
			collect(sub)
		}
	}
	collect(newRoot(streams{}))
	ours := regexp.MustCompile(strings.Join(words, "|"))
	shells := regexp.MustCompile(`\bulimit -[a-z]\b`)
	for _, dir := range []string{"enter", "internal/launcher"} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && ours.MatchString(shells.ReplaceAllString(strings.Trim(text.Value, "\"`"), "")) {
					t.Errorf("%s: %s names a flag or command of nsx", set.Position(text.Pos()), text.Value)
				}
				return true
			})
		}
	}
}
