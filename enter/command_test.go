package enter

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/testkit"
)

// output runs a command with stdout in a file and returns what it said there.
func output(t *testing.T, c *Cmd) (string, error) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c.Stdout, c.Stderr = f, f
	err = c.Run()
	text, readErr := os.ReadFile(f.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(text), err
}

func TestCommandIsInside(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, names(joinable)...)
	testkit.CheckLeaks(t)
	p := testkit.Start(t, testkit.Config{New: names(joinable)})
	// After setns(2) the command's own links say it, PID included: it was
	// born there.
	args := []string{}
	want := ""
	for _, typ := range joinable {
		args = append(args, "/proc/self/ns/"+typ.String())
		want += inspect.ID{Type: typ, Inode: p.NS(typ.String())}.String() + "\n"
	}
	got, err := output(t, Command(planFor(t, strconv.Itoa(p.PID)), "readlink", args...))
	if err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestCommandFilesAndEnvironment(t *testing.T) {
	testkit.CheckLeaks(t)
	plan := planFor(t, "self")
	in, err := os.CreateTemp(t.TempDir(), "stdin")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString("from stdin"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	c := Command(plan, "sh", "-c", `cat; echo; echo "$MINE $0 $1"; echo err >&2; env | wc -l`, "zero", "one")
	c.Stdin, c.Env = in, []string{"MINE=mine", "PATH=" + os.Getenv("PATH"), "PWD=/"}
	got, err := output(t, c)
	want := "from stdin\nmine zero one\nerr\n"
	if err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("%v, said %q, want %q", err, got, want)
	}

	// Without files of its own it has our /dev/null.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c = Command(plan, "readlink", "/proc/self/fd/0", "/proc/self/fd/2")
	c.Stdout = w
	err = c.Run()
	w.Close()
	text, _ := io.ReadAll(r)
	if err != nil || string(text) != "/dev/null\n/dev/null\n" {
		t.Errorf("%v, said %q", err, text)
	}

	// It inherits our environment.
	t.Setenv("NSX_TEST_MINE", "inherited")
	got, err = output(t, Command(plan, "sh", "-c", `echo $NSX_TEST_MINE`))
	if err != nil || got != "inherited\n" {
		t.Errorf("%v, said %q", err, got)
	}
}

func TestCommandStatus(t *testing.T) {
	testkit.CheckLeaks(t)
	plan := planFor(t, "self")
	for _, c := range []struct {
		script string
		want   int
	}{{"exit 0", 0}, {"exit 1", 1}, {"exit 42", 42}, {"exit 255", 255}, {"kill -TERM $$", 143}, {"kill -KILL $$", 137}} {
		err := Command(plan, "sh", "-c", c.script).Run()
		var exit *ExitError
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%s: %v", c.script, err)
		case c.want != 0 && (!errors.As(err, &exit) || exit.ShellStatus() != c.want):
			t.Errorf("%s: %v, want status %d", c.script, err, c.want)
		}
	}
}

func TestCommandExecErrors(t *testing.T) {
	testkit.CheckLeaks(t)
	plan := planFor(t, "self")
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name     string
		errno    error
		notFound bool
		says     string
	}{
		{"nsx-test-no-such-command", unix.ENOENT, true, "no such command on this host"},
		{dir + "/nothing", unix.ENOENT, true, "(ENOENT)"},
		{"/etc/passwd/x", unix.ENOENT, true, "(ENOENT)"},
		{script("closed", "#!/bin/sh\n", 0o644), unix.EACCES, false, "not executable on this host"},
		{dir, unix.EACCES, false, "not executable on this host"},
		{script("no-interpreter", "#!"+dir+"/nothing\n", 0o755), unix.ENOENT, false, "interpreter or loader"},
	} {
		err := Command(plan, c.name).Run()
		var e *ExecError
		if !errors.As(err, &e) || !errors.Is(err, c.errno) || e.NotFound() != c.notFound || e.InTarget || e.Name != c.name {
			t.Errorf("%s: got %#v (%v)", c.name, err, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q does not say %q", err, c.says)
		}
	}
	// As with every shell, what has no format is the shell's.
	var exit *ExitError
	if err := Command(plan, script("no-line", "exit 7\n", 0o755)).Run(); !errors.As(err, &exit) || exit.ShellStatus() != 7 {
		t.Errorf("a script without a #! line: %v", err)
	}
}

