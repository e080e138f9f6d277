package attacks

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a child of clone(2) without exec may do: nothing but system calls, on memory
// that its parent has prepared (see testkit). It has one thread, so that it can
// leave its user namespace.

// errand is what the child does when it is told to.
type errand struct {
	kind     uintptr // a kind…
	flags    uintptr // of unshare
	delay    unix.Timespec
	path     *byte    // of exec
	argv     [2]*byte // ending with nil
	told     uintptr  // descriptor to wait at
	done     uintptr  // descriptor to answer at
	ownStack [8]byte
}

const (
	kindUnshare = iota
	kindExec
	kindDumpable // turns it off and on again for ever
	kindFork     // forks for ever, one child at a time
	kindDie
	kindThread // for ever: new credentials, as by setresuid
)

// startErrand clones the child.
//
//go:nosplit
//go:norace
func startErrand(e *errand) (pid int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if r != 0 || errno != 0 {
		return int(r), errno
	}
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	syscall.RawSyscall(unix.SYS_READ, e.told, uintptr(unsafe.Pointer(&e.ownStack)), 1)
	syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&e.delay)), 0, 0)
	if e.kind >= kindDumpable { // it has come ahead of all; what it does for ever, it does as all others
		syscall.RawSyscall(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, 0)
	}
	switch e.kind {
	case kindUnshare:
		_, _, errno = syscall.RawSyscall(unix.SYS_UNSHARE, e.flags, 0, 0)
		e.ownStack[0] = byte(errno)
		syscall.RawSyscall(unix.SYS_WRITE, e.done, uintptr(unsafe.Pointer(&e.ownStack)), 1)
	case kindExec:
		syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(e.path)), uintptr(unsafe.Pointer(&e.argv)), 0)
	case kindDumpable:
		for {
			syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0)
			syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0)
		}
	case kindFork:
		for {
			r, _, _ = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			if r == 0 {
				break
			}
			_, _, _ = syscall.RawSyscall6(unix.SYS_WAIT4, r, 0, 0, 0, 0, 0)
		}
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	case kindThread:
		for {
			syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), ^uintptr(0), ^uintptr(0))
		}
	case kindDie:
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	for {
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}
