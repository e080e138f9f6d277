package attacks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// Attacks that need luck: many entries each, in a bounded time.

// entries is how often they are tried: NSX_ATTACKS_ENTRIES, or all of them with
// make attacks.
func entries(most, few int) int {
	if n, err := strconv.Atoi(os.Getenv("NSX_ATTACKS_ENTRIES")); err == nil {
		return n
	}
	return rounds(most, few)
}

// entryLimit bounds an entry on a machine with much else to do.
const entryLimit = 5 * time.Second

// tally counts how entries ended.
type tally map[string]int

func (c tally) add(t *testing.T, o outcome, took time.Duration) {
	switch {
	case o.hung || took > entryLimit:
		t.Errorf("took %v: %v", took, o)
	case o.inside != nil:
		c["entered"]++
	case o.status == 125:
		c["refused"]++
	default:
		c[fmt.Sprint("status ", o.status)]++
	}
}

// restless are targets that are something else at each moment.
var restless = []struct {
	name        string
	kind, flags uintptr
}{
	{"unshares its user namespace", kindUnshare, unix.CLONE_NEWUSER},
	{"unshares user and mount namespace", kindUnshare, unix.CLONE_NEWUSER | unix.CLONE_NEWNS},
	{"unshares all", kindUnshare, unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP | unix.CLONE_NEWPID},
	{"executes", kindExec, 0},
	{"forks", kindFork, 0},
	{"is dumpable and is not", kindDumpable, 0},
	{"changes its credentials", kindThread, 0},
	{"dies", kindDie, 0},
}

// ahead is the nice(1) value of those who attack: on a machine with much else to do the
// moment would be over before they have heard of it.
const ahead = -15

// watch acts when somebody opens a file of a process, as its owner can watch too, and
// tells when it has.
func watch(t *testing.T, pid int, act func()) <-chan struct{} {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err == nil {
		_, err = unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/%d/stat", pid), unix.IN_OPEN)
	}
	if err != nil {
		t.Fatal(err)
	}
	acted := make(chan struct{})
	linux.OnThread(func() {
		defer close(acted)
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, ahead)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, int(tooLong.Milliseconds()))
		act()
		unix.Close(fd)
	})
	return acted
}

// Targets that change at a random moment of the entry.
func TestRestlessTargets(t *testing.T) {
	requireTargets(t)
	for _, c := range restless {
		for _, p := range []place{{name: "rootful", flags: unix.CLONE_NEWNS, words: []string{program("box"), fmt.Sprintf("caps=%x", dockerCaps), "--"}}, ordinary()} {
			t.Run(c.name+", "+p.name, func(t *testing.T) {
				m := startMover(t, p.flags, append([]string{"nice", "-n", fmt.Sprint(ahead)}, p.words...)...)
				counts := tally{}
				began := time.Now()
				few := 3
				if c.kind == kindUnshare {
					few = 5
				}
				n := entries(1000, few)
				for range n {
					pid := m.target(c.kind, c.flags, time.Duration(rand.Int64N(int64(6*time.Millisecond))))
					before := need(t, pid)
					acted := watch(t, pid, m.letGo)
					start := time.Now()
					o := run(t, nil, nsx.argv(pid, nil, program("idle")), func(tool int) *facts {
						<-acted
						return findIdle(tool)
					})
					counts.add(t, o, time.Since(start))
					if o.inside != nil && o.inside.ns["user"] != before.ns["user"] {
						counts["entered after it had moved"]++
					}
					checkMoved(t, 0, before, o)
				}
				t.Logf("%d entries, %v each: %v", n, (time.Since(began) / time.Duration(n)).Round(time.Millisecond/10), counts)
			})
		}
	}
}

// playRaiser is a container's first process, which sends signals to every other one
// there as fast as it can: those of its arguments.
func playRaiser(args []string) int {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	var signals []unix.Signal
	for _, word := range args {
		signals = append(signals, unix.SignalNum(word))
	}
	fmt.Println("ready")
	for {
		for _, signal := range signals {
			_ = unix.Kill(-1, signal)
		}
	}
}

// A container that floods everything in it with signals.
func TestSignalFlood(t *testing.T) {
	requireTargets(t)
	harmless := []string{"SIGSTOP", "SIGCONT", "SIGWINCH", "SIGTSTP", "SIGCHLD", "SIGURG"}
	for name, signals := range map[string][]string{
		"harmless": harmless, "deadly": slices.Concat(harmless, []string{"SIGTRAP", "SIGCONT", "SIGSTOP", "SIGCONT", "SIGKILL"}),
	} {
		for _, p := range []place{rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(dockerCaps)} {
			t.Run(name+", "+p.name+" "+p.words[len(p.words)-2], func(t *testing.T) {
				pid := p.start(t, append([]string{program("raiser")}, signals...)...)
				target, counts := need(t, pid), tally{}
				n := entries(150, 6)
				for range n {
					start := time.Now()
					o := nsx.look(t, pid)
					counts.add(t, o, time.Since(start))
					if o.inside != nil {
						if beyond := o.inside.beyond(target); beyond != "" {
							t.Error(beyond)
						}
					} else if name == "harmless" {
						t.Error(o)
					} else if o.status != 125 && o.status != 137 && o.status != 133 {
						t.Error(o) // else it, or its command, was killed
					}
				}
				t.Logf("%d entries: %v", n, counts)
			})
		}
	}
}
