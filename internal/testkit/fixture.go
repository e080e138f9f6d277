package testkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fixture is the inside of a fixture process.
type fixture struct {
	order
	rep   report
	inner []*helper // to be ended and reaped before we go

	after  func() // done when the answer is given
	before func() // done before inner is ended
}

// fixtureMain runs on the process's first thread and never returns.
func fixtureMain() {
	isFixture = true
	// The exec of becomeRoot has cleared both: it gained capabilities.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	time.AfterFunc(Lifetime, func() { os.Exit(3) })
	var f fixture
	err := json.NewDecoder(os.NewFile(controlFD, "control")).Decode(&f.order)
	if err == nil && f.Unmapped {
		err = becomeRoot()
	}
	unix.CloseOnExec(controlFD)
	unix.CloseOnExec(statusFD)
	if err == nil {
		err = f.assume()
	}
	if err != nil {
		f.rep = report{Error: err.Error()}
	}
	f.finish()
}

// becomeRoot executes us again when our user namespace has an id map: the first
// exec, as an unmapped user, has cost us all capabilities in it.
func becomeRoot() error {
	pid, err := ownPID()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.NewFile(statusFD, "status")).Encode(report{PID: pid}); err != nil {
		return err
	}
	uidMap := "/proc/self/uid_map"
	for {
		// The last of the three files to be written.
		if data, err := os.ReadFile(uidMap); err != nil || len(data) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return os.NewSyscallError("execve", unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// assume brings the process into its state.
func (f *fixture) assume() error {
	pid, err := ownPID()
	if err != nil {
		return err
	}
	if len(f.Stages) > 0 {
		return f.assumeOuter(pid)
	}
	f.rep.PID, f.rep.Levels = pid, []int{pid}
	if len(f.Comm) > 0 {
		if err := setComm(f.Comm); err != nil {
			return err
		}
	}
	for _, name := range f.Config.New {
		if err := checkOwn(name); err != nil {
			return err
		}
	}
	switch f.Config.Mode {
	case Plain, Stopped: // Stopped: the parent stops it when it is ready
		return nil
	case ThreadElsewhere:
		return f.threadElsewhere()
	case DeadLeader:
		return f.deadLeader()
	case Zombie:
		return f.zombie()
	case Chrooted:
		return f.chroot()
	case PIDForChildrenEmpty, PIDForChildrenDead, PIDForChildrenAlive:
		return f.pidForChildren()
	case TimeForChildren:
		return f.timeForChildren()
	case FDHolder, BindHolder:
		return f.hold()
	case SocketHolder:
		return f.holdSocket()
	case Undumpable:
		return f.undumpable()
	case Stuck:
		return f.stuck()
	case DeadDir:
		return f.deadDir()
	case Flipping:
		return f.flip()
	case HugeArgs:
		return f.hugeArgs()
	case stuckVictim:
		return f.stuckVictim()
	}
	return fmt.Errorf("no mode %q", f.Config.Mode)
}

// assumeOuter is for all stages except the last: start the next one.
func (f *fixture) assumeOuter(pid int) error {
	h, rep, err := startStage(f.order, false)
	if err != nil {
		return err
	}
	f.inner = append(f.inner, h)
	f.rep = *rep
	f.rep.Levels = slices.Insert(f.rep.Levels, 0, pid)
	return nil
}

// finish answers, waits for the end of the test, and exits.
func (f *fixture) finish() {
	if err := json.NewEncoder(os.NewFile(statusFD, "status")).Encode(f.rep); err != nil {
		os.Exit(2)
	}
	unix.Close(statusFD)
	if f.after != nil {
		f.after()
	}
	var buf [1]byte
	for {
		if n, err := unix.Read(controlFD, buf[:]); n <= 0 && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if f.before != nil {
		f.before()
	}
	for _, h := range f.inner {
		h.kill(2 * time.Second)
	}
	os.Exit(0)
}

func (f *fixture) apart(standard string) []string {
	if len(f.Config.Apart) > 0 {
		return f.Config.Apart
	}
	return []string{standard}
}

// thread runs work on a thread of its own that has created the given
// namespaces, and notes them. If stay is false the thread ends afterwards.
func (f *fixture) thread(types []string, stay bool, work func() error) error {
	flags, err := CloneFlags(types...)
	if err != nil {
		return err
	}
	result := make(chan error)
	var tid int
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() (err error) {
			if tid, err = ownTID(); err != nil {
				return err
			}
			if err := unix.Unshare(int(flags)); err != nil {
				return fmt.Errorf("unshare %v on a thread: %w", types, err)
			}
			for _, name := range types {
				inode, err := ReadNS("/proc/thread-self/ns/" + name)
				if err != nil {
					return err
				}
				f.rep.Held = merge(f.rep.Held, map[string]uint64{name: inode})
			}
			return work()
		}()
		if stay {
			select {}
		}
	}()
	if err := <-result; err != nil {
		return err
	}
	if stay {
		f.rep.Thread = tid
		return nil
	}
	// Threads end a little after their goroutines.
	return waitGone(fmt.Sprintf("/proc/self/task/%d", tid))
}

func (f *fixture) threadElsewhere() error {
	return f.thread(f.apart("net"), true, func() error { return nil })
}

// deadLeader ends the thread it runs on. Another one goes on with the rest.
func (f *fixture) deadLeader() error {
	err := f.thread(f.apart("uts"), true, func() error { return nil })
	if err != nil {
		return err
	}
	stat := "/proc/" + strconv.Itoa(f.rep.PID) + "/stat"
	go func() {
		if err := waitState(stat, 'Z'); err != nil {
			f.rep = report{Error: err.Error()}
		}
		f.finish()
	}()
	// exit(2) of this thread only, which Go knows nothing of: to it the thread
	// is in a long system call. Not RawSyscall, which would keep the processor.
	_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	return errno
}

// zombie starts a child in the same namespaces, which exits unreaped.
func (f *fixture) zombie() error {
	o := f.order
	o.Config.Mode, o.Config.New, o.Stages = Plain, nil, []stage{{}}
	h, rep, err := startStage(o, true)
	if err != nil {
		return err
	}
	f.inner = append(f.inner, h)
	h.control.Close()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, h.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return os.NewSyscallError("waitid", err)
	}
	f.rep.PID = rep.PID
	f.rep.Levels = append(f.rep.Levels, rep.PID)
	return nil
}

func (f *fixture) undumpable() error {
	opened := make(chan os.Signal, 1)
	signal.Notify(opened, unix.SIGUSR1)
	f.after = func() {
		for len(opened) == 0 { // a process that sleeps is in another state
		}
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

func (f *fixture) chroot() error {
	if err := unix.Chroot(f.Config.Dir); err != nil {
		return fmt.Errorf("chroot %s: %w", f.Config.Dir, err)
	}
	return unix.Chdir("/")
}

// pidForChildren runs on the first thread, whose pid_for_children is the
// process's. Go starts no thread from a locked one, which could not make any
// now: clone(2) with CLONE_THREAD gives EINVAL.
func (f *fixture) pidForChildren() error {
	// Package os forks once to learn whether pidfds work. If it did so only
	// now, that child would be the new namespace's init.
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Release()
	}
	if err := unix.Unshare(unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("unshare pid: %w", err)
	}
	if f.Config.Mode == PIDForChildrenEmpty {
		if inode, err := ReadNS("/proc/self/ns/pid_for_children"); err == nil {
			f.rep.Held = map[string]uint64{"pid": inode} // on Linux 7.2
		}
		return nil
	}
	o := order{Stages: []stage{{}}}
	h, rep, err := startStage(o, false)
	if err != nil {
		return err
	}
	if f.Config.Mode == PIDForChildrenDead {
		h.kill(0)
	} else {
		f.inner = append(f.inner, h)
		f.rep.Child = rep.PID
	}
	inode, err := ReadNS("/proc/self/ns/pid_for_children")
	f.rep.Held = map[string]uint64{"pid": inode}
	return err
}

func (f *fixture) timeForChildren() error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return fmt.Errorf("unshare time: %w", err)
	}
	inode, err := ReadNS("/proc/self/ns/time_for_children")
	f.rep.Held = map[string]uint64{"time": inode}
	return err
}

