package attacks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// watched are the files of a process that nsx may read.
var watched = []string{
	"attr/current", "attr/apparmor/current", "cgroup", "cmdline", "environ", "gid_map", "limits", "mountinfo", "oom_score_adj",
	"setgroups", "stat", "status", "uid_map",
}

// holder stops a tool at the moment when it has opened a file of a target: inotify(7)
// wakes a thread that comes first on the only processor that the tool may use, and
// sends SIGSTOP before that has left the kernel.
type holder struct {
	inotify int
	end     int // an eventfd
	names   map[int]string
	events  []string // the files, in the order in which they were opened
	done    chan struct{}
}

// holdOpens begins to watch the files of a process, and calls nth after the n-th
// opening of any of them.
func holdOpens(t testing.TB, pid int, nth func(n int)) *holder {
	t.Helper()
	h := &holder{names: map[int]string{}, done: make(chan struct{})}
	var err error
	if h.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	if h.end, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for _, name := range watched {
		wd, err := unix.InotifyAddWatch(h.inotify, fmt.Sprintf("/proc/%d/%s", pid, name), unix.IN_OPEN)
		if err == nil {
			h.names[wd] = name
		} else if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			t.Fatal(name, err)
		}
	}
	ready := make(chan error)
	linux.OnThread(func() { h.serve(ready, nth); close(h.done) })
	if err := <-ready; err != nil {
		<-h.done
		testkit.Require(t, false, "needs a thread that comes first: %v", err)
	}
	return h
}

// heldCPU is the processor that the tool shares with the thread.
func heldCPU() (set unix.CPUSet) {
	var all unix.CPUSet
	_ = unix.SchedGetaffinity(0, &all)
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			set.Set(cpu)
			break
		}
	}
	return set
}

func (h *holder) serve(ready chan<- error, nth func(n int)) {
	cpu := heldCPU()
	err := unix.SchedSetaffinity(0, &cpu)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	}
	ready <- err
	if err != nil {
		return
	}
	buffer := make([]byte, 4096)
	for n := 0; ; {
		fds := []unix.PollFd{{Fd: int32(h.inotify), Events: unix.POLLIN}, {Fd: int32(h.end), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		size, err := unix.Read(h.inotify, buffer)
		for rest := buffer[:max(size, 0)]; err == nil && len(rest) >= unix.SizeofInotifyEvent; {
			wd := int(int32(binary.NativeEndian.Uint32(rest)))
			if binary.NativeEndian.Uint32(rest[4:])&unix.IN_OPEN != 0 {
				h.events = append(h.events, h.names[wd])
				n++
				nth(n)
			}
			rest = rest[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(rest[12:]):]
		}
		if fds[1].Revents != 0 {
			return
		}
	}
}

// close ends the watch.
func (h *holder) close() {
	_, _ = unix.Write(h.end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-h.done
	unix.Close(h.inotify)
	unix.Close(h.end)
}

// atEachOpen enters fresh targets, and has each of them do its errand while nsx
// has just opened the n-th of its files, for every n that there is.
func atEachOpen(t *testing.T, m *mover, kind, flags uintptr, check func(t *testing.T, n int, before *facts, o outcome)) {
	t.Helper()
	for n := 1; ; n++ {
		if n > 60 {
			t.Fatal("nsx opens more than 60 files of a target")
		}
		pid := m.target(kind, flags, 0)
		before := need(t, pid)
		reached := false
		tools := make(chan int, 1)
		h := holdOpens(t, pid, func(i int) {
			if i != n {
				return
			}
			reached = true
			tool := <-tools
			_ = unix.Kill(tool, unix.SIGSTOP)
			m.tell("go", false)
			if kind == kindUnshare {
				m.tell("wait", true)
			} else {
				time.Sleep(5 * time.Millisecond)
			}
			_ = unix.Kill(tool, unix.SIGCONT)
		})
		pinned(func() {
			o := run(t, nil, nsx.argv(pid, nil, program("idle")), func(tool int) *facts {
				tools <- tool
				return findIdle(tool)
			})
			h.close()
			if reached {
				if o.hung {
					t.Errorf("at open %d, of %s: %v", n, h.events[n-1], o)
				}
				check(t, n, before, o)
			} else if n == 1 {
				t.Errorf("nsx opened no file of the target: %v", o)
			}
		})
		if !reached {
			t.Logf("%d opens: %q", n-1, h.events)
			return
		}
	}
}

// pinned has processes that f starts stay on one processor.
func pinned(f func()) {
	var all unix.CPUSet
	cpu := heldCPU()
	spawn <- func() { _ = unix.SchedGetaffinity(0, &all); _ = unix.SchedSetaffinity(0, &cpu) }
	defer func() { spawn <- func() { _ = unix.SchedSetaffinity(0, &all) } }()
	f()
}

// checkMoved says what a command has that a target had neither before it moved nor
// after.
func checkMoved(t *testing.T, n int, before *facts, o outcome) {
	t.Helper()
	f := o.inside
	if f == nil {
		if o.status != 125 {
			t.Errorf("at open %d: %v", n, o)
		}
		return
	}
	if f.ns["user"] != before.ns["user"] {
		// In a namespace of its own it may have all, and is who it was outside.
		if f.uid != before.uid && f.uid != "65534 65534 65534 65534" {
			t.Errorf("at open %d: in its own user namespace it is %v, was %v", n, f, before)
		}
		if f.groups != "" {
			t.Errorf("at open %d: groups %q", n, f.groups)
		}
		return
	}
	if f.owner != 0 && f.owner != before.owner {
		t.Errorf("at open %d: it runs in user:[%d] what user:[%d] owns: %v", n, f.ns["user"], f.owner, f)
	}
	if beyond := f.beyond(before); beyond != "" {
		t.Errorf("at open %d: %s", n, beyond)
	}
}

// The target makes a user namespace of its own while it is looked at: its bounding
// set is full there, and was taken for one in ours.
func TestTargetLeavesUserNamespace(t *testing.T) {
	requireTargets(t)
	m := startMover(t, unix.CLONE_NEWNS, program("box"), fmt.Sprintf("caps=%x", dockerCaps), "--")
	for name, flags := range map[string]uintptr{
		"user":          unix.CLONE_NEWUSER,
		"user and mnt":  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		"all":           unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP | unix.CLONE_NEWPID,
		"not user, mnt": unix.CLONE_NEWNS,
	} {
		t.Run(name, func(t *testing.T) { atEachOpen(t, m, kindUnshare, flags, checkMoved) })
	}
}

// The same by one who is in a user namespace already.
func TestUsersTargetLeavesUserNamespace(t *testing.T) {
	requireTargets(t)
	m := startMover(t, 0, ordinary().words...)
	for name, flags := range map[string]uintptr{
		"user":         unix.CLONE_NEWUSER,
		"user and mnt": unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
	} {
		t.Run(name, func(t *testing.T) { atEachOpen(t, m, kindUnshare, flags, checkMoved) })
	}
}

// It executes another program, or ends.
func TestTargetExecutesOrEnds(t *testing.T) {
	requireTargets(t)
	m := startMover(t, unix.CLONE_NEWNS, program("box"), fmt.Sprintf("caps=%x", dockerCaps), "--")
	for name, kind := range map[string]uintptr{"exec": kindExec, "die": kindDie} {
		t.Run(name, func(t *testing.T) { atEachOpen(t, m, kind, 0, checkMoved) })
	}
}