// The command is looked up under the target's root, which a chroot makes
// another one than the mount namespace's own.
func TestCommandUnderTheTargetsRoot(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt")
	box := t.TempDir()
	copySelf(t, box, "/programs/show")
	p := testkit.Start(t, testkit.Config{New: []string{"mnt"}, Mode: testkit.Chrooted, Dir: box})
	plan := planFor(t, strconv.Itoa(p.PID))
	c := Command(plan, "show")
	c.Env = []string{partEnv + "=show-root", "PATH=/programs"}
	got, err := output(t, c)
	if err != nil || !strings.Contains(got, "/programs\n") || strings.Contains(got, "/proc\n") {
		t.Errorf("%v, root is %q", err, got)
	}

	err = Command(plan, "/bin/sh", "-c", "true").Run()
	var e *ExecError
	if !errors.As(err, &e) || !e.NotFound() || !e.InTarget || !strings.Contains(err.Error(), "in the target's file system") {
		t.Errorf("got %v", err)
	}
}

// copySelf copies the test binary into a root directory, with the libraries
// that it has loaded if it was built with cgo.
func copySelf(t *testing.T, root, to string) {
	t.Helper()
	files := map[string]string{"/proc/self/exe": to}
	program, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if s := program.Section(".interp"); s != nil {
		text, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		loader := strings.TrimRight(string(text), "\x00")
		files[loader] = loader
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if _, path, _ := strings.Cut(strings.TrimSpace(line), "/"); strings.Contains(path, ".so") {
			files["/"+path] = "/" + path
		}
	}
	for from, to := range files {
		to = filepath.Join(root, to)
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A PID namespace without a first process gives ENOMEM, which says nothing.
func TestCommandInDeadPIDNamespace(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "pid")
	p := testkit.Start(t, testkit.Config{Mode: testkit.PIDForChildrenDead})
	err := Command(planFor(t, inspect.ID{Type: inspect.PID, Inode: p.Held["pid"]}.String()), "true").Run()
	if !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "lost its init") {
		t.Errorf("got %v", err)
	}
}

// playAccompany runs a command in a process's namespaces and ends like it.
func playAccompany(args []string) int {
	plan, err := planOf(args[0])
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 125
	}
	defer plan.Close()
	c := Command(plan, args[1], args[2:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = c.Accompany()
	var exit *ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ShellStatus()
	case err != nil:
		os.Stderr.WriteString(err.Error())
		return 125
	}
	return 0
}

// Signals for us are meant for the command.
func TestAccompanyForwardsSignals(t *testing.T) {
	// Whoever runs the tests may ignore SIGHUP, which a shell could then not trap.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGHUP)
	defer signal.Stop(caught)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGINT, unix.SIGQUIT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
			status, said := signalled(t, sig, `trap 'echo got; exit 7' `+name+`; echo ready; while :; do sleep 0.02; done`, "")
			if status != 7 || said != "got\n" {
				t.Errorf("status %d, said %q", status, said)
			}
		})
	}
	// Untrapped, it ends the command, and so us with its status.
	if status, _ := signalled(t, unix.SIGTERM, `echo ready; exec sleep 30`, ""); status != 128+int(unix.SIGTERM) {
		t.Errorf("status %d", status)
	}
	// Under nohup(1) a hang-up reaches neither us nor the command.
	status, said := signalled(t, unix.SIGHUP, `echo ready; sleep 0.3; echo alive`, `trap '' HUP; exec "$@"`)
	if status != 0 || said != "alive\n" {
		t.Errorf("with HUP ignored: status %d, said %q", status, said)
	}
}

// signalled starts a shell script in our own namespaces through Accompany,
// sends the accompanying process a signal when the script has said "ready",
// and returns its status and what it said after that. around is a shell script
// that starts it in its turn, or empty.
func signalled(t *testing.T, sig unix.Signal, script, around string) (int, string) {
	t.Helper()
	cmd := playPart("accompany", strconv.Itoa(os.Getpid()), "sh", "-c", script)
	if around != "" {
		sh := exec.Command("sh", append([]string{"-c", around, "sh"}, cmd.Args...)...)
		sh.Env = cmd.Env
		cmd = sh
	}
	// Without a terminal, whose foreground group would have been sent ^C too.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Errorf("%v: %s", err, errs.String())
	}
	if err := cmd.Process.Signal(sig); err != nil {
		t.Error(err)
	}
	said, _ := io.ReadAll(out)
	_ = cmd.Wait()
	if errs.Len() > 0 {
		t.Logf("it says %s", errs.String())
	}
	return cmd.ProcessState.ExitCode(), string(said)
}
