package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// found is a namespace with what was seen to hold it.
type found struct {
	id     ID
	holder Holder
	name   string // of ip-netns(8), for a bind mount
}

// holderSearch looks for what keeps namespaces alive besides processes.
type holderSearch struct {
	machine   Machine
	nsfs      device    // of all namespace files
	samePIDs  bool      // proc's PIDs are those of our own PID namespace
	known     *grouping // read, not written, while the search runs
	relations relations
	relate    bool

	room    atomic.Int64 // for so many holders more: see take
	mu      sync.Mutex
	refused []Unreadable
}

// maxHolders is how many descriptors, sockets and mounts are listed: any user
// can have any number of them.
const maxHolders = 1 << 18

// take says whether there is room for one more of a process's holders.
func (s *holderSearch) take(pid int, what string) bool {
	left := s.room.Add(-1)
	if left == -1 {
		s.refuse(pid, what, fmt.Errorf("more than %d holders of namespaces: those of other processes may be missing too", maxHolders))
	}
	return left >= 0
}

func (s *holderSearch) refuse(pid int, what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, Unreadable{pid, what, errorName(err)})
}

// meet asks about a namespace that no process is in, and closes fd.
func (s *holderSearch) meet(fd int, id ID) {
	if s.relate && !s.known.has(id) {
		s.relations.follow(fd, id)
	}
	unix.Close(fd)
}

// findHolders adds Names and HeldBy, and the namespaces met on the way. It
// runs on a live machine only: in a captured tree there is nothing to look at.
func (m Machine) findHolders(ctx context.Context, g *grouping, o Options) ([]Unreadable, error) {
	if !m.isLive() {
		return nil, nil
	}
	s := &holderSearch{
		machine: m, nsfs: nsfsDevice(), known: g,
		relations: relations{known: map[ID]*relation{}}, relate: o.Relations,
	}
	s.room.Store(maxHolders)
	finds := s.ownBinds()
	if o.Holders {
		finds = append(finds, s.search(ctx, o.workers())...)
	}
	s.relations.addTo(g)
	// Where /run/netns is a shared mount, ip-netns(8) has each of its files
	// mounted twice at the same place.
	type place struct {
		id   ID
		mnt  uint64
		path string
	}
	seen := map[place]bool{}
	for _, f := range finds {
		if f.holder.Kind == HeldByBind {
			at := place{f.id, f.holder.Mnt, f.holder.Path}
			if seen[at] {
				continue
			}
			seen[at] = true
		}
		g.hold(f.id, f.holder)
		if f.name != "" {
			n := &g.list[g.add(f.id)]
			n.Names = append(n.Names, f.name)
		}
	}
	return s.refused, ctx.Err()
}

// ownBinds finds the bind mounts in the caller's mount namespace.
func (s *holderSearch) ownBinds() []found {
	mounts, err := mountsOf(ownMounts, bindType)
	if err != nil && len(mounts) == 0 {
		return nil
	}
	var own unix.Stat_t
	_ = unix.Stat(ownMountNS, &own)
	finds := s.binds(0, unix.AT_FDCWD, own.Ino, mounts)
	for i := range finds {
		finds[i].name, _ = netnsName(s.machine.root, finds[i].holder.Path)
	}
	return finds
}

const ownMountNS = "/proc/thread-self/ns/mnt"

// binds turns mounts of namespace files, with paths as seen from the
// directory root in the mount namespace mnt, into finds. pid is whose table it
// is, 0 for our own.
func (s *holderSearch) binds(pid, root int, mnt uint64, mounts []*mountinfo.Info) []found {
	finds := make([]found, 0, len(mounts))
	for _, m := range mounts {
		id, err := ParseID(m.Root)
		if err != nil {
			continue
		}
		if !s.take(pid, "mounts") {
			break
		}
		finds = append(finds, found{id: id, holder: Holder{Kind: HeldByBind, Path: m.Mountpoint, Mnt: mnt}})
		if fd := openBind(root, m.Mountpoint, id); fd >= 0 {
			s.meet(fd, id)
		}
	}
	return finds
}

// openBind opens a namespace file by the path of its mount, or returns -1.
// Nothing else that may lie at the path by now is opened for reading: that
// could block (a FIFO) or act (a device).
func openBind(root int, path string, id ID) int {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	if root != unix.AT_FDCWD {
		how.Resolve |= unix.RESOLVE_IN_ROOT
	}
	at, err := unix.Openat2(root, path, &how)
	if err != nil {
		return -1
	}
	defer unix.Close(at)
	return reopen(at, id.Inode)
}

// reopen opens for reading what an O_PATH descriptor is of, if that is the
// namespace with this inode number, or returns -1.
func reopen(at int, inode uint64) int {
	fd, id, err := reopenNamespace(at)
	if err != nil {
		return -1
	}
	if id.Inode != inode {
		unix.Close(fd)
		return -1
	}
	return fd
}

