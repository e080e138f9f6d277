package output

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal, see pty(7), and returns the side that
// programs see.
func terminal(t *testing.T) *os.File {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { controller.Close() })
	if err := unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal("TIOCSPTLCK:", err)
	}
	number, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal("TIOCGPTN:", err)
	}
	f, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// noTerminals are files that are none, among them one that is a device.
func noTerminals(t *testing.T) map[string]*os.File {
	t.Helper()
	plain, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	t.Cleanup(func() {
		for _, f := range []*os.File{plain, null, r, w} {
			f.Close()
		}
	})
	return map[string]*os.File{"a file": plain, "/dev/null": null, "a pipe": w, "a closed file": closed, "nil": nil}
}

func TestTerminalWidth(t *testing.T) {
	tty := terminal(t)
	for _, c := range []struct {
		columns uint16
		want    int
	}{{0, 80}, {1, 1}, {132, 132}, {65535, 65535}} {
		size := &unix.Winsize{Row: 24, Col: c.columns}
		if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, size); err != nil {
			t.Fatal(err)
		}
		if got := TerminalWidth(tty); got != c.want {
			t.Errorf("a terminal with %d columns has width %d, want %d", c.columns, got, c.want)
		}
	}
	if !IsTerminal(tty) {
		t.Error("a terminal is taken for none")
	}
	for name, f := range noTerminals(t) {
		if IsTerminal(f) || TerminalWidth(f) != 0 {
			t.Errorf("%s is taken for a terminal of width %d", name, TerminalWidth(f))
		}
	}
}

func TestUseColor(t *testing.T) {
	tty := terminal(t)
	pipe := noTerminals(t)["a pipe"]
	for _, c := range []struct {
		mode, env string
		file      *os.File
		want      bool
	}{
		{"auto", "TERM=xterm", tty, true},
		{"", "TERM=xterm", tty, true},
		{"auto", "", tty, true},
		{"auto", "TERM=xterm", pipe, false},
		{"auto", "TERM=dumb", tty, false},
		{"auto", "TERM=xterm NO_COLOR=1", tty, false},
		{"auto", "TERM=xterm NO_COLOR=0", tty, false}, // whatever its value
		{"auto", "TERM=xterm NO_COLOR=", tty, true},   // "and not an empty string"
		{"auto", "TERM=xterm", nil, false},
		{"always", "TERM=dumb NO_COLOR=1", pipe, true}, // who says so on the command line, means it
		{"always", "", nil, true},
		{"never", "TERM=xterm", tty, false},
		{"never", "", pipe, false},
	} {
		getenv := func(name string) string {
			for pair := range strings.FieldsSeq(c.env) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		}
		got, err := UseColor(c.mode, c.file, getenv)
		if err != nil || got != c.want {
			t.Errorf("UseColor(%q) with %q, terminal %t: %t, %v; want %t", c.mode, c.env, c.file == tty, got, err, c.want)
		}
	}
	for _, mode := range []string{"yes", "Always", "auto "} {
		if _, err := UseColor(mode, tty, os.Getenv); err == nil || !strings.Contains(err.Error(), "use one of auto, always, never") {
			t.Errorf("UseColor(%q): error %v", mode, err)
		}
	}
}
