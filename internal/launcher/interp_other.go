//go:build !amd64 && !arm64

package launcher

import "unsafe"

// Supported says whether this build can start programs; if not, why: an
// [UnsupportedError].
func Supported() error { return &UnsupportedError{} }

const restorerOff, regValue, regWhere = 0, 0, 0

func machineCode() ([]byte, int) { return nil, 0 }

func ownHandler() uint64 { return 0 }

func clone3(*cloneArgs, uintptr, unsafe.Pointer) int { return -1 }