// search looks at the descriptors and sockets of every process, and into the
// mount table of every mount namespace but our own.
func (s *holderSearch) search(ctx context.Context, workers int) []found {
	var own unix.Stat_t
	_ = unix.Stat(ownMountNS, &own)
	// One process for each mount namespace. The leader, since another one may
	// see less of it, from a root further down.
	mountReader := map[int]bool{}
	for i := range s.known.list {
		if n := &s.known.list[i]; n.Type == Mnt && n.Inode != own.Ino && len(n.PIDs) > 0 {
			mountReader[n.Leader.PID] = true
		}
	}
	processes := s.known.processes
	finds := make([][]found, len(processes))
	self, _ := s.machine.self()
	s.samePIDs = s.machine.samePIDs()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(processes) {
					return
				}
				p := &processes[i]
				if p.KernelThread || p.State == Zombie || p.PID == self {
					continue
				}
				finds[i] = s.descriptors(p)
				if mountReader[p.PID] {
					finds[i] = append(finds[i], s.bindsOf(p)...)
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(finds...)
}

// descriptors finds the namespaces that p holds by a file or a socket. The
// link of a namespace opened in /proc/PID/ns reads "net:[…]"; of one opened
// through a bind mount it reads like a path, so that such links are looked
// at: for their device only, which asks no file server that may be dead.
func (s *holderSearch) descriptors(p *Process) (finds []found) {
	dir, err := os.Open(s.machine.join(strconv.Itoa(p.PID), "fd"))
	if err != nil {
		return nil // counted already, if it is refused
	}
	defer dir.Close()
	fds, _ := numericNames(dir)
	pidfd := -1
	defer func() {
		if pidfd >= 0 {
			unix.Close(pidfd)
		}
	}()
	var buf [64]byte
	for _, fd := range append([]int{0}, fds...) {
		name := strconv.Itoa(fd)
		n, err := unix.Readlinkat(int(dir.Fd()), name, buf[:])
		if err != nil {
			continue
		}
		link := string(buf[:n])
		if strings.HasPrefix(link, "socket:") {
			if !s.samePIDs {
				continue // a pidfd would be somebody else's
			}
			if pidfd < 0 {
				if pidfd, err = proc.OpenPIDFD(p.PID); err != nil {
					continue
				}
			}
			if id, ok := s.socketNamespace(p, pidfd, fd); ok {
				if !s.take(p.PID, "descriptors") {
					break
				}
				finds = append(finds, found{id: id, holder: Holder{Kind: HeldBySocket, PID: p.PID, FD: &fd}})
			}
			continue
		}
		if _, err := ParseID(link); err != nil && !strings.HasPrefix(link, "/") {
			continue
		}
		if device, err := deviceOf(int(dir.Fd()), name, 0); err != nil || device != s.nsfs {
			continue // the cheap look; by the next call it may be something else
		}
		ns, id, err := openNamespace(int(dir.Fd()), name)
		if err != nil {
			continue
		}
		s.meet(ns, id)
		if !s.take(p.PID, "descriptors") {
			break
		}
		finds = append(finds, found{id: id, holder: Holder{Kind: HeldByFD, PID: p.PID, FD: &fd}})
	}
	if len(finds) > 0 && !s.machine.has(p) {
		return nil // they are those of another process with the same PID
	}
	return finds
}

// has says whether p is still there, and no other process has its PID.
func (m Machine) has(process *Process) bool {
	var r proc.Reader
	path := linux.CString(m.join(strconv.Itoa(process.PID), "stat"))
	st, err := r.Stat(unix.AT_FDCWD, path)
	return err == nil && st.StartTicks == process.StartTicks
}

// socketNamespace finds a network namespace that a socket of p belongs to and
// p itself is not in.
func (s *holderSearch) socketNamespace(p *Process, pidfd, fd int) (ID, bool) {
	socket, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return ID{}, false
	}
	defer unix.Close(socket)
	ns, err := linux.SocketNetNS(socket)
	if err != nil {
		return ID{}, false
	}
	inode, err := inodeOf(ns)
	if err != nil || inode == p.NS[Net] {
		unix.Close(ns)
		return ID{}, false
	}
	s.meet(ns, ID{Net, inode})
	return ID{Net, inode}, true
}

// bindsOf finds the bind mounts in p's mount namespace, as seen from p's root.
func (s *holderSearch) bindsOf(p *Process) []found {
	pid := strconv.Itoa(p.PID)
	mounts, err := mountsOf(s.machine.join(pid, "mountinfo"), bindType)
	if errors.Is(err, unix.EFBIG) {
		s.refuse(p.PID, "mounts", err)
	}
	if len(mounts) == 0 {
		return nil
	}
	root, err := unix.Open(s.machine.join(pid, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	return s.binds(p.PID, root, p.NS[Mnt], mounts)
}
