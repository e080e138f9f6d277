package launcher

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Setns joins the namespace of a namespace file, or those of a pidfd's process
// that flags selects: setns(2).
func (p *Program) Setns(name string, fd Arg, flags int) Step {
	return p.Call(name, unix.SYS_SETNS, fd, Int(flags))
}

// Unshare moves the helper to new namespaces, or only its children if they are
// of the types PID and time: unshare(2).
func (p *Program) Unshare(name string, flags int) Step {
	return p.Call(name, unix.SYS_UNSHARE, Int(flags))
}

// Parent makes the helper wait while f runs in the process that called Start,
// in the goroutine of Start, which must not take the thread's namespaces
// elsewhere. f gets the helper's PID as this process sees it. An error of f
// ends the helper and is what Start returns.
func (p *Program) Parent(name string, f func(pid int) error) {
	p.ask(insn{name: name, record: recordParent, parent: f})
}

// ask sends a record and waits for the answer.
func (p *Program) ask(in insn) {
	p.sendRecord(in, Int(0))
	answer, n, goOn := p.Words(0), p.Slot(0), p.Label()
	p.Call(in.name, unix.SYS_READ, Report, answer, Int(1)).Into(n)
	p.JumpIf(n.Value(), ^uint64(0), 1, goOn)
	p.exitGroup(1) // the parent is gone or has refused
	p.Place(goOn)
}

// Fork ends the helper here and continues in a child, which is in the new PID
// and time namespaces if the helper has chosen such. The child is not the
// helper's but that of the process that called Start (CLONE_PARENT). A program
// can fork once.
func (p *Program) Fork() Step {
	if p.forked {
		panic("launcher: a program can fork once")
	}
	p.forked = true
	pid, child := p.Slot(0), p.Label()
	fork := p.Call("fork", unix.SYS_CLONE, Int(unix.CLONE_PARENT|int(unix.SIGCHLD))).Into(pid)
	p.JumpIf(pid.Value(), ^uint64(0), 0, child)
	if p.trace != nil {
		p.fault() // ptrace(2) has told, and the helper is being killed
		p.Place(child)
		return fork
	}
	p.sendRecord(insn{record: recordForked}, pid.Value())
	p.exitGroup(0)
	p.Place(child)
	p.sendRecord(insn{record: recordChild}, Int(0))
	return fork
}

// Exit ends the process without executing anything. A program that just ends
// exits with 0.
func (p *Program) Exit(code int) {
	p.last()
	p.exits = true
	p.exitGroup(code)
}

// last tells that execve or exit is all that is left.
func (p *Program) last() {
	if p.trace == nil {
		p.sendRecord(insn{record: recordLast}, Int(0))
	}
}

// DieWithParent has the process killed by the signal when the process that
// called Start ends (PR_SET_PDEATHSIG), or at once if that is gone already. It
// comes after the last change of credentials, which clears it, as the execve of
// a set-user-ID program does.
func (p *Program) DieWithParent(signal unix.Signal) {
	p.Prctl("prctl(PR_SET_PDEATHSIG)", unix.PR_SET_PDEATHSIG, Int(signal))
	if p.trace != nil {
		return // PTRACE_O_EXITKILL, until the program is executed
	}
	// Nobody else has the other end of the socket, and a process's descriptors
	// are closed before its children hear of its end. getppid(2) would not
	// tell: in another PID namespace it is 0 in any case.
	fds := p.Words(0)
	events, timeout, gone := Word(fds, 0), p.Words(0, 0), p.Slot(0)
	alive, failed, again := p.Label(), p.Label(), p.Label()
	p.Set(events, Report, 0) // struct pollfd {int fd; short events, revents}
	p.Place(again)
	p.Call("ppoll", unix.SYS_PPOLL, fds, Int(1), timeout, Int(0), Int(8)).Into(gone).OrJump(failed)
	p.JumpIf(gone.Value(), ^uint64(0), 0, alive)
	p.exitGroup(1)
	p.Place(failed) // it alone of the calls here is not started again after a signal: signal(7)
	p.JumpIf(Errno, ^uint64(0), uint64(unix.EINTR), again)
	p.Jump(failLabel)
	p.Place(alive)
}

