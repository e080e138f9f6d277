package tty

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// allBytes is a megabyte in which every byte occurs.
func allBytes(t *testing.T) []byte {
	t.Helper()
	data := make([]byte, 1<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPipesPassUnchanged(t *testing.T) {
	testkit.CheckLeaks(t)
	data := allBytes(t)
	cmd := self("accompany", "cat")
	cmd.Stdin = bytes.NewReader(data)
	got, err := cmd.Output()
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%v; %d bytes, equal: %v", err, len(got), bytes.Equal(got, data))
	}
}

func TestRawTerminalPassesUnchanged(t *testing.T) {
	testkit.CheckLeaks(t)
	// Three Escapes in a row, which a megabyte of chance has in 6 of 100 runs, would end
	// the command.
	data := bytes.ReplaceAll(allBytes(t), []byte{Escape, Escape, Escape}, []byte{Escape, Escape, 0})
	s := newSession(t, append([]string{"relay"}, role("echo", "1048576")...)...)
	s.expect("ready")
	got := make(chan []byte)
	go func() {
		_ = s.master.SetReadDeadline(time.Now().Add(patience))
		echoed := make([]byte, len(data))
		n, _ := io.ReadFull(io.MultiReader(bytes.NewReader(s.output), s.master), echoed)
		got <- echoed[:n]
	}()
	_ = s.master.SetWriteDeadline(time.Now().Add(patience))
	if _, err := s.master.Write(data); err != nil {
		t.Error(err)
	}
	if echoed := <-got; !bytes.Equal(echoed, data) {
		t.Errorf("%d bytes came back, or others", len(echoed))
	}
	s.wantReport("exit 0")
}

// redirected starts a job whose output goes into a pipe or file, which is
// returned to be read.
func redirected(t *testing.T, pipe bool, job ...string) (*session, *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	var err error
	if pipe {
		err = unix.Mkfifo(path, 0o600)
	} else {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	_ = out.SetReadDeadline(time.Now().Add(patience))
	return newSession(t, append([]string{"stdout=" + path}, job...)...), out
}

func TestOutputElsewherePassesUnchanged(t *testing.T) {
	testkit.CheckLeaks(t)
	data := allBytes(t)
	source := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(source, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pipe := range []bool{true, false} {
		s, out := redirected(t, pipe, "relay", "sh", "-c", "cat "+source+"; test -t 0 && test -t 2 && echo yes >/dev/tty")
		var got []byte
		if pipe {
			got, _ = io.ReadAll(out)
		}
		s.expect("yes")
		s.wantReport("exit 0")
		if !pipe {
			got, _ = io.ReadAll(out)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("pipe %v: %d bytes came out, or others", pipe, len(got))
		}
	}
}

// In a pipeline the terminal is not only ours.
func TestPipelineLeavesModesAlone(t *testing.T) {
	testkit.CheckLeaks(t)
	s, out := redirected(t, true, "relay", "sh", "-c", "echo ready >&2; cat; cat; echo end")
	s.expect("ready")
	if s.isRaw() {
		t.Error("the terminal is raw")
	}
	s.typeIn("one\npart\x04\x04") // ^D hands on a line's beginning; the second ends it
	want := "one\npart"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(out, got); string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	s.typeIn("two\n\x04")
	rest, err := io.ReadAll(out)
	if string(rest) != "two\nend\n" {
		t.Errorf("%q, %v", rest, err)
	}
	s.wantReport("exit 0")
	if strings.Count(string(s.output), "two") > 1 {
		t.Errorf("echoed twice: %q", s.output)
	}
}

// A pager that reads the pipe sets the terminal's modes, and the keys are its own.
func TestPipelineLeavesKeysAlone(t *testing.T) {
	testkit.CheckLeaks(t)
	s, out := redirected(t, true, "relay", "sh", "-c", "echo ready >&2; read x; echo $x")
	s.expect("ready")
	pager := s.atFirst
	pager.Lflag &^= unix.ICANON | unix.ECHO
	s.setModes(&pager)
	s.typeIn("q")
	time.Sleep(200 * time.Millisecond)
	if typed := s.typedAhead(); typed != "q" {
		t.Errorf("the pager reads %q", typed)
	}
	s.setModes(&s.atFirst)
	s.typeIn("ours\n")
	if got, err := io.ReadAll(out); string(got) != "ours\n" {
		t.Errorf("%q, %v", got, err)
	}
	s.wantReport("exit 0")
}

func TestPipelineInterrupt(t *testing.T) {
	testkit.CheckLeaks(t)
	// sh waits for the inner one, and ends by SIGINT if that did. Not before it
	// waits: dash puts a signal off that comes while it starts a command, to its end.
	s, _ := redirected(t, true, "relay", "sh", "-c", `sh -c 'echo ready >&2; exec sleep 60'; exit 3`)
	s.expect("ready")
	s.typeIn("\x03")
	s.wantReport("exit 130")
}

func TestNoTerminal(t *testing.T) {
	testkit.CheckLeaks(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := Open(null, nil, null); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("error %v", err)
	}
	_, err = openMaster("/nonexistent/ptmx", "/dev/pts/nonexistent")
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "(ENOENT): no devpts is mounted") {
		t.Errorf("error %v", err)
	}
	if _, err := openSlave(null); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("error %v", err)
	}
}

// With the job's own terminal, nothing that it types reaches ours, whatever
// capabilities it has.
func TestInjection(t *testing.T) {
	testkit.CheckLeaks(t)
	allowed, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
	if err != nil {
		allowed = []byte("1\n") // before Linux 6.2 it always is
	}
	legacy := strings.TrimSpace(string(allowed)) == "1" || os.Geteuid() == 0

	s := newSession(t, append([]string{"accompany"}, role("inject")...)...)
	result := s.expectLine("injected: ")
	s.wantReport("exit 0")
	if legacy && (result != "<nil>" || !strings.Contains(s.typedAhead(), "evil")) {
		t.Errorf("sharing a terminal, injection should have worked: %s; the test below means nothing", result)
	}
	if !legacy && result != unix.EIO.Error() {
		t.Errorf("with legacy_tiocsti=0: %s", result)
	}

	s = newSession(t, append([]string{"relay"}, role("inject")...)...)
	s.expectLine("injected: ")
	s.wantReport("exit 0")
	if typed := s.typedAhead(); typed != "" {
		t.Errorf("the next shell would read %q", typed)
	}
}
