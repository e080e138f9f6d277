package launcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tracing says how [Program.Trace] traces.
type Tracing struct {
	// Filters says that the program has steps of [Program.Seccomp]. They sleep
	// until the program has been executed: PTRACE_O_SUSPEND_SECCOMP of ptrace(2),
	// Linux 4.3, which takes CAP_SYS_ADMIN in the initial user namespace and a
	// caller without a filter.
	Filters bool
	// Awake wakes the filters when the child of [Program.Fork] is born.
	Awake bool
	// Proof looks at the process when the program has been executed and not one
	// instruction of it has run. Its error kills the process and is Start's. It
	// is called on the thread that traces.
	Proof func(pid int) error
}

// Trace has the process that called Start trace the helper from here on, and
// its child, until the program is executed. The steps after it can rely on
// this:
//
//   - Nobody else can trace the helper or the child.
//   - No filter answers a system call in the kernel's place while filters sleep.
//   - Nothing that the helper says is believed: ptrace(2) tells who the child is
//     and that the program was executed, and the errno of a failed step is read
//     from the helper's memory after it has ended by an undefined instruction.
//   - The helper is killed as soon as the child is there, and both are killed
//     when the process that called Start ends (PTRACE_O_EXITKILL).
//
// A [*TraceError] says that it cannot be had. After it there can be no
// [Program.Parent].
func (p *Program) Trace(name string, t Tracing) {
	p.ask(insn{name: name, record: recordTrace})
	p.copy(head(headTraced), Int(1))
	p.trace = &t
}

// seize begins to trace a process, which is not stopped by it.
func seize(pid int, t *Tracing) error {
	options := unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEEXEC
	if t.Filters {
		options |= unix.PTRACE_O_SUSPEND_SECCOMP
	}
	if errno := ptrace(unix.PTRACE_SEIZE, pid, uintptr(options)); errno != 0 {
		return &TraceError{errno}
	}
	return nil
}

// ptrace is ptrace(2) without an address.
func ptrace(request, pid int, data uintptr) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), 0, data, 0, 0)
	return errno
}

// watch goes with the helper and its child until the program is executed, and
// returns the process, 0 if the program has ended by Exit as it should. All of
// its calls are one thread's. What it has reaped is no more in r.pids.
func (r *run) watch() (int, error) {
	current, born := r.pids[0], true
	for {
		status, err := awaitChange(current)
		if err != nil {
			return 0, err
		}
		if !status.Stopped() {
			return 0, r.ended(current, status)
		}
		signal := unix.Signal(0)
		switch event := int(uint32(status) >> 16); event {
		case unix.PTRACE_EVENT_FORK:
			if current, err = r.succeed(current); err != nil {
				return 0, err
			}
			born = false
			continue
		case unix.PTRACE_EVENT_EXEC:
			if err := r.p.trace.Proof(current); err != nil {
				return 0, err
			}
			r.mu.Lock()
			r.letGo = !r.killed
			r.mu.Unlock()
			if errno := ptrace(unix.PTRACE_DETACH, current, 0); errno != 0 {
				continue // it was killed
			}
			return current, nil
		case unix.PTRACE_EVENT_STOP: // it is born, or a signal stops it: it goes on
			if !born && r.p.trace.Awake {
				// With all of the options except that one.
				if errno := ptrace(unix.PTRACE_SETOPTIONS, current, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACEEXEC); errno != 0 && errno != unix.ESRCH {
					return 0, os.NewSyscallError("ptrace(PTRACE_SETOPTIONS)", errno)
				}
			}
			born = true
		default: // a signal, on its way to it
			signal = status.StopSignal()
			if signal == unix.SIGILL && r.faulted(current) {
				if err := r.reported(current); err != nil {
					return 0, err
				}
				continue // it was killed
			}
		}
		// An error means that it was killed: the next wait tells.
		_ = ptrace(unix.PTRACE_CONT, current, uintptr(signal))
	}
}

