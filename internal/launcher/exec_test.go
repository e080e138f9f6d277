package launcher

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestArgvAndEnv(t *testing.T) {
	argv := []string{"odd\nname", "/proc/self/cmdline", "/proc/self/environ", "--", "/dev/null"}
	for _, env := range [][]string{nil, {"A=1", "EMPTY=", "=", "B=\xff\n"}} {
		bothWays(t, func(t *testing.T, way Way) {
			var p Program
			p.Exec("/bin/cat", "")
			text, _ := output(t, &p, Attr{Argv: argv, Env: env, Way: way})
			if want := strings.Join(append(slices.Clone(argv), env...), "\x00") + "\x00"; text != want {
				t.Errorf("%q, want %q", text, want)
			}
		})
	}
}

// place puts a file below dir.
func place(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// broken is a program whose interpreter is missing.
type broken string

func TestSearchInPath(t *testing.T) {
	dir := t.TempDir()
	script := `echo "script $0 $1"`
	path := func(dirs ...string) string { return strings.Join(dirs, ":") }
	empty, file, denied, bad, good := dir+"/empty", dir+"/file", dir+"/denied", dir+"/bad", dir+"/good"
	place(t, dir, "empty/other", "", 0o755)
	place(t, dir, "file", "", 0o755)
	place(t, dir, "denied/tool", "", 0o644)
	place(t, dir, "bad/tool", "#!/nonexistent/interpreter\n", 0o755)
	place(t, dir, "good/tool", script, 0o755)
	bothWays(t, func(t *testing.T, way Way) {
		a := Attr{Way: way, Argv: []string{"tool", "arg"}}
		cases := []struct {
			name, path string
			want       any
		}{
			{"tool", path(dir+"/nonexistent", empty, file, denied, bad, good), "script " + good + "/tool arg\n"},
			{"tool", good, "script " + good + "/tool arg\n"},
			{"tool", path(empty, file), unix.ENOENT},
			{"tool", path(denied, empty), unix.EACCES},
			{"tool", path(empty, denied), unix.EACCES},
			{"tool", path(bad, empty), broken("tool")},
			{bad + "/tool", "", broken(bad + "/tool")},
			{"tool", path(bad, denied), unix.EACCES},
			{"tool", strings.Repeat("x", 300), unix.ENAMETOOLONG},
			{"no\\such\"tool", DefaultPath, unix.ENOENT},
			{"", DefaultPath, unix.ENOENT},
			{good + "/tool", "", "script " + good + "/tool arg\n"},
			{denied + "/tool", good, unix.EACCES},
			{file + "/tool", good, unix.ENOENT},
			{empty, "", unix.EACCES}, // a directory
		}
		for _, c := range cases {
			var p Program
			p.Exec(c.name, c.path)
			switch want := c.want.(type) {
			case unix.Errno:
				failsAt(t, &p, a, "exec "+c.name, want)
				continue
			case broken:
				failsAt(t, &p, a, "exec "+string(want), unix.ENOENT)
				if step, ok := errors.AsType[*StepError](refused(t, &p, a)); !ok || !step.NoLoader {
					t.Errorf("%s: %+v is not said to lack its loader", c.name, step)
				}
				continue
			}
			if text, _ := output(t, &p, a); text != c.want {
				t.Errorf("%s in %s: %q, want %q", c.name, c.path, text, c.want)
			}
		}
		// An empty entry is the working directory.
		var p Program
		p.Chdir(good)
		p.Exec("tool", empty+":")
		if text, _ := output(t, &p, a); text != "script ./tool arg\n" {
			t.Errorf("%q", text)
		}
	})
}

func TestScriptWithoutShell(t *testing.T) {
	root := t.TempDir()
	place(t, root, "tool", "no format that the kernel knows", 0o755)
	bothWays(t, func(t *testing.T, way Way) {
		dir, err := os.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		var p Program
		p.Unshare("unshare(user)", unix.CLONE_NEWUSER)
		p.Fchdir("chroot", p.File(dir))
		p.ChrootHere("chroot")
		p.Exec("/tool", "")
		failsAt(t, &p, Attr{Way: way}, "exec /tool by /bin/sh", unix.ENOENT)
	})
}

func TestTooLongArguments(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Exec("/bin/true", "")
		err := refused(t, &p, Attr{Way: way, Argv: []string{"true", strings.Repeat("x", 1<<20)}})
		if !strings.Contains(err.Error(), "argument list too long") {
			t.Error(err)
		}
	})
}

// TestLikeOsExec compares what a program inherits with what os/exec gives it.
func TestLikeOsExec(t *testing.T) {
	const line = "ulimit -n; ulimit -Hn; umask; grep -E '^(Sig(Blk|Ign|Cgt)|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/self/status"
	want, err := exec.Command("/bin/sh", "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		a := shell(&p, line)
		a.Way = way
		if text, _ := output(t, &p, a); text != string(want) {
			t.Errorf("%s\nwant\n%s", text, want)
		}
	})
}
