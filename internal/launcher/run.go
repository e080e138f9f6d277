package launcher

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// run is one start of a program.
type run struct {
	p    *Program
	attr Attr

	files  []*os.File // Program.files and, last, the helper's end of the socket
	kept   []int      // their descriptors, in this process and in the helper
	socket *os.File   // our end of the socket
	im     *image
	mask   unix.Sigset_t // what the helper blocks

	heard  bool // something was reported
	last   bool // execve or exit is all that the program has left to do
	seized bool // the helper is traced: what it has to say now, ptrace(2) tells
	forked int  // the child that goes on, as the helper calls it; 0: none yet

	mu     sync.Mutex
	pids   []int // children of ours that are not reaped: the helper, then the program
	killed bool
	letGo  bool // the program was executed, and is traced no more
}

// stdFiles is how many standard files there are.
const stdFiles = 3

// newRun makes the socket, and sees to it that no file has the number of a
// standard file: all others keep theirs.
func newRun(p *Program, a Attr) (*run, error) {
	r := &run{p: p, attr: a}
	// Records stay whole in a socket of this type, and it has an end, like a
	// pipe, when nobody else has the other end any more.
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	r.socket = os.NewFile(uintptr(fds[0]), "socket")
	r.files = append(slices.Clip(p.files), os.NewFile(uintptr(fds[1]), "socket"))
	// The kernel adds the sender's PID, as seen from here, to each record.
	err = os.NewSyscallError("setsockopt SO_PASSCRED", unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	for i := 0; err == nil && i < len(r.files); i++ {
		fd := int(r.files[i].Fd())
		if fd < stdFiles {
			// Ours was started with a standard file closed.
			fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, stdFiles)
			err = os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
		}
		r.kept = append(r.kept, fd)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// report is the helper's end of the socket.
func (r *run) report() int { return r.kept[len(r.kept)-1] }

// closeReport closes it here: else there is no end of it.
func (r *run) closeReport() {
	for i, fd := range r.kept {
		if fd != int(r.files[i].Fd()) {
			unix.Close(fd)
		}
	}
	r.kept = nil
	r.files[len(r.files)-1].Close()
}

func (r *run) close() {
	r.socket.Close()
	r.closeReport()
}

// start makes the helper.
func (r *run) start() error {
	ways := map[Way][]func() error{
		Auto:  {r.startMemfd, r.startClone},
		Memfd: {r.startMemfd},
		Clone: {r.startClone},
		Vfork: {r.startClone, r.startMemfd},
	}[r.attr.Way]
	var restore func()
	var err error
	if r.mask, restore, err = blockStops(); err != nil {
		return err
	}
	defer restore()
	err = ways[0]()
	if len(ways) > 1 && notThisWay(err) {
		err = ways[1]()
	}
	runtime.KeepAlive(r.files)
	r.closeReport()
	return err
}

// notThisWay says that a policy forbids to make or to execute a memfd, that
// there is no /proc to reach it by, or that clone3(2) is refused, as by the
// seccomp filters of older container runtimes, or too old.
func notThisWay(err error) bool {
	for _, errno := range []unix.Errno{unix.EACCES, unix.EPERM, unix.ENOENT, unix.ENOSYS, unix.ENOEXEC, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// std is the standard files as descriptors of ours, -1 for a closed one.
func (r *run) std() []uintptr {
	fds := make([]uintptr, stdFiles)
	for i := range fds {
		fds[i] = ^uintptr(0)
		if i < len(r.attr.Files) && r.attr.Files[i] != nil {
			fds[i] = r.attr.Files[i].Fd()
		}
	}
	return fds
}

// startMemfd executes the sealed memfd.
func (r *run) startMemfd() error {
	f, err := newMemfd()
	if err != nil {
		return err
	}
	defer f.Close()
	code, handler := machineCode()
	at := layout{dataAddr, r.kept, r.report()}
	r.im = newImage(at, r.prelude(nil, textAddr+codeOff+uint64(handler), f), r.p)
	if err := fillAndSeal(f, elfFile(code, r.im.bytes())); err != nil {
		return err
	}
	pid, failed, err := r.clone(newImage(layout{}, r.entry(f.Fd()), &Program{}), true)
	if err == nil && failed != 0 {
		_, err = reap(pid)
		return errors.Join(os.NewSyscallError("execve", failed), err)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		pid, err = r.forkExec(int(f.Fd())) // there is no clone3(2), or not for us
	}
	if err != nil {
		return err
	}
	r.add(pid)
	return nil
}

// forkExec executes the memfd as package syscall does.
func (r *run) forkExec(memfd int) (int, error) {
	attr := syscall.ProcAttr{Env: r.attr.Env, Files: r.std(), Sys: &syscall.SysProcAttr{}}
	for fd := stdFiles; fd <= max(slices.Max(r.kept), memfd); fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if slices.Contains(r.kept, fd) || fd == memfd || err == nil && flags&unix.FD_CLOEXEC == 0 {
			attr.Files = append(attr.Files, uintptr(fd))
		} else {
			attr.Files = append(attr.Files, ^uintptr(0))
		}
	}
	if r.attr.Cgroup != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(r.attr.Cgroup.Fd())
	}
	if attr.Env == nil {
		attr.Env = []string{}
	}
	pid, _, err := syscall.StartProcess(fmt.Sprintf("/proc/self/fd/%d", memfd), r.attr.Argv, &attr)
	return pid, os.NewSyscallError("execve", err)
}

// accompany reads the helper's reports until nobody can send one any more:
// the program was executed, or all of it is over.
func (r *run) accompany(ctx context.Context) (*os.Process, error) {
	// A tracer is a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	interrupted := make(chan bool, 1)
	stop := context.AfterFunc(ctx, func() { interrupted <- r.interrupt() })
	failure := r.listen()
	if r.seized {
		pid, err := r.watch()
		if !stop() && <-interrupted {
			err = context.Cause(ctx)
		}
		return r.watched(pid, err)
	}
	if !stop() && <-interrupted {
		failure = context.Cause(ctx)
	}
	if failure != nil {
		r.kill()
	}
	r.mu.Lock()
	pids := r.pids
	r.pids = nil // from here on kill has nobody to kill
	r.mu.Unlock()
	if r.forked != 0 && len(pids) == 1 {
		reapStillborn(r.forked)
	}
	// The last one is the caller's, if all went well.
	mine := len(pids)
	if failure == nil && r.last && r.p.forked == (len(pids) > 1) {
		mine--
	}
	var status syscall.WaitStatus
	for _, pid := range pids[:mine] {
		status, _ = reap(pid)
	}
	switch {
	case failure != nil:
		return nil, failure
	case mine == len(pids):
		return nil, &DiedError{Status: status, Silent: !r.heard}
	}
	return os.FindProcess(pids[mine])
}

// listen acts on every record until the end. Its error is the first one.
func (r *run) listen() (failure error) {
	failed := func(err error) {
		if failure == nil && err != nil {
			failure = err
			r.kill()
		}
	}
	for {
		rec, err := r.next()
		failed(err)
		if rec.of == nil {
			return failure
		}
		r.heard = true
		switch rec.of.record {
		case recordForked:
			r.forked = int(rec.value)
		case recordChild:
			r.add(rec.sender)
		case recordLast:
			r.last = true
		case recordError:
			failed(rec.of.failure(rec.value))
		case recordParent:
			failed(rec.of.parent(rec.sender))
			r.answer()
		case recordTrace:
			err := seize(rec.sender, r.p.trace)
			failed(err)
			if err == nil {
				r.mu.Lock()
				r.seized = true
				r.mu.Unlock()
				r.answer()
				return nil
			}
		}
	}
}

// answer lets the helper go on. An error means that it is dead, of which we will
// hear.
func (r *run) answer() { _ = unix.Send(int(r.socket.Fd()), []byte{1}, unix.MSG_NOSIGNAL) }

// message is a record that has come.
type message struct {
	of     *insn // nil: the end
	value  uint64
	sender int
}

func (r *run) next() (m message, err error) {
	var buf [recordSize]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, oobn := 0, 0
	for {
		n, oobn, _, _, err = unix.Recvmsg(int(r.socket.Fd()), buf[:], oob, unix.MSG_CMSG_CLOEXEC)
		// ECONNRESET comes once, ahead of records, when the helper has ended
		// without reading our answer.
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNRESET) {
			break
		}
	}
	if err != nil || n == 0 {
		return m, os.NewSyscallError("recvmsg", err)
	}
	m.value = binary.NativeEndian.Uint64(buf[:])
	of := r.im.insn(binary.NativeEndian.Uint64(buf[8:]))
	control, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || n != recordSize || of == nil || len(control) != 1 {
		return m, fmt.Errorf("launcher: garbled report %x", buf[:n])
	}
	cred, err := unix.ParseUnixCredentials(&control[0])
	if err != nil {
		return m, os.NewSyscallError("recvmsg", err)
	}
	m.of, m.sender = of, int(cred.Pid)
	return m, nil
}

// add notes a child of ours.
func (r *run) add(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pids = append(r.pids, pid)
	if r.killed {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// kill ends the helper and the program. Their PIDs are theirs as long as they
// are not reaped.
func (r *run) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	for _, pid := range r.pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// interrupt kills, but for a program that was executed already, of which we have yet
// to hear: its end is not ours to decide.
func (r *run) interrupt() bool {
	r.mu.Lock()
	started := r.letGo
	if !r.seized {
		// Nobody has the other end of the socket any more (unix_poll in
		// net/unix/af_unix.c), whatever there is to read.
		fds := []unix.PollFd{{Fd: int32(r.socket.Fd())}}
		n, err := unix.Poll(fds, 0)
		started = err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
	}
	r.mu.Unlock()
	if started {
		return false
	}
	r.kill()
	return true
}

// reapStillborn reaps the forked child where it was killed before it reported its
// PID: as long as it is a zombie, its PID namespace cannot end (zap_pid_ns_processes
// in kernel/pid_namespace.c). The number is that of the helper's PID namespace, which
// may not be ours: unshare(1) without a fork.
func reapStillborn(pid int) {
	own, err := os.Readlink("/proc/self/ns/pid")
	theirs, err2 := os.Readlink("/proc/self/ns/pid_for_children")
	if err != nil || err2 != nil || own != theirs {
		return
	}
	// It has closed its end of the socket, so it is dead or about to be.
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		if got == pid || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// reap waits for a child that has ended or is about to.
func reap(pid int) (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(pid, &status, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}
