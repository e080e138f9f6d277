package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// CString is a path as the kernel takes it, for Readlinkat. It panics if the
// path holds a NUL.
func CString(path string) *byte {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		panic(err)
	}
	return p
}

// Readlinkat is readlinkat(2) with a path that was made once: that of x/sys
// copies it in each call, of which a scan makes ten for every process. buf must
// not be empty.
func Readlinkat(dir int, path *byte, buf []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
