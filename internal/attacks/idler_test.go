package attacks

import (
	"debug/elf"
	"encoding/binary"
	"runtime"
)

// idleCode waits for ever by ppoll(2) and does nothing else, so that no filter
// hinders it from being looked at.
var idleCode = map[string][]byte{
	"amd64": {
		0x31, 0xff, // xor edi, edi
		0x31, 0xf6, // xor esi, esi
		0x31, 0xd2, // xor edx, edx
		0x4d, 0x31, 0xd2, // xor r10, r10
		0xb8, 0x0f, 0x01, 0x00, 0x00, // mov eax, 271
		0x0f, 0x05, // syscall
		0xeb, 0xee, // jmp to the first
	},
	"arm64": {
		0x00, 0x00, 0x80, 0xd2, // mov x0, 0
		0x01, 0x00, 0x80, 0xd2, // mov x1, 0
		0x02, 0x00, 0x80, 0xd2, // mov x2, 0
		0x03, 0x00, 0x80, 0xd2, // mov x3, 0
		0x28, 0x09, 0x80, 0xd2, // mov x8, 73
		0x01, 0x00, 0x00, 0xd4, // svc 0
		0xfa, 0xff, 0xff, 0x17, // b to the first
	},
}

// idler is the program of idleCode.
func idler() []byte {
	const addr, headers = 0x400000, 64 + 56
	code := idleCode[runtime.GOARCH]
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	file, _ := binary.Append(nil, binary.LittleEndian, elf.Header64{ // of fixed size: no error
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine[runtime.GOARCH]), Version: uint32(elf.EV_CURRENT),
		Entry: addr + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	size := uint64(headers + len(code))
	file, _ = binary.Append(file, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: addr,
		Filesz: size, Memsz: size, Align: 0x1000,
	})
	return append(file, code...)
}
