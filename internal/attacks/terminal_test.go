package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// The caller's terminal, and an end to everything.

// typed is what the attacker types into a terminal that is not its own.
const typed = "typed\n"

// playTypist is a command that types into the terminal of whoever entered, by all
// descriptors that it has, and from a child that stays when it ends: TIOCSTI in
// ioctl_tty(2). It also tries to paste (TIOCLINUX).
func playTypist(args []string) int {
	if len(args) == 0 {
		child := exec.Command(os.Args[0], "later")
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		_ = child.Start()
	} else {
		time.Sleep(300 * time.Millisecond)
	}
	fds := []int{0, 1, 2}
	if fd, err := unix.Open("/dev/tty", unix.O_RDWR, 0); err == nil {
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		for _, c := range []byte(typed) {
			_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
		}
		paste := [2]byte{3}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCLINUX, uintptr(unsafe.Pointer(&paste)))
	}
	return 0
}

// playShell is the caller's shell: it runs a tool on its terminal and then says how
// many bytes wait to be read as the next command.
func playShell(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	time.Sleep(600 * time.Millisecond)
	if modes, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		modes.Lflag &^= unix.ICANON
		_ = unix.IoctlSetTermios(0, unix.TCSETS, modes)
	}
	n, _ := unix.IoctlGetInt(0, unix.TIOCINQ)
	fmt.Printf("%v, %d bytes typed\n", err, n)
	return 0
}

// onTerminal runs a tool by a shell on a terminal of its own.
func onTerminal(t *testing.T, argv []string) string {
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
	defer slave.Close()
	said := make(chan string, 1)
	go func() {
		var all []byte
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			all = append(all, buffer[:n]...)
			if err != nil {
				said <- string(all)
				return
			}
		}
	}()
	o := run(t, func(cmd *exec.Cmd) {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	}, append([]string{program("shell")}, argv...), nil)
	if o.hung {
		t.Errorf("%q hung", argv)
	}
	slave.Close()
	return <-said
}

func TestTyping(t *testing.T) {
	requireTargets(t)
	places := []place{ordinary(), rootful(dockerCaps), rootful(0x1ffffffffff), mapped(0x1ffffffffff)}
	filters := map[string][]filter{
		"no filter": nil,
		"fakes":     {{Calls: fakes.Calls, Answer: unix.SECCOMP_RET_ERRNO, Request: unix.TIOCSCTTY}},
		"session":   {{Calls: []uint32{unix.SYS_SETSID}, Answer: unix.SECCOMP_RET_ERRNO, Request: unix.TIOCSCTTY}},
		"terminal":  {{Answer: unix.SECCOMP_RET_ERRNO, Request: unix.TIOCSCTTY}},
	}
	if !full() {
		places = []place{ordinary(), rootful(0x1ffffffffff)}
	}
	for _, p := range places {
		for name, f := range filters {
			t.Run(p.name+", "+name, func(t *testing.T) {
				pid := p.filtered(t, f...)
				resist(t, func(t *testing.T, e entrant) string {
					said := onTerminal(t, e.argv(pid, nil, program("typist")))
					switch {
					case strings.Contains(said, " 0 bytes typed"):
						return ""
					case strings.Contains(said, "bytes typed"):
						return "the caller's shell would have run what was typed: " + said
					}
					t.Errorf("the shell said %q", said)
					return ""
				}, nsenter)
			})
		}
	}
}

// The command, and the target, ignore all signals that can be ignored: SIGINT and
// SIGTERM end nsx all the same while the helper is on its way. A frozen group of the
// target's keeps that from coming anywhere.
func TestEndWhileStarting(t *testing.T) {
	requireTargets(t)
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		for _, delay := range []time.Duration{0, 2, 5, 10, 15, 20, 30, 50} {
			pid := rootful(dockerCaps).idle(t)
			group := inGroup(t, "freezer", "attack-starting", pid, "freezer.state=FROZEN")
			o := run(t, nil, nsx.argv(pid, []string{"-c", "--no-seccomp"}, program("idle")), func(tool int) *facts {
				time.Sleep(delay * time.Millisecond)
				for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
					_ = unix.Kill(tool, signal)
					if _, running := children(tool); !running {
						return nil
					}
					if time.Now().After(end) {
						t.Errorf("%v after %v: nsx does not end", signal, delay)
						_ = os.WriteFile(group+"/freezer.state", []byte("THAWED"), 0)
						return nil
					}
				}
			})
			_ = o
			_ = os.WriteFile(group+"/freezer.state", []byte("THAWED"), 0)
			_ = unix.Kill(pid, unix.SIGKILL)
			testkit.WaitFor(t, tooLong, "the group to be empty", func() bool { return os.Remove(group) == nil })
		}
	}
}
