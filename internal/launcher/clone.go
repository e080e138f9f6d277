package launcher

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cloneArgs is struct clone_args of clone(2) and include/uapi/linux/sched.h.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// startClone makes the helper a copy of this process, or one in the same memory.
func (r *run) startClone() error {
	r.im = newImage(layout{files: r.kept, report: r.report()}, r.prelude(r.std(), ownHandler(), nil), r.p)
	pid, _, err := r.clone(r.im, r.attr.Way == Vfork)
	if err != nil {
		return err
	}
	r.add(pid)
	return nil
}

// signalStack is for the frame of a signal's handler, which is 11 KiB on
// processors with AMX (AT_MINSIGSTKSZ in getauxval(3)).
const signalStack = 32 << 10

// clone makes a process that carries the image out: a copy of this one or, if
// vfork says so, one that shares our memory, and then returns when it has
// executed a program or ended; failed is then the errno of a failed step.
//
// The interpreter uses no stack, and writes to the memory given to it only. So
// our other threads need not be stopped; this one is. Linux 5.7.
func (r *run) clone(im *image, vfork bool) (pid int, failed unix.Errno, err error) {
	size := int(im.size) + stackLen(r.attr.Argv, r.attr.Env) + signalStack
	var memory []byte
	args := cloneArgs{flags: unix.CLONE_CLEAR_SIGHAND, exitSignal: uint64(unix.SIGCHLD)}
	if vfork {
		args.flags |= unix.CLONE_VM | unix.CLONE_VFORK
		memory = make([]byte, size)
	} else {
		// The garbage collector of this process goes on while the child, whose
		// memory is copied when either side writes, reads.
		if memory, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
			return 0, 0, os.NewSyscallError("mmap", err)
		}
		defer func() { _ = unix.Munmap(memory) }()
	}
	im.base = uint64(uintptr(unsafe.Pointer(&memory[0])))
	words := im.base + im.size
	im.write(memory)
	writeStack(memory[im.size:], words, r.attr.Argv, r.attr.Env)
	binary.NativeEndian.PutUint64(memory[headArgv:], words+8)
	binary.NativeEndian.PutUint64(memory[headEnvp:], words+8*uint64(len(r.attr.Argv)+2))

	args.stackSize = signalStack - 16
	args.stack = (im.base + uint64(size) - args.stackSize) &^ 15
	if r.attr.Cgroup != nil {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(r.attr.Cgroup.Fd())
	}
	// The lock that keeps others from making descriptors without CLOEXEC.
	syscall.ForkLock.Lock()
	pid = clone3(&args, unsafe.Sizeof(args), unsafe.Pointer(&memory[0]))
	syscall.ForkLock.Unlock()
	if pid < 0 {
		return 0, 0, os.NewSyscallError("clone3", unix.Errno(-pid))
	}
	failed = unix.Errno(binary.NativeEndian.Uint64(memory[headValue:]))
	runtime.KeepAlive(memory)
	return pid, failed, nil
}

// writeStack writes what the kernel puts on the stack of a new process, for the
// given address: argc, argv, a zero, envp, a zero, and the strings. It needs
// stackLen bytes, which are zero.
func writeStack(b []byte, addr uint64, argv, env []string) {
	at, text := 0, 8*(len(argv)+len(env)+3)
	word := func(n uint64) {
		binary.NativeEndian.PutUint64(b[at:], n)
		at += 8
	}
	word(uint64(len(argv)))
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			word(addr + uint64(text))
			text += copy(b[text:], s) + 1
		}
		word(0)
	}
}

func stackLen(argv, env []string) int {
	n := 8 * (len(argv) + len(env) + 3)
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			n += len(s) + 1
		}
	}
	return n
}
