package testkit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a process gets stuck for everybody who looks at its memory: it holds its
// own mmap_lock for writing while it waits for a file system that does not
// answer. That is what a dead NFS server does to ps(1). Here the file system is
// FUSE, served by the fixture's parent:
//
//	the victim maps a page of its only file, shared, and writes to the page;
//	it maps anonymous memory over it (MAP_FIXED), for which the kernel, under
//	the lock, closes the old mapping: fuse_vma_close() in fs/fuse/file.c writes
//	the page back and waits;
//	the parent gets the FUSE_WRITE request and never answers.
//
// Before Linux 6.16 (0c58a97f919c) the kernel waits for a copy of the page alone,
// and nobody gets stuck.
//
// /proc/PID/cmdline, environ, maps, smaps, … of the victim take that lock and
// wait; stat, status, comm, cgroup and ns/ do not. The wait of the reader can
// be killed, that of the victim cannot, until the parent closes /dev/fuse.
//
// A page that userfaultfd(2) never delivers does not do it: the kernel reads a
// process's memory from outside without permission to wait for a handler, and
// /proc/PID/cmdline just ends early. A page of a FUSE file in the argument area
// does not either: since Linux 4.17 only anonymous memory is read there.

const stuckVictim Mode = "stuck-victim" // the inner process of Stuck

// stuck is the parent's part.
func (f *fixture) stuck() error {
	point := filepath.Join(f.Config.Dir, "stuck")
	if err := os.WriteFile(point, nil, 0o644); err != nil {
		return err
	}
	written := make(chan struct{}, 64)
	// The root of the file system is its only file.
	if err := f.mountFuse(point, unix.S_IFREG|0o644, written); err != nil {
		return err
	}
	o := f.order
	o.Config.Mode, o.Config.New, o.Config.Dir, o.Stages = stuckVictim, nil, point, []stage{{}}
	h, rep, err := startStage(o, false)
	if err != nil {
		return err
	}
	f.inner = append(f.inner, h)
	select {
	case <-written:
	case <-time.After(5 * time.Second):
		return errors.New("the kernel did not write the page back: no way to get stuck")
	}
	f.rep.PID = rep.PID
	f.rep.Levels = append(f.rep.Levels, rep.PID)
	return nil
}

// mountFuse mounts a file system at a point and serves it: see serveFuse.
func (f *fixture) mountFuse(point string, mode uint32, written chan<- struct{}) error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d", fd, mode, os.Geteuid(), os.Getegid())
	if err := unix.Mount("nsx-testkit", point, "fuse", unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("mount fuse: %w", err)
	}
	// Through Go's poller: Close ends a Read in progress, where close(2) would
	// leave the connection to it.
	conn := os.NewFile(uintptr(fd), "/dev/fuse")
	f.before = func() { conn.Close() } // aborts the connection: who waits gets an error
	go serveFuse(conn, written)
	return nil
}

// deadDir mounts a directory in which a look for a name never gets an answer:
// whoever looks waits in the kernel, and cannot be killed (request_wait_answer
// in fs/fuse/dev.c).
func (f *fixture) deadDir() error {
	point := filepath.Join(f.Config.Dir, "dead")
	if err := os.Mkdir(point, 0o755); err != nil {
		return err
	}
	return f.mountFuse(point, unix.S_IFDIR|0o755, make(chan struct{}, 64))
}

// stuckVictim is the inner process's part: the last step comes after its answer.
func (f *fixture) stuckVictim() error {
	file, err := os.OpenFile(f.Config.Dir, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// The kernel asks for the file's size now, not when the page is touched.
	if _, err := file.Stat(); err != nil {
		return err
	}
	size := os.Getpagesize()
	page, err := unix.MmapPtr(int(file.Fd()), 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	*(*byte)(page) = 1
	f.after = func() {
		_, _ = unix.MmapPtr(-1, 0, page, uintptr(size), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED)
	}
	return nil
}

// The FUSE requests that the kernel makes of us: include/uapi/linux/fuse.h.
const (
	fuseLookup    = 1
	fuseForget    = 2
	fuseGetattr   = 3
	fuseOpen      = 14
	fuseRead      = 15
	fuseWrite     = 16
	fuseRelease   = 18
	fuseInit      = 26
	fuseInterrupt = 36
)

// serveFuse serves one file of one page until the connection ends, and answers
// everything but writes and questions for names.
func serveFuse(conn *os.File, written chan<- struct{}) {
	buf := make([]byte, 1<<20)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, unix.ENOENT) { // the request was taken back
			continue
		}
		if err != nil || n < 40 {
			return
		}
		// struct fuse_in_header { u32 len, opcode; u64 unique, nodeid; … }
		opcode, unique := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[8:])
		var answer []byte
		errno := unix.Errno(0)
		switch opcode {
		case fuseForget, fuseInterrupt, fuseLookup: // want no answer, or get none
			continue
		case fuseWrite:
			written <- struct{}{}
			continue
		case fuseInit:
			answer = fuseInitOut()
		case fuseGetattr:
			answer = fuseAttrOut()
		case fuseOpen:
			answer = make([]byte, 16) // struct fuse_open_out: no handle, no flags
		case fuseRead:
			answer = make([]byte, os.Getpagesize())
		case fuseRelease:
		default:
			errno = unix.ENOSYS
		}
		// struct fuse_out_header { u32 len; s32 error; u64 unique; }
		out := binary.NativeEndian.AppendUint32(nil, uint32(16+len(answer)))
		out = binary.NativeEndian.AppendUint32(out, uint32(-int32(errno)))
		out = binary.NativeEndian.AppendUint64(out, unique)
		if _, err := conn.Write(slices.Concat(out, answer)); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}

func fuseInitOut() []byte {
	out := struct { // struct fuse_init_out
		major, minor, maxReadahead, flags uint32
		maxBackground, congestion         uint16
		maxWrite, timeGran                uint32
		maxPages, mapAlignment            uint16
		flags2                            uint32
		unused                            [7]uint32
	}{major: 7, minor: 31, maxBackground: 8, congestion: 8, maxWrite: 1 << 16, timeGran: 1}
	return slices.Clone((*[unsafe.Sizeof(out)]byte)(unsafe.Pointer(&out))[:])
}

func fuseAttrOut() []byte {
	out := struct { // struct fuse_attr_out with its struct fuse_attr
		valid                                       uint64
		validNsec, dummy                            uint32
		ino, size, blocks, atime, mtime, ctime      uint64
		atimeNsec, mtimeNsec, ctimeNsec             uint32
		mode, nlink, uid, gid, rdev, blksize, flags uint32
	}{
		valid: 3600, ino: 1, size: uint64(os.Getpagesize()), blocks: 8, mode: unix.S_IFREG | 0o644,
		nlink: 1, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), blksize: 4096,
	}
	return slices.Clone((*[unsafe.Sizeof(out)]byte)(unsafe.Pointer(&out))[:])
}
