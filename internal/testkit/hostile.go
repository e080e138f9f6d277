package testkit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flip makes descriptors that are now a namespace and now a FIFO that nobody
// writes to: whoever looks at one and then opens it by name waits for ever.
func (f *fixture) flip() error {
	fifo := filepath.Join(f.Config.Dir, "fifo"+strconv.Itoa(f.rep.PID))
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		return os.NewSyscallError("mkfifo", err)
	}
	trap, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ns, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	const first, count = 100, 64
	for fd := first; fd < first+count; fd++ {
		if err := unix.Dup3(ns, fd, unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	f.after = func() {
		go func() {
			runtime.LockOSThread()
			for {
				for _, from := range []int{trap, ns} {
					for fd := first; fd < first+count; fd++ {
						_ = unix.Dup3(from, fd, unix.O_CLOEXEC)
					}
				}
			}
		}()
	}
	return nil
}

// HugeArgsSize is how long the command line and the environment of a fixture in
// mode HugeArgs are together, in bytes.
const HugeArgsSize = 48 << 20

// prctlMMMap is struct prctl_mm_map of include/uapi/linux/prctl.h.
type prctlMMMap struct {
	startCode, endCode, startData, endData, startBrk, brk, startStack, argStart, argEnd, envStart, envEnd uint64
	auxv                                                                                                  uint64
	auxvSize, exeFD                                                                                       uint32
}

// hugeArgs makes its arguments and its environment 48 MiB, which any user may
// (prctl(2), PR_SET_MM_MAP): 64 KiB of short words, and then nothing but NULs,
// which take no memory until they are written to. The kernel shows only
// anonymous memory there.
func (f *fixture) hugeArgs() error {
	area, err := unix.Mmap(-1, 0, HugeArgsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	copy(area, bytes.Repeat([]byte("A=1234567890123\x00"), 64<<10/16))
	at := uintptr(unsafe.Pointer(&area[0]))
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	field := func(n int) uint64 { // as proc_pid_stat(5) counts them
		v, _ := strconv.ParseUint(words[n-3], 10, 64)
		return v
	}
	brk, _, _ := syscall.Syscall(unix.SYS_BRK, 0, 0, 0)
	m := prctlMMMap{
		startCode: field(26), endCode: field(27), startStack: field(28), startData: field(45), endData: field(46),
		startBrk: field(47), brk: uint64(brk), exeFD: ^uint32(0),
		argStart: uint64(at), argEnd: uint64(at) + HugeArgsSize, envStart: uint64(at), envEnd: uint64(at) + HugeArgsSize,
	}
	if err := unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP, uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m), 0); err != nil {
		return fmt.Errorf("prctl PR_SET_MM_MAP: %w", err)
	}
	return nil
}
