package testkit

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// crowdPlan is all that a cloned leader needs to know. It lives on the heap of
// the helper, and each child has its own copy: no child allocates.
type crowdPlan struct {
	flags    uintptr
	members  int
	up, down [2]int32   // leader → helper, helper → leader
	sleeper  int32      // what leaders and members become: see asleep
	argv     [2]uintptr // its arguments: only comm
	empty    [1]uintptr // no environment; as a string, the path of what is no path
	comm     [16]byte
	timeout  unix.Timespec
	timeNS   [32]byte // path of our time_for_children, NUL-terminated
	in       [1]byte
	out      [3]int32 // how many members were made, and which step failed why
}

// The steps of a leader that can fail.
const (
	stepGo = iota
	stepIDs
	stepTime
	stepMember
)

var stepNames = []string{"start", "become root of the user namespace", "enter the time namespace", "clone a member"}

// crowdMain is the helper: the parent of all leaders. It is as small as a Go
// process can be, since every child is a copy of it.
func crowdMain() {
	unix.CloseOnExec(controlFD)
	var o crowdOrder
	err := json.NewDecoder(os.NewFile(controlFD, "control")).Decode(&o)
	// Members whose leader was killed come to us instead of to process 1,
	// which takes its time to reap them.
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err == nil {
		err = blockSignals()
	}
	var rep crowdReport
	if err == nil {
		rep.Leaders, err = o.start()
	}
	if err != nil {
		rep.Error = err.Error()
	}
	_ = json.NewEncoder(os.NewFile(statusFD, "status")).Encode(rep)
	unix.Close(statusFD)
	if err == nil {
		waitControl()
	}
	for _, pid := range rep.Leaders {
		_ = unix.Kill(pid, unix.SIGKILL) // not reaped yet, so the number is still its own
	}
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			os.Exit(0) // ECHILD: nobody left
		}
	}
}

// waitControl waits for the test to end, at most for Lifetime.
func waitControl() {
	fds := []unix.PollFd{{Fd: controlFD, Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, int(Lifetime.Milliseconds())); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func (o crowdOrder) start() (leaders []int, err error) {
	p := &crowdPlan{flags: o.Flags, timeout: unix.NsecToTimespec(int64(Lifetime))}
	p.sleeper = -1
	if !o.Forks {
		fd, err := newSleeper()
		if err != nil {
			return nil, err
		}
		p.sleeper = int32(fd)
	}
	copy(p.comm[:15], cmp.Or(string(o.Comm), "crowd"))
	p.argv[0] = uintptr(unsafe.Pointer(&p.comm))
	copy(p.timeNS[:], "/proc/self/ns/time_for_children")
	maps := userMap()
	for made := 0; made < o.N; made += o.Every {
		p.members = min(o.Every, o.N-made) - 1
		pid, err := p.startSet(maps)
		if pid > 0 {
			leaders = append(leaders, pid)
		}
		if err != nil {
			return leaders, fmt.Errorf("set %d: %w", len(leaders), err)
		}
	}
	return leaders, nil
}

// startSet makes one leader and waits until it and its members are asleep.
func (p *crowdPlan) startSet(maps idMaps) (pid int, err error) {
	var up, down [2]int
	if err := unix.Pipe2(up[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(up[0])
	if err := unix.Pipe2(down[:], unix.O_CLOEXEC); err != nil {
		unix.Close(up[1])
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(down[1])
	p.up, p.down = [2]int32{int32(up[0]), int32(up[1])}, [2]int32{int32(down[0]), int32(down[1])}
	p.out = [3]int32{}

	pid, errno := cloneLeader(p)
	unix.Close(up[1])
	unix.Close(down[0])
	if errno != 0 {
		return 0, os.NewSyscallError("clone", errno)
	}
	if p.flags&unix.CLONE_NEWUSER != 0 {
		if err := maps.write(pid); err != nil {
			return pid, err
		}
	}
	if _, err := unix.Write(down[1], []byte{1}); err != nil {
		return pid, fmt.Errorf("leader: %w", err)
	}
	var out [unsafe.Sizeof(p.out)]byte
	n, err := unix.Read(up[0], out[:])
	if err != nil {
		return pid, fmt.Errorf("leader: %w", err)
	}
	if n != len(out) {
		return pid, fmt.Errorf("leader ended early (%d bytes)", n)
	}
	// End of file: all of them sleep under their name, or have ended.
	if _, err := unix.Read(up[0], make([]byte, 1)); err != nil {
		return pid, fmt.Errorf("leader: %w", err)
	}
	made := binary.NativeEndian.Uint32(out[0:])
	step, reason := binary.NativeEndian.Uint32(out[4:]), binary.NativeEndian.Uint32(out[8:])
	if reason != 0 {
		return pid, fmt.Errorf("%s (%d of %d made): %w", stepNames[step], made, p.members, syscall.Errno(reason))
	}
	return pid, nil
}

// cloneLeader returns in the parent only.
//
//go:nosplit
//go:norace
//go:noinline
func cloneLeader(p *crowdPlan) (int, syscall.Errno) {
	// CLONE_NEWTIME is no flag of clone(2), where its bit is part of the signal.
	pid, errno := rawClone(p.flags &^ unix.CLONE_NEWTIME)
	if pid == 0 && errno == 0 {
		leaderMain(p)
	}
	return pid, errno
}

//go:nosplit
//go:norace
//go:noinline
func leaderMain(p *crowdPlan) {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(p.up[0]), 0, 0)
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(p.down[1]), 0, 0)
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	// If the helper is dead already there is nothing to read: its end of the
	// pipe is the only one.
	n, _, _ := syscall.RawSyscall(unix.SYS_READ, uintptr(p.down[0]), uintptr(unsafe.Pointer(&p.in)), 1)
	if n != 1 {
		rawExit(0)
	}
	if p.flags&unix.CLONE_NEWUSER != 0 {
		_, _, e1 := syscall.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0)
		_, _, e2 := syscall.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0)
		if e1 != 0 || e2 != 0 {
			leaderFail(p, stepIDs, max(e1, e2))
		}
		// A change of ids clears both.
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0)
	}
	if p.flags&unix.CLONE_NEWTIME != 0 {
		leaderTime(p)
	}
	self, _, _ := syscall.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	for range p.members {
		pid, errno := rawClone(0)
		if errno != 0 {
			leaderFail(p, stepMember, errno)
		}
		if pid == 0 {
			rawDieWithParent(self)
			asleep(p)
		}
		p.out[0]++
	}
	leaderReport(p)
	asleep(p)
}

