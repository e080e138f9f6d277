package launcher

import (
	"math"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// failInsn is the index of the instruction in the prelude that every failed
// step jumps to.
const failInsn = 1

// prelude comes before the program, and the program can rely on what it does:
// the descriptors are those of Attr.Files and Program.File, and others only with Attr.KeepOpen, all
// of ours are closed by an execve, no keyboard stops it, and RLIMIT_NOFILE is
// what this process was started with. After the memfd's start this is nearly
// done. In a clone, std are the descriptors of this process that are to become
// 0, 1 and 2. The handler is where that function is.
func (r *run) prelude(std []uintptr, handler uint64, memfd *os.File) *Program {
	p := &Program{insns: make([]insn, 0, 64)} // about so many
	begin, silent := p.Label(), p.Label()
	p.Jump(begin)
	p.JumpIf(head(headTraced).load(), 1, 1, silent)
	// Not to be reported again: if the parent is gone, writing fails, and no
	// SIGPIPE comes for a socket of this type (unix_dgram_sendmsg in
	// net/unix/af_unix.c).
	p.Call("report", unix.SYS_WRITE, Report, head(headValue), Int(recordSize)).Ignore()
	p.exitGroup(1)
	p.Place(silent)
	p.fault() // whoever traces us finds the record in the registers
	p.Place(begin)
	mask := r.mask.Val[0]
	if in := r.attr.Inherited; in != nil {
		p.ignore(in.Ignored)
		mask = in.Blocked
	}
	p.ignoreStops(handler, mask)
	if std != nil {
		p.moveFiles(std)
		p.restoreLimit(r.attr.Inherited)
	}
	for _, fd := range r.kept {
		p.Call("fcntl F_SETFD", unix.SYS_FCNTL, Int(fd), Int(unix.F_SETFD), Int(unix.FD_CLOEXEC))
	}
	if r.attr.KeepOpen {
		if memfd != nil {
			p.Close(Int(memfd.Fd())).Ignore() // where package syscall has executed it
		}
		return p
	}
	// The memfd, and what we have inherited ourselves. Before Linux 5.9, without
	// close_range, the latter stays open unless it is close-on-exec.
	first := stdFiles
	for _, fd := range append(slices.Sorted(slices.Values(r.kept)), math.MaxUint32+1) {
		if fd > first {
			p.Call("close_range", unix.SYS_CLOSE_RANGE, Int(first), Int(fd-1), Int(0)).Ignore()
		}
		first = fd + 1
	}
	return p
}

// entry is the program of the process that becomes the memfd's, when the standard
// files are in their places. A failed step leaves its errno in the header, for us to
// find in the memory that we share.
func (r *run) entry(memfd uintptr) *Program {
	p := &Program{}
	begin := p.Label()
	p.Jump(begin)
	p.exitGroup(1)
	p.Place(begin)
	p.moveFiles(r.std())
	for _, fd := range r.kept {
		p.Call("fcntl F_SETFD", unix.SYS_FCNTL, Int(fd), Int(unix.F_SETFD), Int(0))
	}
	p.restoreLimit(r.attr.Inherited)
	p.Call("execveat", unix.SYS_EXECVEAT, Int(memfd), p.String(""), Argv, Envp, Int(unix.AT_EMPTY_PATH))
	return p
}

const (
	setSize = 8 // of the kernel's sigset_t
	sigIgn  = 1 // SIG_IGN
)

// ignore ignores a set of signals, which an execve leaves so.
func (p *Program) ignore(set uint64) {
	action := p.Words(sigIgn, 0, 0, 0)
	for n := range 64 {
		if set>>n&1 == 1 {
			p.Call("sigaction", unix.SYS_RT_SIGACTION, Int(n+1), action, Int(0), Int(setSize))
		}
	}
}

// stops are the signals by which a terminal stops a process.
var stops = []syscall.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// ignoreStops keeps the terminal from stopping the helper, for which we wait and
// could not see to it that anybody continues it. The signals, blocked since
// before it was born, are caught and not ignored, so that execve gives them back
// the effect that they had before; and the mask is the one that it had.
func (p *Program) ignoreStops(handler, mask uint64) {
	const restorer, restart = 0x04000000, 0x10000000 // SA_RESTORER, SA_RESTART
	action := p.Words(handler, restorer|restart, handler+restorerOff, 0)
	for _, sig := range stops {
		old, ignored := p.Words(0, 0, 0, 0), p.Label()
		p.Call("sigaction", unix.SYS_RT_SIGACTION, Int(int(sig)), Int(0), old, Int(setSize))
		p.JumpIf(Word(old, 0).Value(), ^uint64(0), sigIgn, ignored)
		p.Call("sigaction", unix.SYS_RT_SIGACTION, Int(int(sig)), action, Int(0), Int(setSize))
		p.Place(ignored)
	}
	p.Call("sigprocmask", unix.SYS_RT_SIGPROCMASK, Int(unix.SIG_SETMASK), p.Words(mask), Int(0), Int(setSize))
}

// blockStops blocks the signals on this thread, for the helper that will be born
// of it, until the function that it returns is called.
func blockStops() (before unix.Sigset_t, restore func(), err error) {
	runtime.LockOSThread()
	var set unix.Sigset_t
	for _, sig := range stops {
		set.Val[0] |= 1 << (sig - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before); err != nil {
		runtime.UnlockOSThread()
		return before, nil, os.NewSyscallError("sigprocmask", err)
	}
	return before, func() {
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
		runtime.UnlockOSThread()
	}, nil
}

// moveFiles makes fds[i] descriptor i, closed if it is -1. All go out of the
// way first: one may be where another has to go.
func (p *Program) moveFiles(fds []uintptr) {
	slots := make([]Slot, len(fds))
	for i, fd := range fds {
		if fd != ^uintptr(0) {
			slots[i] = p.Slot(0)
			p.Call("fcntl F_DUPFD_CLOEXEC", unix.SYS_FCNTL, Int(fd), Int(unix.F_DUPFD_CLOEXEC), Int(stdFiles)).Into(slots[i])
		}
	}
	for i, fd := range fds {
		if fd != ^uintptr(0) {
			p.Call("dup3", unix.SYS_DUP3, slots[i].Value(), Int(i), Int(0))
		} else {
			p.Call("close", unix.SYS_CLOSE, Int(i)).Ignore()
		}
	}
}

// restoreLimit undoes what package syscall does when a Go program starts: it
// raises the soft limit. Only its own fork does so, too.
func (p *Program) restoreLimit(in *Inherited) {
	var limit *unix.Rlimit
	if in != nil {
		limit = &in.NoFile
	} else {
		limit = originalLimit()
	}
	if limit != nil {
		p.Call("prlimit RLIMIT_NOFILE", unix.SYS_PRLIMIT64, Int(0), Int(syscall.RLIMIT_NOFILE),
			p.Words(limit.Cur, limit.Max), Int(0))
	}
}
