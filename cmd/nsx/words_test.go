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

// theirs are the files that have the words of other programs' command lines.
var theirs = map[string]bool{
	"ownerverbs.go": true, // the owners' own commands
	"argv.go":       true, // command lines of supervisors, to be read
}

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
	// Other programs' commands mean the same everywhere.
	others := regexp.MustCompile(`\bulimit -[a-z]\b|\b(mount|unshare|chrt|systemd-run|systemctl) [^;)]*`)
	for _, dir := range []string{"enter", "internal/launcher", "cgroupfs", "cgroupfs/keys", "inspect", "identity", "identity/state", "output", "internal/proc", "internal/linux", "internal/words", "internal/tty"} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || theirs[filepath.Base(file)] {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && ours.MatchString(others.ReplaceAllString(strings.Trim(text.Value, "\"`"), "")) {
					t.Errorf("%s: %s names a flag or command of nsx", set.Position(text.Pos()), text.Value)
				}
				return true
			})
		}
	}
}
