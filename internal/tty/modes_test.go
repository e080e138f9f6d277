package tty

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

func TestModesAreRestored(t *testing.T) {
	testkit.CheckLeaks(t)
	for name, c := range map[string]struct {
		end  func(s *session, pid int)
		want string
	}{
		"end":     {func(s *session, _ int) { s.typeIn("\r") }, "exit 3"},
		"TERM":    {func(s *session, _ int) { kill(s.job, unix.SIGTERM) }, "exit 143"},
		"killed":  {func(_ *session, pid int) { kill(pid, unix.SIGKILL) }, "exit 137"},
		"HUP":     {func(s *session, _ int) { kill(s.job, unix.SIGHUP) }, "exit 129"},
		"stopped": {func(s *session, _ int) { kill(s.job, unix.SIGTSTP) }, "stopped"},
	} {
		s := newSession(t, "relay", "sh", "-c", "echo ready $$; read x; exit 3")
		pid := s.expectPID()
		if !s.isRaw() {
			t.Errorf("%s: the terminal is not raw meanwhile", name)
		}
		c.end(s, pid)
		s.wantReport(c.want)
		if got := s.modes(); got != s.atFirst {
			t.Errorf("%s: modes %+v, want %+v", name, got, s.atFirst)
		}
		if c.want == "stopped" {
			s.tell("fg")
			eventually(t, "the terminal is raw again", s.isRaw)
			s.typeIn("\r")
			s.wantReport("exit 3")
		}
	}
}

func TestModesAreRestoredByPanic(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "relaypanic", "sleep", "60")
	s.expect("panic")
	s.wantReport("exit 2")
	if s.modes() != s.atFirst {
		t.Error("the terminal is raw after a panic")
	}
}

// A job in the background has no right to the terminal's modes, nor to what is
// typed there.
func TestBackgroundKeepsModes(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "relay", "sh", "-c", "echo ready $$; read x; exit 3")
	s.expectPID()
	kill(s.job, unix.SIGTSTP)
	s.wantReport("stopped")
	s.tell("bg")
	s.typeIn("ls\n")
	time.Sleep(400 * time.Millisecond)
	if s.modes() != s.atFirst {
		t.Error("the terminal is raw although its job is in the background")
	}
	if c := state(s.job); c != 'S' && c != 'R' {
		t.Errorf("it is in state %c", c)
	}
	if typed := s.typedAhead(); typed != "ls\n" {
		t.Errorf("the shell would read %q", typed)
	}
	// A shell does not continue what it takes to the foreground while it runs.
	kill(s.shell.Process.Pid, unix.SIGUSR1)
	eventually(t, "the terminal is raw", s.isRaw)
	s.typeIn("\r")
	s.wantReport("exit 3")
}

func TestLeftBehindKeepsTerminal(t *testing.T) {
	testkit.CheckLeaks(t)
	began := time.Now()
	s := newSession(t, "relay", "sh", "-c", "trap '' HUP; sleep 8 & echo done $!")
	pid := 0
	scan(t, s.expectLine("done "), &pid)
	s.wantReport("exit 0")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v", took)
	}
	kill(pid, unix.SIGKILL)
}

// With no terminal at all, every signal is somebody's who means the command.
func TestWithoutTerminal(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2} {
		cmd, pid := detached(t, "accompany", "sh", "-c", "echo ready $$; exec sleep 60")
		kill(cmd.Process.Pid, sig)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 128+int(sig) || !isGone(pid) {
			t.Errorf("%s: status %d, command gone: %v", sig, got, isGone(pid))
		}
	}
}

// Where nobody does job control, a stopped command stops only itself, or what
// continues it would leave us stopped for ever.
func TestStopWithoutTerminal(t *testing.T) {
	testkit.CheckLeaks(t)
	cmd, pid := detached(t, "accompany", "sh", "-c", "echo ready $$; kill -STOP $$; exec sleep 60")
	eventually(t, "the command stops", func() bool { return state(pid) == 'T' })
	time.Sleep(50 * time.Millisecond)
	if s := state(cmd.Process.Pid); s != 'S' {
		t.Errorf("we are in state %c", s)
	}
	kill(cmd.Process.Pid, unix.SIGCONT)
	eventually(t, "the command goes on", func() bool { return state(pid) == 'S' })
	kill(cmd.Process.Pid, unix.SIGTERM)
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 143 {
		t.Errorf("status %d", got)
	}
}

// Without a terminal the kernel stops nobody by SIGTSTP, but who asks for it
// is heard.
func TestStopRequestWithoutTerminal(t *testing.T) {
	testkit.CheckLeaks(t)
	cmd, pid := detached(t, "accompany", "sh", "-c", "trap 'exit 9' TSTP; echo ready $$; while :; do sleep 0.05; done")
	eventually(t, "the command has heard it", func() bool {
		kill(cmd.Process.Pid, unix.SIGTSTP) // Accompany may not have begun yet
		return isGone(pid)
	})
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 9 {
		t.Errorf("status %d", got)
	}
}

// detached starts a role without a terminal, and waits for its command's PID.
func detached(t *testing.T, job string, args ...string) (*exec.Cmd, int) {
	t.Helper()
	cmd := self(job, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if the test has failed
		_ = cmd.Wait()
	})
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	scan(t, string(buf[len("ready "):n]), &pid)
	return cmd, pid
}

func TestSignalBeforeAccompany(t *testing.T) {
	testkit.CheckLeaks(t)
	cmd := self("early", "sleep", "60")
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 143 {
		t.Errorf("status %d, want that of SIGTERM", got)
	}
}

func TestEffectsAreRestored(t *testing.T) {
	testkit.CheckLeaks(t)
	cmd := self("restored")
	_ = cmd.Run()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != unix.SIGTERM {
		t.Errorf("%s, want an end by SIGTERM", cmd.ProcessState)
	}
}

func TestIgnoredStaysIgnored(t *testing.T) {
	testkit.CheckLeaks(t)
	inner := self("accompany", "sh", "-c", "kill -HUP $PPID $$; exit 3")
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$0" "$@"`}, inner.Args...)...)
	cmd.Env = inner.Env
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 3 {
		t.Errorf("status %d: nohup is undone", got)
	}
}
