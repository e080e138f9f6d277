package testkit

import (
	"math"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Children made here by clone(2) without exec are copies of a Go process with
// only one thread and no working Go runtime: no scheduler, no garbage
// collector, no stack growth. They may run nothing but raw system calls, on
// memory prepared by their parent, in functions that do not check the stack
// (nosplit). All signals are blocked, so no handler of Go's runs in them.

// rawClone is fork(2) with CLONE_NEW* flags: 0 in the child. The architectures
// order clone's last arguments differently, but all of them are zero.
//
//go:nosplit
//go:norace
func rawClone(flags uintptr) (pid int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	return int(r), errno
}

//go:nosplit
//go:norace
func rawExit(code uintptr) {
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
}

// rawPause sleeps until the timeout is used up, and exits. The kernel writes
// the rest of the time back when something wakes it early. There is no
// pause(2) on arm64.
//
//go:nosplit
//go:norace
func rawPause(timeout *unix.Timespec) {
	for {
		_, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
		if errno != syscall.EINTR {
			rawExit(0)
		}
	}
}

// rawDieWithParent asks for SIGKILL when the parent ends, and exits if that
// happened before: the parent is then not the one expected. The expectation 0
// fits parents outside our PID namespace.
//
//go:nosplit
//go:norace
func rawDieWithParent(parent uintptr) {
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	if now, _, _ := syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); now != parent {
		rawExit(0)
	}
}

// rawCloseFrom closes all descriptors from first on, where the kernel can
// (close_range(2), Linux 5.9).
//
//go:nosplit
//go:norace
func rawCloseFrom(first uintptr) {
	syscall.RawSyscall(unix.SYS_CLOSE_RANGE, first, math.MaxUint32, 0)
}

// blockSignals blocks all signals of the calling thread, for the children that
// will be cloned from it.
func blockSignals() error {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	return unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil)
}
