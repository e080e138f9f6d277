package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPFInsn is struct bpf_insn of include/uapi/linux/bpf.h, as little-endian
// machines have it: Regs holds the destination in its lower four bits, and the
// source in its upper ones.
type BPFInsn struct {
	Code, Regs uint8
	Off        int16
	Imm        int32
}

// BPFProgram is what is asked about a program that is loaded.
type BPFProgram struct {
	// Name is at most 15 letters, digits, "_" and "."; empty if it has none.
	Name string
	// Size is how many instructions it has: 0 for a caller without CAP_BPF.
	Size int
	// Insns are nil where the kernel does not show them, since it has hidden
	// their constants (net.core.bpf_jit_harden=2).
	Insns []BPFInsn
}

// bpf is bpf(2). What attr points to has to be pinned.
func bpf(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// pinned is a pointer as bpf(2) takes it, good until the pinner lets go.
func pinned[T any](p *runtime.Pinner, to *T) uint64 {
	p.Pin(to)
	return uint64(uintptr(unsafe.Pointer(to)))
}

// BPFProgLoad loads a program that calls no function of the kernel. EPERM: it
// takes CAP_BPF (Linux 5.8) and, for cgroups, CAP_NET_ADMIN, or CAP_SYS_ADMIN,
// in the initial user namespace. E2BIG: it is too long. EINVAL, EACCES: the
// verifier refuses it.
func BPFProgLoad(typ uint32, name string, insns []BPFInsn) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := struct {
		typ, count                   uint32
		insns, license               uint64
		logLevel, logSize            uint32
		log                          uint64
		version, flags               uint32
		name                         [unix.BPF_OBJ_NAME_LEN]byte
		ifindex, expectedAttachments uint32
	}{typ: typ, count: uint32(len(insns)), insns: pinned(&pin, &insns[0]), license: pinned(&pin, new(byte))}
	copy(attr.name[:len(attr.name)-1], name)
	return bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// bpfAttachment is what BPF_PROG_ATTACH and BPF_PROG_DETACH take.
type bpfAttachment struct{ target, program, typ, flags, replaced uint32 }

// BPFProgAttach attaches a program to a cgroup's directory, in the place of
// another one if flags have BPF_F_REPLACE (Linux 5.6). EPERM: without
// CAP_NET_ADMIN, or where a program is attached, here or above, that tolerates
// no other. ENOENT: the one to be replaced is not attached any more. E2BIG: 64
// programs are. EINVAL: the kernel lacks CONFIG_CGROUP_BPF. EBADF: it is no
// cgroup of v2.
func BPFProgAttach(target, program int, typ, flags uint32, replaced int) error {
	attr := bpfAttachment{uint32(target), uint32(program), typ, flags, 0}
	if flags&unix.BPF_F_REPLACE != 0 {
		attr.replaced = uint32(replaced)
	}
	_, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

// BPFProgDetach detaches a program. ENOENT: it is not attached.
func BPFProgDetach(target, program int, typ uint32) error {
	attr := bpfAttachment{target: uint32(target), program: uint32(program), typ: typ}
	_, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

// BPFProgQuery puts the numbers of the programs attached to a cgroup's directory
// into ids, which must not be empty, and says how many there are: with
// BPF_F_QUERY_EFFECTIVE among the flags, those of the groups above too. ENOSPC:
// there are more than ids can take. EPERM: it takes CAP_NET_ADMIN.
func BPFProgQuery(target int, typ, flags uint32, ids []uint32) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := struct {
		target, typ, flags, attached uint32
		ids                          uint64
		count, _                     uint32
	}{target: uint32(target), typ: typ, flags: flags, ids: pinned(&pin, &ids[0]), count: uint32(len(ids))}
	_, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return int(attr.count), err
}

// BPFProgByID opens the program with this number. EPERM: it takes CAP_SYS_ADMIN.
// ENOENT: it is gone.
func BPFProgByID(id uint32) (int, error) {
	attr := struct{ id, next, flags uint32 }{id: id}
	return bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// bpfProgInfo is the beginning of struct bpf_prog_info: before xlatedSize are
// type, id, tag and jited_prog_len; before xlated jited_prog_insns; before the
// name load_time, created_by_uid, nr_map_ids and map_ids.
type bpfProgInfo struct {
	_          [5]uint32
	xlatedSize uint32
	_, xlated  uint64
	_          [3]uint64
	name       [unix.BPF_OBJ_NAME_LEN]byte
}

// BPFProgInfo asks for a program's name, its size, and as many of its
// instructions as insns can take.
func BPFProgInfo(program int, insns []BPFInsn) (BPFProgram, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	const size = unsafe.Sizeof(BPFInsn{})
	var info bpfProgInfo
	if len(insns) > 0 {
		info.xlatedSize, info.xlated = uint32(len(insns))*uint32(size), pinned(&pin, &insns[0])
	}
	attr := struct {
		program, size uint32
		info          uint64
	}{uint32(program), uint32(unsafe.Sizeof(info)), pinned(&pin, &info)}
	if _, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return BPFProgram{}, err
	}
	p := BPFProgram{Name: unix.ByteSliceToString(info.name[:]), Size: int(info.xlatedSize) / int(size)}
	if info.xlated != 0 {
		p.Insns = insns[:min(len(insns), p.Size)]
	}
	return p, nil
}
