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

// startClone makes the helper a copy of this process, or a process in the same
// memory. Linux 5.7.
func (r *run) startClone() error {
	fds := r.fds()
	l := layout{firstFile: r.firstFile, report: int(fds[r.report])}
	im := newImage(l, r.prelude(fds), r.p)
	size := int(im.size) + len(initialStack(0, r.attr.Argv, r.attr.Env))
	mapping, err := r.memory(size)
	if err != nil {
		return err
	}
	defer r.free(mapping)
	im.base = uint64(uintptr(unsafe.Pointer(&mapping[0])))
	stack := im.base + im.size
	copy(mapping, im.bytes())
	copy(mapping[im.size:], initialStack(stack, r.attr.Argv, r.attr.Env))
	binary.NativeEndian.PutUint64(mapping[headArgv:], stack+8)
	binary.NativeEndian.PutUint64(mapping[headEnvp:], stack+8*uint64(len(r.attr.Argv)+2))
	r.im = im

	args := cloneArgs{flags: unix.CLONE_CLEAR_SIGHAND, exitSignal: uint64(unix.SIGCHLD)}
	if r.attr.Way == Vfork {
		// The interpreter uses no stack and writes to the mapping only, so the
		// other threads need not be stopped; this one is, until the execve.
		args.flags |= unix.CLONE_VM | unix.CLONE_VFORK
	}
	if r.attr.Cgroup != nil {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(r.attr.Cgroup.Fd())
	}
	// The lock that keeps others from making descriptors without CLOEXEC.
	syscall.ForkLock.Lock()
	pid := clone3(&args, unsafe.Sizeof(args), unsafe.Pointer(&mapping[0]))
	syscall.ForkLock.Unlock()
	if pid < 0 {
		return os.NewSyscallError("clone3", unix.Errno(-pid))
	}
	r.add(pid)
	return nil
}

// memory is for the helper's data, argv and envp included. That of a copy is a
// mapping of its own, because the garbage collector of this process goes on
// while the child, whose memory is copied when either side writes, reads it.
// Vfork's is seen to be in use: this thread waits with it.
func (r *run) memory(size int) ([]byte, error) {
	if r.attr.Way == Vfork {
		return make([]byte, size), nil
	}
	mapping, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mapping, os.NewSyscallError("mmap", err)
}

func (r *run) free(memory []byte) {
	if r.attr.Way == Vfork {
		runtime.KeepAlive(memory)
		return
	}
	_ = unix.Munmap(memory)
}

// initialStack is what the kernel puts on the stack of a new process, for the
// given address: argc, argv, a zero, envp, a zero, and the strings.
func initialStack(addr uint64, argv, env []string) []byte {
	words := []uint64{uint64(len(argv))}
	var text []byte
	textAt := addr + 8*uint64(len(argv)+len(env)+3)
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			words = append(words, textAt+uint64(len(text)))
			text = append(append(text, s...), 0)
		}
		words = append(words, 0)
	}
	b, _ := binary.Append(nil, binary.NativeEndian, words) // of fixed size: no error
	return append(b, text...)
}
