//go:build amd64 || arm64

package testkit

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants that only the assembler needs.
const (
	sleeperMark    = 0x7065656c53207473 // "st Sleep", behind its code
	sleeperSeconds = int64(Lifetime / 1e9)
	prSetName      = unix.PR_SET_NAME
	sysPrctl       = unix.SYS_PRCTL
	sysClose       = unix.SYS_CLOSE
	sysPpoll       = unix.SYS_PPOLL
	sysExitGroup   = unix.SYS_EXIT_GROUP
)

// sleeperCode is where the assembler function is in the text segment.
func sleeperCode() unsafe.Pointer

// newSleeper is a memfd with the smallest of programs: it takes argv[0] for its
// name, closes sleeperFD, sleeps for Lifetime and exits.
func newSleeper() (fd int, err error) {
	const addr, headers = 0x400000, 64 + 56
	text := unsafe.Slice((*byte)(sleeperCode()), 1024)
	text = text[:bytes.Index(text, binary.NativeEndian.AppendUint64(nil, sleeperMark))]
	size := uint64(headers + len(text))
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	file, _ := binary.Append(nil, binary.LittleEndian, elf.Header64{ // of fixed size: no error
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine[runtime.GOARCH]), Version: uint32(elf.EV_CURRENT),
		Entry: addr + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	file, _ = binary.Append(file, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: addr,
		Filesz: size, Memsz: size, Align: 0x1000,
	})
	fd, err = unix.MemfdCreate("sleeper", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("sleeper", unix.MFD_CLOEXEC) // before Linux 6.3
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if _, err := unix.Write(fd, append(file, text...)); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("write", err)
	}
	return fd, nil
}
