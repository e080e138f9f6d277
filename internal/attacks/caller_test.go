package attacks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tooLong is when a command that should have ended hangs.
const tooLong = 20 * time.Second

// playCaller becomes its arguments as somebody who has something to lose: groups,
// a session keyring with a key, a secret in the environment and open descriptors,
// 7 of them the host's root directory.
func playCaller(args []string) int {
	err := func() error {
		if err := unix.Setgroups([]int{0, 4, 6}); err != nil {
			return err
		}
		if _, err := unix.KeyctlJoinSessionKeyring(secretKey); err != nil {
			return err
		}
		if _, err := unix.AddKey("user", secretKey, []byte(secretText), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
			return err
		}
		for _, fd := range []int{3, 4, 5, 6, 7} {
			root, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if root == fd {
				_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
			} else {
				err = unix.Dup3(root, fd, 0)
			}
			if err != nil {
				return err
			}
		}
		env := append(os.Environ(), secretEnv+"="+secretText)
		path, err := exec.LookPath(args[0])
		if err != nil {
			return err
		}
		return unix.Exec(path, args, env)
	}()
	fmt.Fprintln(os.Stderr, "caller:", err)
	return 1
}

// spawn starts processes on a thread that lasts, because they get SIGKILL when
// that ends.
var spawn = make(chan func())

func spawnLoop() {
	runtime.LockOSThread()
	for f := range spawn {
		f()
	}
}

// started is a command in new namespaces that ends with this process.
func started(flags uintptr, words ...string) *exec.Cmd {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: unix.SIGKILL}
	return cmd
}

func start(cmd *exec.Cmd) error {
	failed := make(chan error)
	spawn <- func() { failed <- cmd.Start() }
	return <-failed
}

// launch starts a command and ends it with the test.
func launch(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := start(cmd); err != nil {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	known[cmd.Process.Pid] = true
	t.Cleanup(func() {
		delete(known, cmd.Process.Pid)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		strays(2 * time.Second) // what was its child is ours
	})
}

// entrant is a tool that enters: nsx, or a peer of it.
type entrant struct {
	name string
	argv func(pid int, flags []string, words ...string) []string
}

// nsx is the one that is attacked.
var nsx = entrant{"nsx", func(pid int, flags []string, words ...string) []string {
	argv := append([]string{nsxBinary, "enter"}, flags...)
	return append(append(argv, strconv.Itoa(pid), "--"), words...)
}}

// nsenter is util-linux's, which knows no flags of ours.
var nsenter = entrant{"nsenter", func(pid int, _ []string, words ...string) []string {
	return append([]string{"nsenter", "-a", "-t", strconv.Itoa(pid), "--"}, words...)
}}

// outcome is how an entry ended.
type outcome struct {
	stdout, stderr string
	status         int // -1: a signal
	hung           bool
	inside         *facts // of its command, if that was looked at
}

// failed says that there was no command: the tool refused, or could not execute it.
func (o outcome) failed() bool { return o.inside == nil && o.status >= 125 && o.status <= 127 }

func (o outcome) String() string {
	text := fmt.Sprintf("status %d, stdout %q, stderr %q", o.status, o.stdout, o.stderr)
	if o.hung {
		text = "it hung: " + text
	}
	return text
}

// command is a tool, started by the caller with the most to lose.
func command(argv []string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	cmd = started(0, append([]string{program("caller")}, argv...)...)
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 2 * time.Second
	return cmd, stdout, stderr
}

// enter runs a command inside a target to its end.
func (e entrant) enter(t testing.TB, pid int, flags []string, words ...string) outcome {
	t.Helper()
	return run(t, nil, e.argv(pid, flags, words...), nil)
}

// run runs a tool to its end, which is bounded. during is called when it has
// started.
func run(t testing.TB, change func(*exec.Cmd), argv []string, during func(tool int) *facts) (o outcome) {
	t.Helper()
	ours := slices.Contains(argv, nsxBinary) // whose commands end with it
	cmd, stdout, stderr := command(argv)
	if change != nil {
		change(cmd)
	}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if during != nil {
		o.inside = during(cmd.Process.Pid)
		_, running := children(cmd.Process.Pid)
		o.hung = running && o.inside == nil
		_ = cmd.Process.Kill()
		if o.inside != nil && !ours {
			_ = unix.Kill(o.inside.pid, unix.SIGKILL)
		}
	}
	var err error
	select {
	case err = <-ended:
	case <-time.After(tooLong):
		o.hung = true
		_ = cmd.Process.Kill()
		err = <-ended
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatal(err)
	}
	o.stdout, o.stderr, o.status = stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	patience := time.Duration(0)
	if ours {
		patience = 2 * time.Second
	}
	if left := strays(patience); len(left) > 0 && ours && !mayStay {
		t.Errorf("%q left behind: %q", argv, left)
	}
	return o
}

// look enters a target with a command that waits, looks at that from outside and
// ends the tool.
func (e entrant) look(t testing.TB, pid int, flags ...string) outcome {
	t.Helper()
	return e.lookAt(t, pid, program("idle"), flags...)
}

func (e entrant) lookAt(t testing.TB, pid int, idle string, flags ...string) outcome {
	t.Helper()
	return run(t, nil, e.argv(pid, flags, idle), findIdle)
}

// findIdle waits until a child of the tool is the idle program and has been let go,
// and looks at it; nil if the tool ends before that, or takes too long.
func findIdle(tool int) *facts {
	for end := time.Now().Add(tooLong / 2); time.Now().Before(end); time.Sleep(time.Millisecond) {
		pids, running := children(tool)
		if !running {
			return nil
		}
		for _, pid := range append(pids, tool) {
			if !isIdle(pid) {
				continue
			}
			if f := factsOf(pid); f != nil { // else it was killed meanwhile
				return f
			}
		}
	}
	return nil
}

func isIdle(pid int) bool {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || filepath.Base(link) != "idle" {
		return false
	}
	// While it is traced, nsx looks at it too, and may end it.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && field(string(status), "TracerPid") == "0"
}

// children lists a process's children, and says whether it lives.
func children(pid int) (pids []int, running bool) {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(state, ')'); err != nil || i < 0 || len(state) < i+3 || state[i+2] == 'Z' {
		return nil, false
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids, true
}

// mayStay lets commands outlive nsx that was killed: where a filter of the target's
// does not let them ask for the signal (PR_SET_PDEATHSIG), as a program of the target
// may do itself at any time.
var mayStay bool

// known is our children that are no tools' leftovers.
var known = map[int]bool{}

// strays ends and lists the processes that a tool has left to us and that do not go
// by themselves in time.
func strays(patience time.Duration) (list []string) {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		list = nil
		pids, _ := children(os.Getpid())
		for _, pid := range pids {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil || known[pid] {
				continue
			}
			if field(string(status), "State")[0] == 'Z' {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
				continue
			}
			list = append(list, fmt.Sprintf("%d %s %s", pid, field(string(status), "Name"), field(string(status), "State")))
			if time.Now().After(end) {
				_ = unix.Kill(pid, unix.SIGKILL)
				_, _ = unix.Wait4(pid, nil, 0, nil)
			}
		}
		if len(list) == 0 || time.Now().After(end) {
			return list
		}
	}
}
