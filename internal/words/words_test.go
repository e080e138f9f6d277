package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 processes are", 1: "1 process is", 2: "2 processes are"} {
		if got := Count(n, "process is", "processes are"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := Count(int64(1)<<40, "byte", "bytes"); got != "1099511627776 bytes" {
		t.Error(got)
	}
}

// What a shell makes of a word is that word again, whoever has chosen it.
func TestShell(t *testing.T) {
	for _, word := range []string{
		"", "web", "a.service", "user@1000.service", `machine-a\x2db.scope`, "a b", "$(touch x)", "`id`", ";reboot", "a'b", "''", "=ls", "~root", "a*", "!x", "#x", "a\nb", "\x1b[2J", "ä", "{a,b}", "(x)", "<x", "&",
	} {
		out, err := exec.Command("sh", "-c", "printf %s "+Shell(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q as %s is %q: %v", word, Shell(word), out, err)
		}
	}
	if Shell("user@1000.service") != "user@1000.service" {
		t.Error(Shell("user@1000.service"))
	}
}

// counted is a number of things in a message, in the plural whatever the number is.
var counted = regexp.MustCompile(`%d (?:more |new |seccomp |unreadable )*(?:(?:cgroup|child|filter|group|holder|hierarchie|mount|mount namespace|name|namespace|place|processe|range|row|target|thread|time)s|children)\b|\w\((?:s|es)\)`)

// What a machine has in total, and bounds, are never 1.
var large = regexp.MustCompile(`%d of (?:at most )?%d |(?:up to|at most|more than) %d `)

// Numbers that are never 1.
var plural = []string{
	`" (in %d mount namespaces)"`, // said of several
}

// Messages for users agree with their numbers: no "1 processes are", no "process(es)".
func TestMessagesAgree(t *testing.T) {
	const root = "../.."
	for _, dir := range []string{"cmd", "enter", "identity", "inspect", "output", "internal/launcher", "cgroupfs", "internal/linux", "internal/proc", "internal/tty"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING &&
					counted.MatchString(large.ReplaceAllString(text.Value, "")) && !slices.Contains(plural, text.Value) {
					t.Errorf("%s: %s: use words.Count", set.Position(text.Pos()), text.Value)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
