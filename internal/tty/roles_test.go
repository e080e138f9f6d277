package tty

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"nsx/internal/testkit"
)

// roleEnv says to a re-executed test binary which part it plays.
const roleEnv = "NSX_TTY_ROLE"

// nohupEnv makes it one that ignores SIGHUP.
const nohupEnv = "NSX_TTY_NOHUP"

var roles = map[string]func(args []string) int{
	"shell":      shell,
	"accompany":  func(args []string) int { return accompany(args, func() {}) },
	"early":      func(args []string) int { return accompany(args, func() { kill(os.Getpid(), unix.SIGTERM) }) },
	"relay":      func(args []string) int { return relay(args, false) },
	"relaypanic": func(args []string) int { return relay(args, true) },
	"restored":   restored,
	"count":      count,
	"echo":       echoRaw,
	"inject":     inject,
	"inner":      innerShell,
}

func TestMain(m *testing.M) {
	role, args := os.Getenv(roleEnv), os.Args[1:]
	if role == "" && len(args) > 0 { // a command of a role
		role, args = strings.TrimPrefix(args[0], "role="), args[1:]
	}
	if os.Getenv(nohupEnv) != "" {
		signal.Ignore(unix.SIGHUP)
	}
	if play, ok := roles[role]; ok {
		runtime.LockOSThread() // PDEATHSIG is about the thread that has forked
		os.Unsetenv(roleEnv)
		time.AfterFunc(time.Minute, func() { os.Exit(98) })
		os.Exit(play(args))
	}
	os.Exit(testkit.Main(m))
}

// accompany plays nsx with a command that shares its terminal.
func accompany(args []string, between func()) int {
	signals := Catch()
	defer signals.Stop()
	p := start(args, [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, &syscall.SysProcAttr{})
	between()
	return status(signals.Accompany(p))
}

// relay plays nsx with a command that has a pseudoterminal of its own.
func relay(args []string, panics bool) int {
	signals := Catch()
	defer signals.Stop()
	pty, err := Open(os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	defer pty.Close()
	p := start(args, pty.Files, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: pty.Controlling})
	if panics {
		p = nil
	}
	return status(pty.Relay(signals, p))
}

func start(args []string, files [3]*os.File, attr *syscall.SysProcAttr) *os.Process {
	attr.Pdeathsig = unix.SIGKILL
	path, err := exec.LookPath(args[0])
	if err != nil {
		panic(err)
	}
	p, err := os.StartProcess(path, args, &os.ProcAttr{Files: files[:], Sys: attr, Env: os.Environ()})
	if err != nil {
		panic(err)
	}
	return p
}

func status(state *os.ProcessState, err error) int {
	if ended, ok := errors.AsType[*EndedError](err); ok {
		fmt.Fprintln(os.Stderr, err)
		if ended.By != 0 {
			return 100 + int(ended.By)
		}
		return 99
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	if s := state.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal())
	}
	return state.ExitCode()
}

// restored ends by the signal that it sends itself after Stop.
func restored([]string) int {
	signals := Catch()
	_, _ = signals.Accompany(start([]string{"true"}, [3]*os.File{}, &syscall.SysProcAttr{}))
	signals.Stop()
	signals.Stop()
	kill(os.Getpid(), unix.SIGTERM)
	time.Sleep(5 * time.Second)
	return 1
}

// count is a command that says how many SIGINT it gets within half a second
// from the first on.
func count([]string) int {
	c := make(chan os.Signal, 8)
	signal.Notify(c, unix.SIGINT)
	fmt.Println("ready")
	<-c
	time.Sleep(500 * time.Millisecond)
	return 1 + len(c)
}

// echoRaw is a command that sends back, in raw mode, as many bytes as it is
// told.
func echoRaw(args []string) int {
	var n int64
	_, _ = fmt.Sscan(args[0], &n)
	if _, err := term.MakeRaw(0); err != nil {
		panic(err)
	}
	fmt.Print("ready")
	if _, err := io.CopyN(os.Stdout, os.Stdin, n); err != nil {
		panic(err)
	}
	return 0
}

