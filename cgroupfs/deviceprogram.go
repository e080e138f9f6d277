package cgroupfs

import (
	"slices"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// deviceProgramName is the name of the programs that nsx attaches. They are
// known by it and by their instructions, which are those that compile makes.
const deviceProgramName = "nsx_devices"

// The instructions of a program, which is called with r1 = struct
// bpf_cgroup_dev_ctx {access_type, major, minor} and answers in r0 (include/uapi/
// linux/bpf.h). The upper 16 bits of access_type are what is to be done, the
// lower ones the kind of device.
const (
	bpfLoad   = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	bpfSet    = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
	bpfCopy   = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X
	bpfAnd    = unix.BPF_ALU64 | unix.BPF_AND | unix.BPF_K
	bpfShift  = unix.BPF_ALU64 | unix.BPF_RSH | unix.BPF_K
	bpfJumpEq = unix.BPF_JMP32 | unix.BPF_JEQ | unix.BPF_K
	bpfJumpNe = unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K
	bpfExit   = unix.BPF_JMP | unix.BPF_EXIT

	offMajor, offMinor = 4, 8
)

// compile makes the program of a list. Each rule reads what it needs anew, so
// that the verifier finds the same state before each, and its work grows no
// faster than the list.
func (l deviceList) compile() []linux.BPFInsn {
	var p []linux.BPFInsn
	for _, r := range l.exceptions {
		p = append(p, r.compile(!l.allow)...)
	}
	return append(p, verdict(l.allow)...)
}

// compile leaves with a verdict where the rule applies.
func (r deviceRule) compile(allow bool) []linux.BPFInsn {
	p := []linux.BPFInsn{
		{Code: bpfLoad, Regs: 2 | 1<<4},
		{Code: bpfCopy, Regs: 3 | 2<<4},
		{Code: bpfShift, Regs: 3, Imm: 16},
		{Code: bpfAnd, Regs: 2, Imm: 0xffff},
		{Code: bpfJumpNe, Regs: 2, Imm: int32(r.kind)},
	}
	for _, part := range []struct {
		off    int16
		number uint32
	}{{offMajor, r.major}, {offMinor, r.minor}} {
		if part.number != anyDevice {
			p = append(p,
				linux.BPFInsn{Code: bpfLoad, Regs: 4 | 1<<4, Off: part.off},
				linux.BPFInsn{Code: bpfJumpNe, Regs: 4, Imm: int32(part.number)})
		}
	}
	if allow { // it does only what the rule has
		p = append(p, linux.BPFInsn{Code: bpfAnd, Regs: 3, Imm: int32(^r.access)}, linux.BPFInsn{Code: bpfJumpNe, Regs: 3})
	} else {
		p = append(p, linux.BPFInsn{Code: bpfAnd, Regs: 3, Imm: int32(r.access)}, linux.BPFInsn{Code: bpfJumpEq, Regs: 3})
	}
	p = append(p, verdict(allow)...)
	for i := range p { // to the end of the rule
		if p[i].Code == bpfJumpNe || p[i].Code == bpfJumpEq {
			p[i].Off = int16(len(p) - i - 1)
		}
	}
	return p
}

func verdict(allow bool) []linux.BPFInsn {
	yes := map[bool]int32{false: 0, true: 1}[allow]
	return []linux.BPFInsn{{Code: bpfSet, Regs: 0, Imm: yes}, {Code: bpfExit}}
}

// decompile reads the list back from a program. ok is false for a program that
// compile does not make.
func decompile(p []linux.BPFInsn) (l deviceList, ok bool) {
	if len(p) < 2 {
		return l, false
	}
	l.allow = p[len(p)-2].Imm == 1
	for rest := p[:len(p)-2]; len(rest) > 0; {
		r, size := decompileRule(rest, !l.allow)
		if size == 0 {
			return l, false
		}
		l.exceptions = append(l.exceptions, r)
		rest = rest[size:]
	}
	for _, r := range l.exceptions {
		if r.kind != blockDevice && r.kind != charDevice || r.access == 0 || r.access&^accessAll != 0 {
			return l, false
		}
	}
	return l, slices.Equal(l.compile(), p)
}

// decompileRule reads numbers from where compile puts them. That they stand
// there is for decompile to check.
func decompileRule(p []linux.BPFInsn, allow bool) (r deviceRule, size int) {
	const start, end = 5, 4
	r = deviceRule{major: anyDevice, minor: anyDevice}
	at := start
	for ; at+1 < len(p) && p[at].Code == bpfLoad; at += 2 {
		if p[at].Off == offMajor {
			r.major = uint32(p[at+1].Imm)
		} else {
			r.minor = uint32(p[at+1].Imm)
		}
	}
	if at+end > len(p) {
		return r, 0
	}
	r.kind, r.access = uint32(p[start-1].Imm), uint32(p[at].Imm)
	if allow {
		r.access = ^r.access
	}
	return r, at + end
}
