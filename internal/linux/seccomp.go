package linux

import (
	"context"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopTimeout is how long a thread may take to stop.
const stopTimeout = time.Second

// SeccompFilters reads the seccomp filters of a thread, the oldest first, as the
// arrays of struct sock_filter that seccomp(2) takes. alive says, once no other
// thread can have its number, whether it is the one that is meant.
//
// There is only one way, PTRACE_SECCOMP_GET_FILTER of ptrace(2), Linux 4.4 with
// CONFIG_CHECKPOINT_RESTORE, and for that the thread has to be stopped. It takes
// some tenths of a millisecond. A call in which it waits is started again, except
// for those that signal(7) names, such as epoll_wait(2): these fail with EINTR,
// as after a SIGSTOP and SIGCONT.
//
// EACCES: it takes CAP_SYS_ADMIN in the initial user namespace, and a caller
// that has no filter itself. EPERM: the thread may not be traced, or is already.
// ETIMEDOUT: it does not stop, for it is in uninterruptible sleep, or frozen by
// v1's freezer. ESRCH: it has exited, or is a zombie. EINVAL: the kernel cannot
// do it. EMEDIUMTYPE: a filter is not of classic BPF.
func SeccompFilters(ctx context.Context, tid int, alive func() bool) (filters [][]byte, err error) {
	// Before it is stopped in vain.
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode != 0 || !HasCapability(unix.CAP_SYS_ADMIN) {
		return nil, os.NewSyscallError("ptrace(PTRACE_SECCOMP_GET_FILTER)", unix.EACCES)
	}
	done := make(chan struct{})
	// The thread ends, and the kernel lets go of what it still traces (exit_ptrace in
	// kernel/ptrace.c).
	OnThread(func() {
		defer close(done)
		filters, err = tracedFilters(ctx, tid, alive)
	})
	<-done
	return filters, err
}

func tracedFilters(ctx context.Context, tid int, alive func() bool) ([][]byte, error) {
	if err := unix.PtraceSeize(tid); err != nil {
		return nil, os.NewSyscallError("ptrace(PTRACE_SEIZE)", err)
	}
	// A traced process keeps its number until its tracer has seen its end.
	if !alive() {
		return nil, unix.ESRCH
	}
	if err := unix.PtraceInterrupt(tid); err != nil {
		return nil, os.NewSyscallError("ptrace(PTRACE_INTERRUPT)", err)
	}
	signal, err := awaitStop(ctx, tid)
	if err != nil {
		return nil, err
	}
	filters, err := readFilters(tid)
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(signal), 0, 0)
	if errno != 0 && err == nil {
		err = os.NewSyscallError("ptrace(PTRACE_DETACH)", errno)
	}
	return filters, err
}

// awaitStop waits until the thread has stopped. If it was by chance a signal that
// stopped it, to be delivered when it goes on.
func awaitStop(ctx context.Context, tid int) (unix.Signal, error) {
	begin, pause := time.Now(), 10*time.Microsecond // most stop at once, and are kept from their work
	for ; ctx.Err() == nil; time.Sleep(pause) {
		var status unix.WaitStatus
		switch got, err := unix.Wait4(tid, &status, unix.WNOHANG|unix.WALL, nil); {
		case err != nil && err != unix.EINTR:
			return 0, os.NewSyscallError("wait4", err)
		case got != tid:
			switch waited := time.Since(begin); {
			case waited > stopTimeout:
				return 0, unix.ETIMEDOUT
			case waited > 5*time.Millisecond:
				pause = time.Millisecond
			}
		case !status.Stopped():
			return 0, unix.ESRCH
		case uint32(status)>>16 == unix.PTRACE_EVENT_STOP:
			return 0, nil
		default:
			return status.StopSignal(), nil
		}
	}
	return 0, context.Cause(ctx)
}

func readFilters(tid int) (filters [][]byte, err error) {
	for i := 0; ; i++ {
		n, errno := readFilter(tid, i, nil)
		if errno == unix.ENOENT {
			return filters, nil // there are no more
		}
		if errno == 0 && n > 0 {
			filter := make([]byte, n*unix.SizeofSockFilter)
			_, errno = readFilter(tid, i, unsafe.Pointer(&filter[0]))
			filters = append(filters, filter)
		}
		if errno != 0 {
			return nil, os.NewSyscallError("ptrace(PTRACE_SECCOMP_GET_FILTER)", errno)
		}
	}
}

// readFilter reads the filter with this number, if there is a place for it, and
// says how many instructions it has.
func readFilter(tid, number int, to unsafe.Pointer) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(tid), uintptr(number), uintptr(to), 0, 0)
	return int(n), errno
}