// awaitChange waits for a child of ours to stop or to end, and reaps it then.
func awaitChange(pid int) (status unix.WaitStatus, err error) {
	for {
		_, err = unix.Wait4(pid, &status, unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}

// succeed finds the child of a helper that has just forked, and ends the helper:
// all that it could still do is run into a filter.
func (r *run) succeed(helper int) (child int, err error) {
	pid, err := unix.PtraceGetEventMsg(helper)
	if err == nil {
		child = int(pid)
	} else if child = orphan(helper); child == 0 { // the helper was killed just now
		return 0, os.NewSyscallError("ptrace(PTRACE_GETEVENTMSG)", err)
	}
	r.add(child)
	_ = unix.Kill(helper, unix.SIGKILL)
	if _, err := reap(helper); err != nil {
		return 0, err
	}
	r.forget(helper)
	return child, nil
}

// orphan is the child of a traced process that was killed before it could tell:
// a process that this thread traces, other than that one. 0: there is none.
func orphan(but int) int {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // CONFIG_PROC_CHILDREN
	tracer := "\nTracerPid:\t" + strconv.Itoa(unix.Gettid()) + "\n"
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			pid, _ := strconv.Atoi(word)
			status, _ := os.ReadFile("/proc/" + word + "/status")
			if pid != but && strings.Contains(string(status), tracer) {
				return pid
			}
		}
	}
	return 0
}

// faulted says that the SIGILL that has stopped a process is of its own making.
// Nobody else can send one with a si_code above 0 (sigaction(2)).
func (r *run) faulted(pid int) bool {
	var info [128]byte // siginfo_t: si_signo, si_errno, si_code
	errno := ptrace(unix.PTRACE_GETSIGINFO, pid, uintptr(unsafe.Pointer(&info)))
	return errno == 0 && int32(binary.NativeEndian.Uint32(info[8:])) > 0
}

// reported reads the record of a helper that has faulted from its registers, and
// makes the error of it; nil: it has been killed since. It is information, and no
// proof of anything. The memory
// of a process that is not dumpable is not ours to read if we are an ordinary
// user, not even as its tracer (ptrace_access_vm in kernel/ptrace.c).
func (r *run) reported(pid int) error {
	const prstatus = 1 // NT_PRSTATUS of include/uapi/linux/elf.h
	var regs [64]uint64
	to := unix.Iovec{Base: (*byte)(unsafe.Pointer(&regs))}
	to.SetLen(int(unsafe.Sizeof(regs)))
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(pid), prstatus, uintptr(unsafe.Pointer(&to)), 0, 0)
	if errno == unix.ESRCH {
		return nil
	}
	if errno != 0 {
		return os.NewSyscallError("ptrace(PTRACE_GETREGSET)", errno)
	}
	value, where := regs[regValue], regs[regWhere]
	of := r.im.insn(where)
	if of == nil || of.name == "" {
		return fmt.Errorf("launcher: garbled report %x %x", value, where)
	}
	return of.failure(value)
}

// ended is what it means that the traced process has ended.
func (r *run) ended(pid int, status unix.WaitStatus) error {
	r.forget(pid)
	if r.p.exits && status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	return &DiedError{Status: syscall.WaitStatus(status)}
}

// forget takes out a child that is reaped.
func (r *run) forget(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pids = slices.DeleteFunc(r.pids, func(p int) bool { return p == pid })
}

// watched is what accompany returns after watch: the process, or nothing that is
// left of it.
func (r *run) watched(pid int, err error) (*os.Process, error) {
	if err != nil {
		r.kill()
	}
	r.mu.Lock()
	pids := r.pids
	r.pids = nil
	r.mu.Unlock()
	if err == nil && pid == 0 {
		return nil, nil
	}
	if err == nil {
		return os.FindProcess(pid)
	}
	for _, pid := range pids {
		_, _ = reap(pid)
	}
	return nil, err
}
