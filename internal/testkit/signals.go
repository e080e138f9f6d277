package testkit

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AllSignals is the set of all signals that can be ignored and blocked: bit n-1
// is signal n.
const AllSignals = ^uint64(1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1))

// SetSignals ignores and blocks two sets of signals, and no others, for a
// program that this thread is about to execute. Go's runtime is past use then.
func SetSignals(ignored, blocked uint64) error {
	const setSize = 8 // of the kernel's sigset_t
	all := ^uint64(0)
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), 0, setSize, 0, 0); errno != 0 {
		return os.NewSyscallError("sigprocmask", errno)
	}
	for n := range uintptr(64) {
		if AllSignals>>n&1 == 0 {
			continue
		}
		action := [4]uint64{ignored >> n & 1} // SIG_DFL, SIG_IGN
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, n+1, uintptr(unsafe.Pointer(&action[0])), 0, setSize, 0, 0); errno != 0 {
			return os.NewSyscallError("sigaction", errno)
		}
	}
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&blocked)), 0, setSize, 0, 0); errno != 0 {
		return os.NewSyscallError("sigprocmask", errno)
	}
	return nil
}
