package inspect

import (
	"context"
	"strconv"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// open opens a namespace of the snapshot by whatever was seen to hold it: a
// process or thread in it, a bind mount, a descriptor, a socket, a child. dir
// is a descriptor of /proc. Each way is checked to lead to that namespace.
func (s *Snapshot) open(dir int, n *Namespace) (int, bool) {
	if fd, ok := openByProcess(dir, n); ok {
		return fd, true
	}
	for _, h := range n.HeldBy {
		fd := -1
		switch h.Kind {
		case HeldByBind:
			fd = s.openBindOf(dir, h, n.ID())
		case HeldByFD:
			fd = openDescriptor(dir, h.PID, *h.FD, n.Inode)
		case HeldBySocket:
			fd = openBySocket(h.PID, *h.FD)
		case HeldByChild:
			fd = s.openByChild(dir, *h.Child, n.Type)
		}
		if fd < 0 {
			continue
		}
		if inode, err := inodeOf(fd); err == nil && inode == n.Inode {
			return fd, true
		}
		unix.Close(fd)
	}
	return -1, false
}

// openBindOf opens a bind mount, through a process in its mount namespace if
// that is not our own.
func (s *Snapshot) openBindOf(dir int, h Holder, id ID) int {
	var own unix.Stat_t
	if unix.Stat(ownMountNS, &own) == nil && own.Ino == h.Mnt {
		return openBind(unix.AT_FDCWD, h.Path, id)
	}
	n := s.Namespace(ID{Mnt, h.Mnt})
	if n == nil || n.Leader == nil {
		return -1
	}
	// The path is as the leader sees it, whose mount table was read.
	root, err := unix.Openat(dir, strconv.Itoa(n.Leader.PID)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(root)
	return openBind(root, h.Path, id)
}

// openDescriptor opens what a process has open, if it is the namespace with
// this inode number: by now it may be something else, which could block.
func openDescriptor(dir, pid, fd int, inode uint64) int {
	at, err := unix.Openat(dir, strconv.Itoa(pid)+"/fd/"+strconv.Itoa(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(at)
	return reopen(at, inode)
}

// openBySocket opens the network namespace of another process's socket.
func openBySocket(pid, socket int) int {
	pidfd, err := proc.OpenPIDFD(pid)
	if err != nil {
		return -1
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, socket, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(fd)
	ns, err := linux.SocketNetNS(fd)
	if err != nil {
		return -1
	}
	return ns
}

// openByChild climbs from a child namespace to its parent, or from what a user
// namespace owns to that one.
func (s *Snapshot) openByChild(dir int, child ID, t Type) int {
	n := s.Namespace(child)
	if n == nil {
		return -1
	}
	fd, ok := s.open(dir, n)
	if !ok {
		return -1
	}
	defer unix.Close(fd)
	climb := linux.NSUserns
	if t == child.Type {
		climb = linux.NSParent
	}
	up, err := climb(fd)
	if err != nil {
		return -1
	}
	return up
}

// Pin makes a Target of a namespace in a snapshot of the machine, by whatever
// holds it. For a mount or user namespace that is its leader, if it has one that
// is still in it: who enters those needs to know a process's root, ids and rights.
func (m Machine) Pin(ctx context.Context, s *Snapshot, id ID) (*Target, error) {
	n := s.Namespace(id)
	if n == nil {
		return nil, gonef("no namespace %s in the scan", id)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n.Leader != nil && (id.Type == Mnt || id.Type == User) {
		t, err := m.pinProcess(Ref{Word: id.String(), Kind: RefProcess}, n.Leader.PID)
		if err == nil {
			if file, now, err := t.OpenNamespace(id.Type); err == nil {
				file.Close()
				if now == id {
					return t, nil
				}
			}
			t.Close()
		}
	}
	dir, err := m.openPath()
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, ok := s.open(dir, n)
	if !ok {
		return nil, gonef("namespace %s is gone, or no way to open it was found", id)
	}
	return &Target{Word: id.String(), ID: id, ns: ownDescriptor(fd)}, nil
}
