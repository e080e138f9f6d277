package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// as is this test binary as one of its programs.
func as(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = name
	return cmd
}

// injectEnv makes the test binary do what injectMain does, under any name.
const injectEnv = "NSX_TEST_INJECT"

// injectMain is what a hostile target does: it types a command into the
// terminal of its session, whatever its files are (TIOCSTI in ioctl_tty(2)).
func injectMain() {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return // it has none
	}
	for _, c := range []byte("evil\n") {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, terminal.Fd(), unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
		if errno != 0 {
			fmt.Println(errno)
			return
		}
	}
}

// typedMain is a shell: it runs a command, and says what it would read next.
func typedMain() {
	args := os.Args[1:]
	cmd := as(args[1], args[2:]...)
	if args[0] != "redirected" { // which is all to /dev/null
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	err := cmd.Run()
	modes, modesErr := unix.IoctlGetTermios(0, unix.TCGETS)
	if modesErr != nil {
		os.Exit(1)
	}
	modes.Lflag &^= unix.ICANON
	_ = unix.IoctlSetTermios(0, unix.TCSETS, modes)
	n, _ := unix.IoctlGetInt(0, unix.TIOCINQ)
	fmt.Printf("%v, %d bytes typed\n", err, n)
}

// onTerminal runs a shell with one command on a terminal of its own.
func onTerminal(t *testing.T, how string, command ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shell := as("nsx-test-typed", append([]string{how}, command...)...)
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = shell.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = shell.Process.Kill() })
	defer kill.Stop()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, master) // EIO at the end
	if err := shell.Wait(); err != nil {
		t.Errorf("%v: %q", err, shown.String())
	}
	return shown.String()
}

// What a target runs cannot type into our terminal, whichever way it is started
// and wherever its files lead.
func TestInjection(t *testing.T) {
	testkit.RequireNS(t, "user", "mnt")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "mnt"}})
	pid := strconv.Itoa(p.PID)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inject := []string{"--", "env", injectEnv + "=1", self}
	run := func(how string, command ...string) string {
		return onTerminal(t, how, append(append([]string{"nsx"}, command...), inject...)...)
	}
	allowed, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
	if err != nil || strings.TrimSpace(string(allowed)) == "1" || os.Geteuid() == 0 {
		if shown := run("redirected", "enter", "--privileged", pid); !strings.Contains(shown, "<nil>, 5 bytes typed") {
			t.Errorf("with our own terminal it should have been possible, or the rest means nothing: %q", shown)
		}
	}
	for _, how := range []string{"open", "redirected"} {
		for _, command := range [][]string{
			// The fixture's environment would make this program the fixture again.
			{"enter", "--own-env", pid},
			{"enter", "--own-env", "-t", pid, "-U", "-m"},
			{"enter", "--own-env", "--user", pid, "--mnt", p.Path("ns", "mnt")},
			{"foreach", "--own-env", pid},
			{"foreach", "--own-env", "--prefix", pid},
			{"foreach", "--own-env", "-o", "json", pid},
		} {
			if shown := run(how, command...); !strings.Contains(shown, "<nil>, 0 bytes typed") {
				t.Errorf("%s, files %s: %q", command, how, shown)
			}
		}
	}
}

// Whoever has no right to a target is told who has.
func TestForeignUser(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, testkit.AllNS...)
	p := testkit.Start(t, testkit.Config{New: testkit.AllNS, UID: 1000})
	for _, flags := range [][]string{{"-a"}, {"-U"}, {"-n"}} {
		cmd := as("nsx", append([]string{"enter", "-t", strconv.Itoa(p.PID)}, append(flags, "touch", "/nsx-test-here")...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 1001}}
		said, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != exitOwn || bytes.Count(said, []byte("\n")) != 1 ||
			!strings.Contains(string(said), "permission denied (EACCES): it takes the right to trace the process") ||
			!strings.Contains(string(said), "run as root or as the process's user") {
			t.Errorf("%s: %v: %s", flags, err, said)
		}
	}
}
