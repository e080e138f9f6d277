package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

func TestVfork(t *testing.T) {
	testkit.CheckLeaks(t)
	var p Program
	a := shell(&p, `echo "$0 $1 $NAME"; ls /proc/self/fd; exit 7`)
	a.Argv = append(a.Argv, "zero", "one")
	a.Way, a.Env = Vfork, append(a.Env, "NAME=value")
	text, state := output(t, &p, a)
	// 0, which is closed, becomes the directory that ls reads.
	if got := strings.Fields(text); exitStatus(state) != 7 || strings.Join(got, " ") != "zero one value 0 1 2" {
		t.Errorf("%q, %v", got, state)
	}

	p = Program{}
	p.Setns("setns(net)", Int(99), unix.CLONE_NEWNET)
	p.Exec("true", DefaultPath)
	failsAt(t, &p, Attr{Argv: []string{"true"}, Way: Vfork}, "setns(net)", unix.EBADF)

	p = Program{}
	p.Exec("nonexistent", DefaultPath)
	failsAt(t, &p, Attr{Argv: []string{"true"}, Way: Vfork}, "exec nonexistent", unix.ENOENT)
}

func TestVforkIsNotForAll(t *testing.T) {
	var forks, asks Program
	forks.Fork()
	asks.Parent("ask", func(int) error { return nil })
	for _, p := range []*Program{&forks, &asks} {
		proc, err := Start(context.Background(), p, Attr{Argv: []string{"true"}, Way: Vfork})
		if err == nil {
			_, _ = proc.Wait()
			t.Error("it was started")
		}
	}
}

// TestVforkLeavesUsAlone starts programs in another network namespace from many
// goroutines, while the collector works, others fork too, and signals that are
// caught come in: the memory in use is ours.
func TestVforkLeavesUsAlone(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "net")
	testkit.CheckLeaks(t)
	target := testkit.Start(t, testkit.Config{New: []string{"net"}})
	ns, err := os.Open(target.Path("ns/net"))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	own, err := testkit.OwnNS("net")
	if err != nil {
		t.Fatal(err)
	}
	want := "net:[" + strconv.FormatUint(target.NS("net"), 10) + "]\n"
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGUSR1)
	defer signal.Stop(caught)
	defer makeGarbage(16)()
	runs := testkit.Rounds(100, 25)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range runs {
				_ = unix.Kill(os.Getpid(), unix.SIGUSR1)
				var p Program
				if i%4 == 0 {
					p.Fork()
					p.Exec("true", DefaultPath)
					proc, err := Start(context.Background(), &p, Attr{Argv: []string{"true"}})
					if err == nil {
						_, err = proc.Wait()
					}
					if err != nil {
						t.Error(err)
					}
					continue
				}
				p.Setns("setns(net)", p.File(ns), unix.CLONE_NEWNET)
				p.CloseFiles()
				p.DieWithParent(unix.SIGKILL)
				p.Exec("readlink", DefaultPath)
				text, state := output(t, &p, Attr{Argv: []string{"readlink", "/proc/self/ns/net"}, Way: Vfork})
				if exitStatus(state) != 0 || text != want {
					t.Errorf("%q, %v", text, state)
				}
			}
		})
	}
	wg.Wait()
	if now, err := testkit.OwnNS("net"); now != own {
		t.Errorf("we are in net:[%d], %v", now, err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 1 {
		t.Errorf("dumpable: %d, %v", dumpable, err)
	}
}

// TestVforkFallsBack is about seccomp filters that do not know clone3(2).
func TestVforkFallsBack(t *testing.T) {
	testkit.CheckLeaks(t)
	done := make(chan error)
	linux.OnThread(func() {
		err := refuseClone3()
		if err == nil {
			var p Program
			var proc *os.Process
			p.Exec("true", DefaultPath)
			if proc, err = Start(context.Background(), &p, Attr{Argv: []string{"true"}, Way: Vfork}); err == nil {
				_, err = proc.Wait()
			}
			_, again := Start(context.Background(), &p, Attr{Argv: []string{"true"}, Way: Clone})
			if !errors.Is(again, unix.ENOSYS) {
				err = fmt.Errorf("clone3 is not refused: %w", again)
			}
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// refuseClone3 makes clone3(2) fail on this thread.
func refuseClone3() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// TestStopWhileStarting has somebody lean on ^Z. A child that was stopped before
// its execve would hold up its parent for ever.
func TestStopWhileStarting(t *testing.T) {
	testkit.CheckLeaks(t)
	cmd := role("keys", "", strconv.Itoa(testkit.Rounds(100, 100)))
	cmd.SysProcAttr.Setpgid = true
	hung := time.AfterFunc(time.Minute, func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
	defer hung.Stop()
	if text, err := cmd.Output(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func keysRole() int {
	signal.Notify(make(chan os.Signal, 1), unix.SIGTSTP)
	done := make(chan bool)
	go func() {
		for ; ; time.Sleep(100 * time.Microsecond) {
			select {
			case <-done:
				return
			default:
				_ = unix.Kill(0, unix.SIGTSTP)
			}
		}
	}()
	defer close(done)
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for i := range rounds {
		for _, way := range []Way{Memfd, Clone, Vfork} {
			var p Program
			p.DieWithParent(unix.SIGKILL)
			p.Exec("true", DefaultPath)
			proc, err := Start(context.Background(), &p, Attr{Argv: []string{"true"}, Way: way})
			if err != nil {
				fmt.Println(i, way, err)
				return 1
			}
			ended := make(chan bool)
			go func() { _, _ = proc.Wait(); close(ended) }()
			for running := true; running; {
				_ = proc.Signal(unix.SIGKILL) // it may be stopped by now, as it should
				select {
				case <-ended:
					running = false
				case <-time.After(time.Millisecond):
				}
			}
		}
	}
	return 0
}
