package tty

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// stubborn is a command that ignores whatever asks it to end.
var stubborn = []string{"sh", "-c", "trap '' TERM INT QUIT HUP; echo ready $$; while :; do sleep 1; done"}

func stubbornSession(t *testing.T, way string) (s *session, pid int) {
	t.Helper()
	s = newSession(t, append([]string{way}, stubborn...)...)
	return s, s.expectPID()
}

func TestEscape(t *testing.T) {
	testkit.CheckLeaks(t)
	s, pid := stubbornSession(t, "relay")
	s.typeIn("\x1d\x1d.\x1d") // not one after the other
	time.Sleep(100 * time.Millisecond)
	s.typeIn("\x1dx")
	time.Sleep(200 * time.Millisecond)
	if isGone(pid) {
		t.Fatal("that was not the escape")
	}
	for range 3 {
		s.typeIn("\x1d")
		time.Sleep(20 * time.Millisecond)
	}
	s.expect("ended by ^] three times, and the command was killed")
	s.wantReport("exit 99")
	if !isGone(pid) {
		t.Error("the command goes on")
	}
	if s.modes() != s.atFirst {
		t.Error("the terminal is raw")
	}
}

// The escape is seen even if the command reads nothing of what was typed before.
func TestEscapeIsSeenBehindOthers(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "relay", "sh", "-c", "stty raw; echo ready $$; exec sleep 60")
	s.expectPID()
	_ = s.master.SetWriteDeadline(time.Now().Add(patience))
	s.typeIn(strings.Repeat("0123456789abcdef", 8<<10))
	s.typeIn("\x1d\x1d\x1d")
	s.wantReport("exit 99")
}

func TestEscapeKeys(t *testing.T) {
	at := time.Now()
	var e escapes
	for _, c := range []struct {
		keys  string
		after time.Duration
		want  bool
	}{
		{"\x1d", 0, false},
		{"\x1d", 100, false},
		{"\x1d", 1200, false}, // too late for the first
		{"\x1d", 1900, false},
		{"\x1d", 2100, true},
		{"a\x1d", 2200, false},
		{"\x1d", 2300, false},
		{"b", 2400, false},
		{"\x1d\x1d", 2500, false},
		{"\x1dc", 2600, true},
	} {
		if got := e.typed([]byte(c.keys), at.Add(c.after*time.Millisecond)); got != c.want {
			t.Errorf("%q after %d ms: %v", c.keys, c.after, got)
		}
	}
}

// What asks us to end is heard, whatever the command does about it.
func TestStubbornCommand(t *testing.T) {
	for _, c := range []struct {
		way string
		sig syscall.Signal
	}{
		{"relay", unix.SIGTERM},
		{"relay", unix.SIGINT},
		{"relay", unix.SIGHUP},
		{"accompany", unix.SIGTERM},
	} {
		testkit.CheckLeaks(t)
		s, pid := stubbornSession(t, c.way)
		began := time.Now()
		kill(s.job, c.sig)
		s.expect("ended by " + unix.SignalName(c.sig))
		want := map[syscall.Signal]string{unix.SIGTERM: "exit 115", unix.SIGINT: "exit 102", unix.SIGHUP: "exit 101"}[c.sig]
		s.wantReport(want)
		if !isGone(pid) || s.modes() != s.atFirst {
			t.Errorf("%v: command gone: %v, or the terminal is raw", c, isGone(pid))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%v: it took %v", c, took)
		}
	}
}

// ^C is the keyboard's, and a command that ignores it goes on.
func TestStubbornCommandAndKeyboard(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s, pid := stubbornSession(t, way)
		s.typeIn("\x03")
		time.Sleep(300 * time.Millisecond)
		if isGone(pid) {
			t.Error("it was ended")
		}
		kill(s.job, unix.SIGTERM)
		s.wantReport("exit 115")
	})
}

// A terminal that is lost ends a stubborn command too, in the foreground and in
// the background, and one that goes on writing.
func TestStubbornCommandAndHangup(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, background := range []bool{false, true} {
		s, pid := stubbornSession(t, "relay")
		if background {
			kill(s.job, unix.SIGTSTP)
			s.wantReport("stopped")
			s.tell("bg")
		}
		s.slave.Close()
		s.master.Close()
		eventually(t, "the command is gone", func() bool { return isGone(pid) })
		eventually(t, "and so are we", func() bool { return isGone(s.job) })
	}
}

// Who ignores SIGHUP outlives the terminal, and so does the command.
func TestHangupUnderNohup(t *testing.T) {
	testkit.CheckLeaks(t)
	t.Setenv(nohupEnv, "1")
	s := newSession(t, "relay", "sh", "-c", "echo ready $$; exec sleep 60")
	pid := s.expectPID()
	s.slave.Close()
	s.master.Close()
	time.Sleep(HangupGrace + 500*time.Millisecond)
	if isGone(pid) || isGone(s.job) {
		t.Errorf("command gone: %v, we: %v", isGone(pid), isGone(s.job))
	}
	kill(pid, unix.SIGKILL)
	eventually(t, "we are gone", func() bool { return isGone(s.job) })
}

// A background job hears a shell's kill %1, which is SIGTERM and then SIGCONT to
// its group, although it would read from the terminal, or write with tostop.
func TestBackgroundJobEnds(t *testing.T) {
	testkit.CheckLeaks(t)
	for name, command := range map[string][]string{
		"reads":  {"sh", "-c", "echo ready $$; exec cat"},
		"writes": {"sh", "-c", "echo ready $$; sleep 0.5; exec yes"},
	} {
		s := newSession(t, append([]string{"relay"}, command...)...)
		pid := s.expectPID()
		modes := s.atFirst
		modes.Lflag |= unix.TOSTOP
		kill(s.job, unix.SIGTSTP)
		s.wantReport("stopped")
		s.setModes(&modes)
		s.tell("bg")
		s.typeIn("what the shell reads\n")
		time.Sleep(time.Second)
		kill(-s.job, unix.SIGTERM)
		kill(-s.job, unix.SIGCONT)
		s.wantReport("exit 143")
		if !isGone(pid) {
			t.Errorf("%s: the command goes on", name)
		}
	}
}
