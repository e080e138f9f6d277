package tty

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// Both ways of standing in for a command.
var both = []string{"accompany", "relay"}

func eachWay(t *testing.T, test func(t *testing.T, way string)) {
	for _, way := range both {
		t.Run(way, func(t *testing.T) {
			testkit.CheckLeaks(t)
			test(t, way)
		})
	}
}

func TestStatus(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		for script, want := range map[string]string{
			"exit 0": "exit 0", "exit 1": "exit 1", "exit 42": "exit 42", "exit 255": "exit 255",
			"kill -SEGV $$": "exit 139", "kill -KILL $$": "exit 137", "kill -INT $$": "exit 130",
		} {
			s := newSession(t, way, "sh", "-c", script)
			if got := s.report(); got != want {
				t.Errorf("%s: %s, want %s", script, got, want)
			}
		}
	})
}

func TestSignalsAreHandedOn(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2} {
			s := newSession(t, way, "sh", "-c", "echo ready $$; exec sleep 60")
			pid := s.expectPID()
			kill(s.job, sig)
			s.wantReport(fmt.Sprintf("exit %d", 128+int(sig)))
			if !isGone(pid) {
				t.Errorf("%s: the command goes on", sig)
			}
		}
	})
}

func TestKeyboardInterrupt(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, way, "sh", "-c", "trap 'exit 7' INT; echo ready; while :; do sleep 0.1; done")
		s.expect("ready")
		s.typeIn("\x03")
		s.wantReport("exit 7")
		s = newSession(t, way, "sh", "-c", "echo ready; exec sleep 60")
		s.expect("ready")
		s.typeIn("\x1c")
		s.wantReport("exit 131")
	})
}

func TestKeyboardInterruptComesOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, append([]string{way}, role("count")...)...)
		s.expect("ready")
		s.typeIn("\x03")
		s.wantReport("exit 1")
	})
}

func TestStopAndForeground(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "accompany", "sh", "-c", "echo ready $$; read x; exit 4")
	pid := s.expectPID()
	for i := range 50 {
		s.typeIn("\x1a")
		s.wantReport("stopped")
		if i%2 == 0 {
			s.tell("fg") // and ^Z again at once
			continue
		}
		s.tell("fg alone")
		eventually(t, "the command goes on", func() bool { return state(pid) != 'T' })
	}
	s.typeIn("\n")
	s.wantReport("exit 4")
}

// The shell's own stop and kill -STOP %1 are for the whole process group, and
// cannot be caught.
func TestGroupStopAndForeground(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, way, "sh", "-c", "echo ready; read x; exit 4")
		s.expect("ready")
		for range 20 {
			kill(-s.job, unix.SIGSTOP)
			s.wantReport("stopped")
			s.tell("fg")
		}
		if way == "relay" {
			eventually(t, "raw again", s.isRaw)
		}
		s.typeIn("\r")
		s.wantReport("exit 4")
	})
}

// A program that handles ^Z itself decides; nothing is stopped over its head.
func TestStopKeyIsTheCommands(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "accompany", "sh", "-c", "trap 'exit 9' TSTP; echo ready; read x; exit 1")
	s.expect("ready")
	s.typeIn("\x1a")
	s.wantReport("exit 9")
}

func TestCommandStopsItself(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		for _, how := range []string{"fg", "fg alone"} {
			s := newSession(t, way, "sh", "-c", "for i in 1 2 3 4 5; do kill -STOP $$; done; echo ready; read x; exit 5")
			for range 5 {
				s.wantReport("stopped")
				if s.isRaw() {
					t.Error("the terminal is raw while the job is stopped")
				}
				s.tell(how)
			}
			s.expect("ready")
			s.typeIn("\r")
			s.wantReport("exit 5")
		}
	})
}

// A shell as the command has a process group of its own in the foreground. It
// finds it there again after its stop (suspend).
func TestTerminalIsGivenBack(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, append([]string{"accompany"}, role("inner")...)...)
	for range 5 {
		s.wantReport("stopped")
		s.tell("fg")
		s.typeIn("\n")
	}
	s.wantReport("exit 5")
}

func TestBackgroundReadStops(t *testing.T) {
	testkit.CheckLeaks(t)
	s := newSession(t, "accompany", "sh", "-c", "kill -STOP $$; read x; exit 6")
	s.wantReport("stopped")
	s.tell("bg") // it reads: SIGTTIN
	s.wantReport("stopped")
	s.tell("fg")
	s.typeIn("\n")
	s.wantReport("exit 6")
}

func TestSize(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, way, "sh", "-c", "trap 'stty size; exit 0' WINCH; stty size; echo ready; while :; do sleep 0.1; done")
		if before := s.expect("ready"); !strings.Contains(before, "40 120") {
			t.Errorf("size at first: %q", before)
		}
		s.resize(33, 99)
		s.expect("33 99")
		s.wantReport("exit 0")
	})
}

func TestHangup(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, way, "sh", "-c", "echo ready $$; exec sleep 60")
		pid := s.expectPID()
		s.slave.Close()
		s.master.Close()
		eventually(t, "the command is gone", func() bool { return isGone(pid) })
	})
}

// A command may close the terminal and open it again.
func TestReopenedTerminal(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		s := newSession(t, way, "sh", "-c", "exec <&- >&- 2>&-; sleep 0.1; exec </dev/tty >/dev/tty; echo ready; read x; echo got $x; exit 8")
		s.expect("ready")
		s.typeIn("this\r")
		s.expect("got this")
		s.wantReport("exit 8")
	})
}

func TestOutputIsComplete(t *testing.T) {
	eachWay(t, func(t *testing.T, way string) {
		for range 3 {
			s := newSession(t, way, "seq", "1", "20000")
			time.Sleep(50 * time.Millisecond) // the terminal is slow
			lines := strings.Fields(s.expect("\n20000\r\n"))
			if len(lines) != 19999 {
				t.Errorf("%d lines", len(lines))
			}
			s.wantReport("exit 0")
		}
	})
}