// inject is a command that types into every terminal that it can get at, and
// says what came of it on its own.
func inject([]string) int {
	files := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	if fd, err := unix.Open("/dev/tty", unix.O_RDWR, 0); err == nil {
		files = append(files, fd)
	}
	var own error
	for _, fd := range files {
		for _, c := range []byte("evil\n") {
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(ptr(&c)))
			if fd == 0 && errno != 0 {
				own = errno
			}
		}
	}
	fmt.Printf("injected: %v\n", own)
	return 0
}

// innerShell is a command that, as an interactive shell does, takes the
// terminal for a process group of its own, stops, and then reads.
func innerShell([]string) int {
	if err := unix.Setpgid(0, 0); err != nil {
		panic(err)
	}
	for range 5 {
		toForeground(unix.Getpid())
		kill(unix.Getpid(), unix.SIGSTOP)
		signal.Ignore(unix.SIGTTIN) // in the background, reading is an error (EIO)
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 5
}

// shell is a shell with job control: the leader of a session with a terminal.
// It runs one job, of the role args[0], in the foreground, says what happens to
// it on descriptor 3, and does what it is told on 4. SIGUSR1 has it take the job
// to the foreground while it runs.
func shell(args []string) int {
	reports, commands := os.NewFile(3, "reports"), bufio.NewReader(os.NewFile(4, "commands"))
	attr := &syscall.SysProcAttr{Foreground: true, Ctty: 0, Pdeathsig: unix.SIGKILL}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	if len(args) > 1 && strings.HasPrefix(args[0], "stdout=") {
		out, err := os.OpenFile(strings.TrimPrefix(args[0], "stdout="), os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		files[1], args = out, args[1:]
	}
	self, _ := os.Executable()
	job, err := os.StartProcess(self, append([]string{self}, args[1:]...), &os.ProcAttr{
		Files: files, Sys: attr, Env: append(os.Environ(), roleEnv+"="+args[0]),
	})
	if err != nil {
		panic(err)
	}
	quietly := make(chan os.Signal, 1)
	signal.Notify(quietly, unix.SIGUSR1)
	go func() {
		<-quietly
		toForeground(job.Pid)
	}()
	fmt.Fprintf(reports, "job %d\n", job.Pid)
	for {
		var s unix.WaitStatus
		if _, err := unix.Wait4(job.Pid, &s, unix.WUNTRACED, nil); err != nil {
			if err == unix.EINTR {
				continue
			}
			panic(err)
		}
		toForeground(unix.Getpgrp())
		switch {
		case s.Exited():
			fmt.Fprintf(reports, "exit %d\n", s.ExitStatus())
			return 0
		case s.Signaled():
			fmt.Fprintf(reports, "signal %d\n", s.Signal())
			return 0
		}
		fmt.Fprintf(reports, "stopped\n")
		command, err := commands.ReadString('\n')
		if err != nil {
			return 1
		}
		whom := -job.Pid
		switch command {
		case "fg\n":
			toForeground(job.Pid)
		case "fg alone\n": // does not continue the whole group
			toForeground(job.Pid)
			whom = job.Pid
		case "bg\n":
		}
		kill(whom, unix.SIGCONT)
		fmt.Fprintf(reports, "continued\n")
	}
}

// toForeground makes a process group the terminal's foreground group. One that
// is not would be stopped for it, but for the mask.
func toForeground(group int) {
	var ttou unix.Sigset_t
	binary.NativeEndian.PutUint64((*[8]byte)(ptr(&ttou))[:], 1<<(unix.SIGTTOU-1))
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, nil); err != nil {
		panic(err)
	}
	if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, group); err != nil && err != unix.EIO {
		panic(err) // EIO: hung up
	}
	if err := unix.PthreadSigmask(unix.SIG_UNBLOCK, &ttou, nil); err != nil {
		panic(err)
	}
}

func kill(pid int, sig syscall.Signal) {
	if err := unix.Kill(pid, sig); err != nil {
		panic(fmt.Sprintf("kill %d: %v", pid, err))
	}
}
