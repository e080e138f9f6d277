package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// Parts that only a process of its own can play. Each gives its exit status.
var roles = map[string]func() int{
	"limit":  limitRole,
	"stops":  stopsRole,
	"keys":   keysRole,
	"parent": parentRole,
	"noexec": noexecRole,
}

// role starts this binary to play a part, from a shell with a prelude.
func role(name, prelude string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", prelude + ` exec "$0" "$@"`, "/proc/self/exe"}, args...)...)
	cmd.Args[3], _ = os.Executable()
	cmd.Env = append(os.Environ(), roleEnv+"="+name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func stdio() []*os.File { return []*os.File{os.Stdin, os.Stdout, os.Stderr} }

// limitRole lets programs print their limit, with and without our restoring it.
func limitRole() int {
	for _, way := range []Way{Memfd, Clone, Vfork} {
		var p Program
		a := shell(&p, "ulimit -Sn; ulimit -Hn")
		a.Way, a.Files = way, stdio()
		proc, err := Start(context.Background(), &p, a)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		_, _ = proc.Wait()
	}
	var own unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &own)
	fmt.Println(own.Cur)
	return 0
}

func TestLimitIsTheOriginalOne(t *testing.T) {
	testkit.CheckLeaks(t)
	for prelude, want := range map[string]string{
		"ulimit -Sn 100; ulimit -Hn 200;": "100 200 100 200 100 200 199", // Go has raised it
		"ulimit -Sn 200; ulimit -Hn 200;": "200 200 200 200 200 200 200",
		"ulimit -Sn 199; ulimit -Hn 200;": "199 200 199 200 199 200 199",
	} {
		text, err := role("limit", prelude).Output()
		if got := strings.Join(strings.Fields(string(text)), " "); got != want || err != nil {
			t.Errorf("%s %q, want %q; %v", prelude, got, want, err)
		}
	}
}

// parentRole starts a program that would outlive it. Its first argument is what
// becomes of that: it is to die "early", before it has asked for a signal,
// "late", by the signal, or "failing", at a step that it cannot report any
// more. The second is the way.
func parentRole() int {
	way := Memfd
	if os.Args[2] == "clone" {
		way = Clone
	}
	var p Program
	p.Fork()
	if os.Args[1] != "late" {
		p.Parent("say", func(pid int) error { fmt.Println(pid); return nil })
		sleep(&p, 300*time.Millisecond) // and now the parent is killed
	}
	switch os.Args[1] {
	case "early":
		p.DieWithParent(unix.SIGKILL)
		// To be seen whether it comes to this.
		p.Call("write", unix.SYS_WRITE, Int(1), p.String("alive\n"), Int(6))
		p.Exit(0)
	case "late":
		p.DieWithParent(unix.SIGKILL)
		p.Exec("/bin/sleep", "")
	case "failing":
		p.FailWith("nothing", unix.EIO)
	}
	proc, err := Start(context.Background(), &p, Attr{Argv: []string{"sleep", "60"}, Files: stdio(), Way: way})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(proc.Pid)
	_, _ = proc.Wait()
	return 0
}

func TestDieWithParent(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, when := range []string{"early", "late", "failing"} {
		for _, way := range []string{"memfd", "clone"} {
			t.Run(when+"/"+way, func(t *testing.T) {
				cmd := role("parent", "", when, way)
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				words := bufio.NewScanner(out)
				words.Scan()
				pid := 0
				if _, err := fmt.Sscan(words.Text(), &pid); err != nil {
					t.Errorf("%q: %v", words.Text(), err)
				}
				if err := unix.Kill(pid, 0); err != nil {
					t.Errorf("%d: %v", pid, err)
				}
				_ = cmd.Process.Kill()
				// The pipe ends when the program has ended as well.
				_ = out.(*os.File).SetReadDeadline(time.Now().Add(20 * time.Second))
				for words.Scan() {
					t.Errorf("it said %q", words.Text())
				}
				if err := words.Err(); err != nil {
					t.Errorf("%d lives on: %v", pid, err)
					_ = unix.Kill(pid, unix.SIGKILL)
				}
				_ = cmd.Wait()
			})
		}
	}
}

// noexecRole forbids executable memfds in its PID namespace, then starts
// programs.
func noexecRole() int {
	if err := os.WriteFile("/proc/sys/vm/memfd_noexec", []byte("2"), 0); err != nil {
		fmt.Println("no such setting:", err)
		return 3
	}
	a := Attr{Argv: []string{"true"}, Way: Memfd}
	_, err := Start(context.Background(), &Program{}, a)
	if !errors.Is(err, unix.EACCES) {
		fmt.Println("memfd:", err)
		return 1
	}
	a.Way = Auto
	var p Program
	p.Fork()
	p.Parent("look", func(pid int) error {
		exe, err := os.Readlink("/proc/self/exe")
		fmt.Println(exe)
		return err
	})
	p.Exec("/bin/true", "")
	proc, err := Start(context.Background(), &p, a)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if state, err := proc.Wait(); err != nil || !state.Success() {
		fmt.Println(state, err)
		return 1
	}
	return 0
}

func TestFallback(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireKernel(t, 6, 6)
	testkit.CheckLeaks(t)
	before, err := os.ReadFile("/proc/sys/vm/memfd_noexec")
	if err != nil {
		t.Fatal(err)
	}
	cmd := role("noexec", "")
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID
	cmd.SysProcAttr.Pdeathsig = 0 // the shell, as process 1, ignores it
	text, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
	if after, _ := os.ReadFile("/proc/sys/vm/memfd_noexec"); string(after) != string(before) {
		t.Errorf("the machine's setting was %s, is %s", before, after)
	}
}
