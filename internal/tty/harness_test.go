package tty

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is for how long a test waits for what has to happen.
const patience = 20 * time.Second

// session is a terminal with a shell on it that runs a job.
type session struct {
	t             testing.TB
	master, slave *os.File // the terminal's two ends; the slave is only looked at
	shell         *exec.Cmd
	reports       *bufio.Reader
	reportsFile   *os.File
	commands      *os.File
	job           int
	output        []byte // read and not yet expected
	atFirst       unix.Termios
}

// newSession starts a job: a role and its arguments.
func newSession(t testing.TB, job ...string) *session {
	t.Helper()
	s := &session{t: t}
	var err error
	if s.master, err = openMaster("/dev/ptmx"); err != nil {
		t.Fatal(err)
	}
	if s.slave, err = openSlave(s.master); err != nil {
		t.Fatal(err)
	}
	s.resize(40, 120)
	s.atFirst = s.modes()
	fromShell, reports, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	commands, toShell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.reports, s.reportsFile, s.commands = bufio.NewReader(fromShell), fromShell, toShell
	s.shell = self("shell", job...)
	s.shell.Stdin, s.shell.Stdout, s.shell.Stderr = s.slave, s.slave, s.slave
	s.shell.ExtraFiles = []*os.File{reports, commands}
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0, Pdeathsig: unix.SIGKILL}
	if err := s.shell.Start(); err != nil {
		t.Fatal(err)
	}
	reports.Close()
	commands.Close()
	t.Cleanup(s.close)
	if _, err := fmt.Sscanf(s.report(), "job %d", &s.job); err != nil {
		t.Fatal(err)
	}
	return s
}

// self is this test binary in a role.
func self(role string, args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// role is the command line of this test binary as a command of that role.
func role(name string, args ...string) []string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{path, "role=" + name}, args...)
}

func (s *session) close() {
	if s.t.Failed() {
		s.t.Logf("the terminal shows %q", s.output)
	}
	_ = s.shell.Process.Kill() // and by PDEATHSIG the job, and its command
	_ = s.shell.Wait()
	for _, f := range []*os.File{s.master, s.slave, s.reportsFile, s.commands} {
		f.Close()
	}
}

// report is the next thing that the shell says of its job.
func (s *session) report() string {
	s.t.Helper()
	_ = s.reportsFile.SetReadDeadline(time.Now().Add(patience))
	line, err := s.reports.ReadString('\n')
	if err != nil {
		s.t.Fatalf("waiting for a report on the job: %v; the terminal shows %q", err, s.output)
	}
	return strings.TrimSuffix(line, "\n")
}

// reports fails the test unless the shell says this next.
func (s *session) wantReport(want string) {
	s.t.Helper()
	if got := s.report(); got != want {
		s.t.Fatalf("the shell says %q, want %q", got, want)
	}
}

// tell tells the shell what to do with the stopped job.
func (s *session) tell(command string) {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.commands, command); err != nil {
		s.t.Fatal(err)
	}
	s.wantReport("continued")
}

func (s *session) typeIn(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits until the terminal shows a text, and returns what came before.
func (s *session) expect(text string) string {
	s.t.Helper()
	buf := make([]byte, 32<<10)
	_ = s.master.SetReadDeadline(time.Now().Add(patience))
	for {
		if before, after, found := bytes.Cut(s.output, []byte(text)); found {
			s.output = after
			return string(before)
		}
		n, err := s.master.Read(buf)
		s.output = append(s.output, buf[:n]...)
		if err != nil {
			s.t.Fatalf("waiting for %q: %v; the terminal shows %q", text, err, s.output)
		}
	}
}

// expectLine waits for a text, and returns what follows it on its line.
func (s *session) expectLine(text string) string {
	s.t.Helper()
	s.expect(text)
	return strings.TrimSpace(s.expect("\n"))
}

// expectPID waits for a line like "ready 123".
func (s *session) expectPID() (pid int) {
	s.t.Helper()
	scan(s.t, s.expectLine("ready "), &pid)
	return pid
}

func scan(t testing.TB, text string, value any) {
	t.Helper()
	if _, err := fmt.Sscan(text, value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

// typedAhead is what is there to be read from the terminal.
func (s *session) typedAhead() string {
	s.t.Helper()
	buf := make([]byte, 4096)
	n := 0
	err := control(s.slave, func(fd int) (err error) {
		for {
			if n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); n > 0 {
				n, err = unix.Read(fd, buf)
			}
			if err != unix.EINTR { // which Go's own signals make
				return err
			}
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(buf[:max(n, 0)])
}

func (s *session) resize(rows, columns uint16) {
	s.t.Helper()
	err := control(s.master, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) modes() unix.Termios {
	s.t.Helper()
	var modes *unix.Termios
	err := control(s.slave, func(fd int) (err error) {
		modes, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return *modes
}

func (s *session) setModes(modes *unix.Termios) {
	s.t.Helper()
	err := control(s.slave, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, modes) })
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) isRaw() bool { return s.modes().Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0 }

// eventually waits for something that has to become true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// isGone says that a process has ended, or is a zombie of somebody who is
// about to wait for it.
func isGone(pid int) bool {
	s := state(pid)
	return s == 0 || s == 'Z'
}

// state is the state letter in /proc/PID/stat, or 0.
func state(pid int) byte {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(stat), ") ")
	if !found {
		return 0
	}
	return rest[0]
}

func ptr[T any](p *T) unsafe.Pointer { return unsafe.Pointer(p) }
