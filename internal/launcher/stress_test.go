package launcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// TestMany enters eight namespaces thousands of times while 64 goroutines make
// garbage, with descriptor 0 closed half of the time: no run may fail, and
// nothing may pile up.
func TestMany(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	target := testkit.Start(t, testkit.Config{New: testkit.AllNS})
	bothWays(t, func(t *testing.T, way Way) {
		runs := testkit.Rounds(1_000, 300)
		if way == Clone {
			runs = min(runs, 200) // each copies the page tables of all this garbage
		}
		defer makeGarbage(testkit.Rounds(64, 64))()
		process := pidfd(t, target.PID)
		saved, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(saved)
		threads := 0
		for i := range runs {
			if i == runs/5 {
				threads = testkit.Threads()
			}
			if i == runs/2 {
				if err := unix.Close(0); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = unix.Dup2(saved, 0) }()
			}
			var p Program
			p.Setns("setns", p.File(process), allTypes)
			p.Fork()
			p.DieWithParent(unix.SIGKILL)
			p.Exit(7)
			if i%4 == 0 {
				p = Program{}
				p.Setns("setns", p.File(process), allTypes)
				p.Fork()
				p.DieWithParent(unix.SIGKILL)
				p.Exec("sh", DefaultPath)
			}
			proc, err := Start(context.Background(), &p, Attr{Argv: []string{"sh", "-c", "exit 7"}, Way: way})
			if err != nil {
				t.Fatalf("run %d: %v", i, err)
			}
			if state, err := proc.Wait(); err != nil || exitStatus(state) != 7 {
				t.Fatalf("run %d: %v, %v", i, state, err)
			}
		}
		if now := testkit.Threads(); now > threads+8 {
			t.Errorf("%d threads, then %d", threads, now)
		}
	})
}

// makeGarbage keeps the collector busy until the function it returns is called.
func makeGarbage(goroutines int) (stop func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			var keep [][]byte
			for !done.Load() {
				keep = append(keep, make([]byte, 4096))
				if len(keep) > 64 {
					keep = nil
					runtime.Gosched()
				}
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	return func() { done.Store(true); wg.Wait() }
}

// TestManyAtOnce starts programs, good and bad ones, from many goroutines.
func TestManyAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for i := range testkit.Rounds(20, 20) {
					var p Program
					p.Fork()
					p.Exec([]string{"true", "nonexistent"}[i%2], DefaultPath)
					proc, err := Start(context.Background(), &p, Attr{Argv: []string{"true"}, Way: way})
					if i%2 == 1 {
						if !errors.Is(err, unix.ENOENT) {
							t.Error(err)
						}
						continue
					}
					if err != nil {
						t.Error(err)
						continue
					}
					if state, err := proc.Wait(); err != nil || !state.Success() {
						t.Error(state, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestCancelAtAnyTime cancels at moments all over a start; nothing may be left.
func TestCancelAtAnyTime(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		took := make([]time.Duration, 0, 300)
		for i := range 300 {
			after := time.Duration(i) * 10 * time.Microsecond
			ctx, cancel := context.WithTimeout(context.Background(), after)
			var p Program
			p.Fork()
			p.DieWithParent(unix.SIGKILL)
			p.Exec("/bin/true", "")
			begin := time.Now()
			proc, err := Start(ctx, &p, Attr{Argv: []string{"true"}, Way: way})
			took = append(took, time.Since(begin))
			cancel()
			if err == nil {
				if _, err := proc.Wait(); err != nil {
					t.Error(err)
				}
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v", after, err)
			}
		}
		if longest := slices.Max(took); longest > 5*time.Second {
			t.Errorf("took %v", longest)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	b.Run("os/exec", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	bench := func(name string, way Way, build func(p *Program)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var p Program
				build(&p)
				proc, err := Start(context.Background(), &p, Attr{Argv: []string{"true"}, Files: []*os.File{null, null, null}, Way: way})
				if err != nil {
					b.Fatal(err)
				}
				if state, err := proc.Wait(); err != nil || !state.Success() {
					b.Fatal(state, err)
				}
			}
		})
	}
	for name, way := range map[string]Way{"memfd": Memfd, "clone": Clone, "vfork": Vfork} {
		bench(name+"/exit", way, func(p *Program) {})
		bench(name+"/exec", way, func(p *Program) { p.Exec("/bin/true", "") })
		if way == Vfork {
			continue // cannot fork
		}
		bench(name+"/fork+exec", way, func(p *Program) { p.Fork(); p.Exec("/bin/true", "") })
	}
}

// TestNamespaceEndsMeanwhile has a PID namespace end at any time while something
// is started in it. It has to end, which takes that all in it are reaped.
func TestNamespaceEndsMeanwhile(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "pid")
	bothWays(t, func(t *testing.T, way Way) {
		took, runs := 2*time.Millisecond, 100
		if testing.Short() {
			runs = 20
		}
		for range runs {
			target := testkit.Start(t, testkit.Config{New: []string{"pid"}})
			ns, err := os.Open(target.Path("ns/pid"))
			if err != nil {
				t.Fatal(err)
			}
			killed := make(chan bool)
			time.AfterFunc(rand.N(took), func() { target.Kill(); close(killed) })
			begin := time.Now()
			var p Program
			p.Setns("setns(pid)", p.File(ns), unix.CLONE_NEWPID)
			p.Fork()
			p.Exec("true", DefaultPath)
			proc, err := Start(context.Background(), &p, Attr{Argv: []string{"true"}, Way: way})
			if err == nil {
				_, _ = proc.Wait()
				took = (3*took + time.Since(begin)) / 4
			}
			ns.Close()
			select {
			case <-killed:
			case <-time.After(20 * time.Second):
				_, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil) // else the clean-up waits as well
				t.Fatalf("the namespace does not end, after: %v", err)
			}
		}
	})
}
