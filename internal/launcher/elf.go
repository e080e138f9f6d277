package launcher

import (
	"encoding/binary"
	"runtime"
)

// Addresses of the helper. The distances suit pages of 4 to 64 KiB, the start
// is above any vm.mmap_min_addr in use.
const (
	textAddr = 0x400000
	dataAddr = 0x411000
	dataOff  = 0x1000 // in the file
	codeOff  = 256    // in the file and the text segment: behind the headers
)

// elfHeader and elfSegment are Elf64_Ehdr and Elf64_Phdr of elf(5).
type (
	elfHeader struct {
		ident                             [16]byte
		kind, machine                     uint16
		version                           uint32
		entry, phoff, shoff               uint64
		flags                             uint32
		ehsize, phentsize, phnum          uint16
		shentsize, sectionNum, stringsNum uint16
	}
	elfSegment struct {
		kind, flags                             uint32
		off, vaddr, paddr, filesz, memsz, align uint64
	}
)

// elfFile is a static executable of the code and the data.
func elfFile(code, data []byte) []byte {
	const (
		et_exec               = 2
		pt_load, pt_gnu_stack = 1, 0x6474e551
		x, w, r               = 1, 2, 4
		page                  = 0x1000
	)
	machines := map[string]uint16{"amd64": 62, "arm64": 183} // EM_X86_64, EM_AARCH64
	header := elfHeader{
		ident:   [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, // 64 bits, little endian, version 1
		kind:    et_exec,
		machine: machines[runtime.GOARCH],
		version: 1,
		entry:   textAddr + codeOff,
		phoff:   64, ehsize: 64, phentsize: 56, phnum: 3,
	}
	textSize, dataSize := uint64(codeOff+len(code)), uint64(len(data))
	segments := []elfSegment{
		{kind: pt_load, flags: r | x, vaddr: textAddr, filesz: textSize, memsz: textSize, align: page},
		{kind: pt_load, flags: r | w, off: dataOff, vaddr: dataAddr, filesz: dataSize, memsz: dataSize, align: page},
		{kind: pt_gnu_stack, flags: r | w}, // a stack that is not executable
	}
	file := make([]byte, dataOff+len(data))
	head, _ := binary.Append(file[:0], binary.LittleEndian, header) // of fixed size: no error
	_, _ = binary.Append(head, binary.LittleEndian, segments)
	copy(file[codeOff:], code)
	copy(file[dataOff:], data)
	return file
}