// hold keeps namespaces of a child that is no more.
func (f *fixture) hold() error {
	types := f.apart("net")
	h, rep, err := startStage(order{Stages: []stage{{New: types}}}, false)
	if err != nil {
		return err
	}
	defer h.kill(0)
	f.rep.Held, f.rep.HeldFD, f.rep.HeldPath = map[string]uint64{}, map[string]int{}, map[string]string{}
	if f.Config.Mode == BindHolder {
		// Else the bind mounts would propagate to the machine's mounts.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return os.NewSyscallError("mount", err)
		}
	}
	for _, name := range types {
		link := fmt.Sprintf("/proc/%d/ns/%s", rep.PID, name)
		inode, err := ReadNS(link)
		if err != nil {
			return err
		}
		f.rep.Held[name] = inode
		if f.Config.Mode == FDHolder {
			fd, err := unix.Open(link, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open %s: %w", link, err)
			}
			f.rep.HeldFD[name] = fd
			continue
		}
		point := filepath.Join(f.Config.Dir, name)
		if err := os.WriteFile(point, nil, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(link, point, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s to %s: %w", link, point, err)
		}
		f.rep.HeldPath[name] = point
	}
	return nil
}

func (f *fixture) holdSocket() error {
	return f.thread([]string{"net"}, false, func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		f.rep.HeldFD = map[string]int{"net": fd}
		return os.NewSyscallError("socket", err)
	})
}

// checkOwn makes sure that the kernel really gave us a namespace of our own.
func checkOwn(name string) error {
	parent, err := ReadNS(fmt.Sprintf("/proc/%d/ns/%s", parentPID(), name))
	if err != nil {
		return nil // we may not look at our parent, or it is in the namespace outside
	}
	own, err := OwnNS(name)
	if err == nil && own == parent {
		err = fmt.Errorf("the kernel made no new %s namespace", name)
	}
	return err
}

// parentPID is our parent as the /proc in use numbers it; getppid(2) would be 0
// in a new PID namespace.
func parentPID() int {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(rest))
			return pid
		}
	}
	return 0
}

// ownPID is our number in the PID namespace of the /proc in use, which is the
// test's: getpid(2) would say 1 in a new PID namespace.
func ownPID() (int, error) {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(link)
}

// ownTID is the same for the calling thread; the link reads "PID/task/TID".
func ownTID() (int, error) {
	link, err := os.Readlink("/proc/thread-self")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(filepath.Base(link))
}

// setComm sets the name of the calling thread, byte by byte as given.
func setComm(name []byte) error {
	var comm [16]byte // TASK_COMM_LEN, the last one NUL
	copy(comm[:15], name)
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&comm[0])), 0, 0, 0)
}

func waitGone(path string) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return fmt.Errorf("%s is still there after 5 s", path)
}

// readerMain reads the file that it is told, and answers how many bytes it has.
func readerMain() {
	var path string
	if err := json.NewDecoder(os.NewFile(controlFD, "control")).Decode(&path); err != nil {
		os.Exit(2)
	}
	f, err := os.Open(path)
	if err != nil {
		os.Exit(2)
	}
	n, _ := io.Copy(io.Discard, f)
	_ = json.NewEncoder(os.NewFile(statusFD, "status")).Encode(n)
}
