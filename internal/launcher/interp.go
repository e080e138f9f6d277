//go:build amd64 || arm64

package launcher

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants that only the assembler needs.
const (
	codeMark     = 0x6b72614d2078736e // "nsx Mark", behind each of the three functions
	sysClone3    = unix.SYS_CLONE3
	sysSigreturn = unix.SYS_RT_SIGRETURN
)

// restorerOff is where, in handler, its return is.
const restorerOff = 8

// maxCode bounds the search for the mark.
const maxCode = 1024

// code is where the assembler functions are in the text segment.
func code() (handler, entry, interp unsafe.Pointer)

// clone3 is clone3(2) whose child carries out the instructions at data. It
// returns the child's PID or a negative errno.
//
//go:noescape
func clone3(args *cloneArgs, size uintptr, data unsafe.Pointer) int

// machineCode is the helper's whole program: entry, then interp, then handler,
// which begins at the given offset.
func machineCode() (text []byte, handlerAt int) {
	handler, entry, interp := code()
	text = append(upToMark(entry), upToMark(interp)...)
	text = append(text, make([]byte, -len(text)&7)...)
	return append(text, upToMark(handler)...), len(text)
}

// ownHandler is the address of handler in this program.
func ownHandler() uint64 {
	handler, _, _ := code()
	return uint64(uintptr(handler))
}

func upToMark(start unsafe.Pointer) []byte {
	mark := binary.NativeEndian.AppendUint64(nil, codeMark)
	text := unsafe.Slice((*byte)(start), maxCode)
	return bytes.Clone(text[:bytes.Index(text, mark)])
}

// Supported says whether this build can start programs; if not, why.
func Supported() error { return nil }
