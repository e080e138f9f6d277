package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Quick makes system calls without telling Go's scheduler if it is true. That
// saves a tenth of the time of a call that procfs answers at once, and the
// scheduler's watch over the others: it hands a processor's goroutines to
// another thread when a call takes longer than 20 µs. A call that sleeps would
// hold up the whole program at the next garbage collection, so it is for files
// that wait for nothing, such as /proc/PID/stat and /proc/PID/ns, and not for
// /proc/PID/cmdline.
//
// Paths are made once (see CString) and not copied in each call.
type Quick bool

// CString is a path as the kernel takes it. It panics if the path holds a NUL.
func CString(path string) *byte {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		panic(err)
	}
	return p
}

// Openat is openat(2) of an existing file.
func (q Quick) Openat(dir int, path *byte, flags int) (int, error) {
	if q {
		return result(unix.RawSyscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(flags), 0, 0, 0))
	}
	return result(unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(flags), 0, 0, 0))
}

// Readlinkat is readlinkat(2); buf must not be empty.
func (q Quick) Readlinkat(dir int, path *byte, buf []byte) (int, error) {
	to, size := unsafe.Pointer(&buf[0]), uintptr(len(buf))
	if q {
		return result(unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(to), size, 0, 0))
	}
	return result(unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(to), size, 0, 0))
}

// Read is read(2); buf must not be empty.
func (q Quick) Read(fd int, buf []byte) (int, error) {
	to, size := unsafe.Pointer(&buf[0]), uintptr(len(buf))
	if q {
		return result(unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(to), size))
	}
	return result(unix.Syscall(unix.SYS_READ, uintptr(fd), uintptr(to), size))
}

// Close is close(2).
func (q Quick) Close(fd int) {
	if q {
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		return
	}
	_, _, _ = unix.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

func result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
