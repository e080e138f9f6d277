//go:build !amd64 && !arm64

package launcher

import "unsafe"

// Supported says whether this build can start programs; if not, why: an
// [UnsupportedError].
func Supported() error { return &UnsupportedError{} }

func machineCode() []byte { return nil }

func clone3(*cloneArgs, uintptr, unsafe.Pointer) int { return -1 }
