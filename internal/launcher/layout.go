package launcher

import "encoding/binary"

// The helper's data: a header, the instructions, then slots and strings.
const (
	headArgv   = 0  // argv for execve
	headEnvp   = 8  // envp for execve
	headValue  = 16 // a record: an errno or another value …
	headWhere  = 24 // … and the instruction's address
	headReport = 32 // descriptor of the socket to the parent
	headTrash  = 40 // results that nobody wants
	headTraced = 48 // 1: the parent traces us, and reads the record when we fault
	headSize   = 64

	insnSize   = 96
	recordSize = 16
)

// layout is where things are in one run.
type layout struct {
	base   uint64 // address of the data
	files  []int  // descriptors of Program.files
	report int    // descriptor of the socket to the parent
}

// image is what a run is made of: the prelude, which makes the state that a
// program can rely on and starts with the instructions for a failure, the
// program itself, and an exit for one that just ends. Nothing runs on into the
// data behind it: an exit is followed by a fault.
type image struct {
	layout
	parts []part
	size  uint64
}

// part is a program and where its instructions and its data begin.
type part struct {
	p           *Program
	insns, data uint64
}

func newImage(l layout, prelude, p *Program) *image {
	im := &image{layout: l, size: headSize}
	end := &Program{}
	end.Exit(0)
	for _, p := range []*Program{prelude, p, end} {
		im.parts = append(im.parts, part{p: p, insns: im.size})
		im.size += uint64(len(p.insns)) * insnSize
	}
	for i, part := range im.parts {
		im.parts[i].data = im.size
		im.size += (uint64(len(part.p.data)) + 7) &^ 7
	}
	return im
}

// insn finds the instruction of a record, nil if it is none of an instruction.
func (im *image) insn(where uint64) *insn {
	offset := where - im.base
	for _, part := range im.parts {
		if i := (offset - part.insns) / insnSize; where >= im.base && offset >= part.insns && i < uint64(len(part.p.insns)) {
			return &part.p.insns[i]
		}
	}
	return nil
}

// bytes is the data as the helper finds it.
func (im *image) bytes() []byte {
	b := make([]byte, im.size)
	im.write(b)
	return b
}

// write writes the data to memory that is zero.
func (im *image) write(b []byte) {
	binary.NativeEndian.PutUint64(b[headReport:], uint64(im.report))
	for _, part := range im.parts {
		for i := range part.p.insns {
			im.encode(b[part.insns+uint64(i)*insnSize:], part, &part.p.insns[i])
		}
		copy(b[part.data:], part.p.data)
	}
}

// encode writes one instruction; interp_amd64.s has the format.
func (im *image) encode(b []byte, part part, in *insn) {
	var mask, target uint64
	put := func(word int, n uint64) { binary.NativeEndian.PutUint64(b[8*word:], n) }
	argument := func(bit, word int, a Arg) {
		if a.loaded {
			mask |= 1 << bit
		}
		put(word, im.number(part, a))
	}
	for i, a := range in.args {
		argument(i, 2+i, a)
	}
	argument(6, 9, in.dst)
	switch {
	case in.op == opTest && in.target == failLabel, in.op == opCall && in.onFail == fail:
		target = im.base + im.parts[0].insns + failInsn*insnSize
	case in.op == opTest || in.onFail == jump:
		target = im.base + part.insns + uint64(part.p.labels[in.target])*insnSize
	}
	put(0, uint64(in.op))
	put(1, in.nr)
	put(8, mask)
	put(10, target)
}

func (im *image) number(part part, a Arg) uint64 {
	switch a.base {
	case baseHead:
		return im.base + a.n
	case baseInsn:
		return im.base + part.insns + a.n*insnSize
	case baseData:
		return im.base + part.data + a.n
	case baseFile:
		return uint64(im.files[a.n])
	}
	return a.n
}

func appendUint32(b []byte, words ...uint32) []byte {
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}
