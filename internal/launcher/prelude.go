package launcher

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// failInsn is the index of the instruction in the prelude that every failed
// step jumps to.
const failInsn = 1

// prelude comes before the program, and the program can rely on what it does:
// the descriptors are those of Attr.Files and Program.File and no others, all
// of ours are closed by an execve, and RLIMIT_NOFILE is what this process was
// started with. After the memfd's start this is nearly done. In a clone, fds
// are the descriptors of this process that are to become 0, 1, 2 …
func (r *run) prelude(fds []uintptr) *Program {
	p := &Program{}
	begin := p.Label()
	p.Jump(begin)
	p.Call("report", unix.SYS_WRITE, Report, head(headValue), Int(recordSize))
	p.exitGroup(1)
	p.Place(begin)
	end := len(r.files)
	if fds != nil {
		p.moveFiles(fds, end)
		p.copy(head(headReport), Int(r.report))
		p.restoreLimit()
	}
	for fd := r.firstFile; fd < end; fd++ {
		p.Call("fcntl F_SETFD", unix.SYS_FCNTL, Int(fd), Int(unix.F_SETFD), Int(unix.FD_CLOEXEC))
	}
	// The memfd, and what we have inherited ourselves. Before Linux 5.9, without
	// close_range, the latter stays open unless it is close-on-exec.
	p.Call("close_range", unix.SYS_CLOSE_RANGE, Int(end), Int(uint32(math.MaxUint32)), Int(0)).Ignore()
	return p
}

// moveFiles makes fds[i] descriptor i, closed if it is -1. All go out of the
// way first: one may be where another has to go.
func (p *Program) moveFiles(fds []uintptr, end int) {
	slots := make([]Slot, len(fds))
	for i, fd := range fds {
		if fd != ^uintptr(0) {
			slots[i] = p.Slot(0)
			p.Call("fcntl F_DUPFD_CLOEXEC", unix.SYS_FCNTL, Int(fd), Int(unix.F_DUPFD_CLOEXEC), Int(end)).Into(slots[i])
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
func (p *Program) restoreLimit() {
	if limit := originalLimit(); limit != nil {
		p.Call("prlimit RLIMIT_NOFILE", unix.SYS_PRLIMIT64, Int(0), Int(syscall.RLIMIT_NOFILE),
			p.Words(limit.Cur, limit.Max), Int(0))
	}
}
