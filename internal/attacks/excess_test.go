package attacks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// Targets that are within their rights, and have too much of something.

// As many filters as the kernel lets a process have: each is read, and put on the
// command.
func TestManyFilters(t *testing.T) {
	requireTargets(t)
	for _, n := range []int{100, 2000} {
		for _, p := range []place{rootful(dockerCaps), ordinary()} {
			t.Run(fmt.Sprintf("%d, %s", n, p.name), func(t *testing.T) {
				cmd := p.command(program("filtered"), `[{"Answer":0}]`, fmt.Sprint(n))
				launch(t, cmd)
				pid := cmd.Process.Pid
				testkit.WaitFor(t, tooLong, "the filters", func() bool { return need(t, pid).filters == n })
				start := time.Now()
				o := nsx.look(t, pid)
				switch {
				case o.hung:
					t.Error(o)
				case o.inside != nil:
					if beyond := o.inside.beyond(need(t, pid)); beyond != "" {
						t.Error(beyond)
					}
				default:
					t.Error(o)
				}
				t.Log(time.Since(start).Round(time.Millisecond))
			})
		}
	}
}

// An environment with which nothing can be executed any more.
func TestHugeEnvironment(t *testing.T) {
	requireTargets(t)
	for _, size := range []int{1 << 20, 3 << 20, 5 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			cmd := rootful(dockerCaps).command(program("idle"))
			for left := size; left > 0; left -= 1 << 16 {
				cmd.Env = append(cmd.Env, fmt.Sprintf("V%d=%s", left, strings.Repeat("x", 1<<16-10)))
			}
			withStack(t, 64<<20, func() { launch(t, cmd) }) // a quarter of it is for arguments and environment
			testkit.WaitFor(t, tooLong, "the target", func() bool { return isIdle(cmd.Process.Pid) })
			o := nsx.look(t, cmd.Process.Pid)
			if o.hung || o.inside == nil && (o.status != 125 && o.status != 126 || !strings.Contains(o.stderr, "--own-env")) {
				t.Error(o)
			}
			if o.inside != nil {
				if beyond := o.inside.beyond(need(t, cmd.Process.Pid)); beyond != "" {
					t.Error(beyond)
				}
			}
			if o := nsx.look(t, cmd.Process.Pid, "--own-env"); o.inside == nil {
				t.Errorf("--own-env: %v", o)
			}
		})
	}
}

// A PATH of as many directories as an environment holds: each was a step of the helper's.
func TestHugePath(t *testing.T) {
	requireTargets(t)
	var distinct strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&distinct, ":%x", i)
	}
	const mostKiB = 64 << 10
	for name, path := range map[string]string{"one directory": strings.Repeat(":", 130_000), "directories": distinct.String()} {
		for _, p := range []place{rootful(dockerCaps), ordinary()} {
			t.Run(name+", "+p.name, func(t *testing.T) {
				p.words = append(append([]string{}, p.words...), "/usr/bin/env", "PATH="+path)
				pid := p.idle(t)
				var tool *exec.Cmd
				o := run(t, func(cmd *exec.Cmd) { tool = cmd }, nsx.argv(pid, nil, "nosuch"), nil)
				if o.hung || o.status != 127 && (o.status != 125 || !strings.Contains(o.stderr, "--own-env")) {
					t.Error(o)
				}
				if used := tool.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; used > mostKiB {
					t.Errorf("nsx took %d MiB of memory, more than %d", used>>10, mostKiB>>10)
				}
			})
		}
	}
}

// withStack has processes that f starts have such a limit on their stack.
func withStack(t *testing.T, size uint64, f func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_STACK, &unix.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_STACK, &was) }()
	f()
}

// A container that is frozen and thawed at every moment.
func TestFlickeringFreezer(t *testing.T) {
	requireTargets(t)
	for version, files := range map[string][3]string{
		"v1": {testkit.RequireCgroup1(t, "freezer"), "freezer.state=FROZEN", "freezer.state=THAWED"},
		"v2": {testkit.RequireCgroup2(t), "cgroup.freeze=1", "cgroup.freeze=0"},
	} {
		t.Run(version, func(t *testing.T) {
			pid := rootful(dockerCaps).filtered(t, filter{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO})
			dir := groupIn(t, files[0], "attack-flicker", pid)
			write := func(setting string) {
				file, value, _ := strings.Cut(setting, "=")
				_ = os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
			}
			end, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				for {
					for _, setting := range files[1:] {
						write(setting)
						select {
						case <-end:
							write(files[2])
							return
						case <-time.After(time.Duration(rand.Int64N(int64(8 * time.Millisecond)))):
						}
					}
				}
			}()
			counts := tally{}
			for range entries(150, 10) {
				start := time.Now()
				o := nsx.look(t, pid)
				counts.add(t, o, time.Since(start))
				if o.inside != nil {
					if beyond := o.inside.beyond(need(t, pid)); beyond != "" {
						t.Error(beyond)
					}
				} else if o.status != 125 {
					t.Error(o)
				}
			}
			close(end)
			<-ended
			t.Log(counts)
		})
	}
}