// asleep is how leaders and members end: as a program of a single page, like
// any process that has executed something. As mere forks they would all share
// the helper's pages, and a kernel that watches its memory (DAMON) goes through
// every process that maps a page: with 10,000 of them that keeps a core busy.
//
//go:nosplit
//go:norace
//go:noinline
func asleep(p *crowdPlan) {
	if p.sleeper >= 0 {
		syscall.RawSyscall(unix.SYS_DUP3, uintptr(p.sleeper), controlFD, unix.O_CLOEXEC)
		syscall.RawSyscall(unix.SYS_DUP3, uintptr(p.up[1]), sleeperFD, 0)
		rawCloseFrom(sleeperFD + 1)
		_, _, _ = syscall.RawSyscall6(unix.SYS_EXECVEAT, controlFD, uintptr(unsafe.Pointer(&p.empty)),
			uintptr(unsafe.Pointer(&p.argv)), uintptr(unsafe.Pointer(&p.empty)), unix.AT_EMPTY_PATH, 0)
	}
	// No such program, or it may not be executed here: vm.memfd_noexec.
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&p.comm)), 0)
	rawCloseFrom(controlFD)
	rawPause(&p.timeout)
}

// leaderTime makes a time namespace and enters it; unshare(2) alone would only
// make it the children's.
//
//go:nosplit
//go:norace
//go:noinline
func leaderTime(p *crowdPlan) {
	if _, _, errno := syscall.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWTIME, 0, 0); errno != 0 {
		leaderFail(p, stepTime, errno)
	}
	const atFDCWD = ^uintptr(99) // -100
	fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, atFDCWD, uintptr(unsafe.Pointer(&p.timeNS)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		leaderFail(p, stepTime, errno)
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETNS, fd, unix.CLONE_NEWTIME, 0); errno != 0 {
		leaderFail(p, stepTime, errno)
	}
	syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
}

//go:nosplit
//go:norace
//go:noinline
func leaderFail(p *crowdPlan, step int32, errno syscall.Errno) {
	p.out[1], p.out[2] = step, int32(errno)
	leaderReport(p)
	rawExit(1)
}

//go:nosplit
//go:norace
func leaderReport(p *crowdPlan) {
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(p.up[1]), uintptr(unsafe.Pointer(&p.out)), unsafe.Sizeof(p.out))
}