// Prctl is prctl(2).
func (p *Program) Prctl(name string, option int, args ...Arg) Step {
	return p.Call(name, unix.SYS_PRCTL, append([]Arg{Int(option)}, args...)...)
}

// NotDumpable shuts /proc/PID and ptrace off from processes with fewer rights,
// until the next execve: PR_SET_DUMPABLE. It also gives /proc/PID/uid_map to
// root, so it comes after the id maps.
func (p *Program) NotDumpable() Step {
	return p.Prctl("prctl(PR_SET_DUMPABLE)", unix.PR_SET_DUMPABLE, Int(0))
}

// Setsid makes the process leader of a new session without a terminal.
func (p *Program) Setsid() Step { return p.Call("setsid", unix.SYS_SETSID) }

// SetTerminal makes a terminal the one of the session that the process leads:
// TIOCSCTTY of ioctl_tty(2).
func (p *Program) SetTerminal(fd Arg) Step {
	return p.Call("ioctl(TIOCSCTTY)", unix.SYS_IOCTL, fd, Int(unix.TIOCSCTTY), Int(0))
}

// Close closes a descriptor.
func (p *Program) Close(fd Arg) Step {
	return p.Call("close", unix.SYS_CLOSE, fd)
}

// CloseFiles closes every file of [Program.File] that is known by now, before a
// name is looked up in a place that others can put links into. What is left is
// Attr.Files and the socket to the parent.
func (p *Program) CloseFiles() {
	for i := range p.files {
		p.Close(Arg{base: baseFile, n: uint64(i)})
	}
}

// CloseRange closes descriptors: close_range(2), Linux 5.9. Beware of the
// socket to the parent, which is behind the files.
func (p *Program) CloseRange(first, last Arg, flags int) Step {
	return p.Call("close_range", unix.SYS_CLOSE_RANGE, first, last, Int(flags))
}

// Chdir changes the working directory to a path.
func (p *Program) Chdir(path string) Step {
	return p.Call("chdir "+path, unix.SYS_CHDIR, p.String(path))
}

// Fchdir changes the working directory to an open directory.
func (p *Program) Fchdir(name string, dir Arg) Step {
	return p.Call(name, unix.SYS_FCHDIR, dir)
}

// ChrootHere makes the working directory the root directory.
func (p *Program) ChrootHere(name string) Step {
	return p.Call(name, unix.SYS_CHROOT, p.String("."))
}

// CheckDir fails with ENOENT if the working directory is not below the root:
// getcwd(2) then says "(unreachable)…".
func (p *Program) CheckDir(name string) Steps {
	const size = 4096 // PATH_MAX
	begin := len(p.insns)
	path, inside := p.Bytes(make([]byte, size)), p.Label()
	p.Call(name, unix.SYS_GETCWD, path, Int(size))
	p.JumpIf(Word(path, 0).Value(), math.MaxUint8, '/', inside)
	p.FailWith(name, unix.ENOENT)
	p.Place(inside)
	return p.since(begin)
}

// WriteFile writes data to an existing file in one write, as the files of
// /proc want it.
func (p *Program) WriteFile(path, data string) (open Step, write Steps) {
	fd, n, done := p.Slot(0), p.Slot(0), p.Label()
	dir := int64(unix.AT_FDCWD)
	open = p.Call("open "+path, unix.SYS_OPENAT, Int(dir), p.String(path), Int(unix.O_WRONLY|unix.O_CLOEXEC)).Into(fd)
	name := fmt.Sprintf("write %q to %s", data, path)
	begin := len(p.insns)
	p.Call(name, unix.SYS_WRITE, fd.Value(), p.Bytes([]byte(data)), Int(len(data))).Into(n)
	p.JumpIf(n.Value(), ^uint64(0), uint64(len(data)), done)
	p.FailWith(name, unix.EIO)
	p.Place(done)
	p.Close(fd.Value())
	return open, p.since(begin)
}

// Mount is mount(2). An empty string is no string at all.
func (p *Program) Mount(name, source, target, fstype string, flags uintptr, data string) Step {
	text := func(s string) Arg {
		if s == "" {
			return Int(0)
		}
		return p.String(s)
	}
	return p.Call(name, unix.SYS_MOUNT, text(source), text(target), text(fstype), Int(flags), text(data))
}
