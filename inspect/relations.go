package inspect

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// relation is what the kernel says about one namespace.
type relation struct {
	parent, owner uint64 // 0: none, or not to be seen
	kernelID      *uint64
	ownerUID      *uint32
}

// relations asks for namespaces by descriptor, from several goroutines, and
// follows parents and owners up to where the reader's view ends.
type relations struct {
	mu    sync.Mutex
	known map[ID]*relation // a nil value: being asked for
}

// relate asks the kernel about every namespace that can be opened through a
// process in it, and adds those that were found only as a parent or owner.
func (g *grouping) relate(ctx context.Context, m Machine, workers int) error {
	dir, err := unix.Open(m.procDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	r := relations{known: make(map[ID]*relation, len(g.list))}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(g.list) {
					return
				}
				if fd, ok := openByProcess(dir, &g.list[i]); ok {
					r.follow(fd, g.list[i].ID())
					unix.Close(fd)
				}
			}
		})
	}
	wg.Wait()
	r.addTo(g)
	return ctx.Err()
}

// addTo enters what was found out, and the namespaces found only in that way.
func (r *relations) addTo(g *grouping) {
	for id, rel := range r.known {
		n := &g.list[g.add(id)]
		n.KernelID, n.OwnerUID = rel.kernelID, rel.ownerUID
		if rel.parent != 0 {
			n.Parent = &rel.parent
		}
		if rel.owner != 0 {
			n.Owner = &rel.owner
		}
	}
}

// openByProcess opens a namespace through one of the processes or threads in
// it, and makes sure that it is the one: the process may have gone, its PID may
// be somebody else's, or it may have moved.
func openByProcess(proc int, n *Namespace) (int, bool) {
	name := "/ns/" + n.Type.String()
	for _, pid := range n.PIDs {
		if fd, ok := openExactly(proc, strconv.Itoa(pid)+name, n.Inode); ok {
			return fd, true
		}
	}
	for _, h := range n.HeldBy {
		path := strconv.Itoa(h.PID)
		switch h.Kind {
		case HeldByThread:
			path += "/task/" + strconv.Itoa(h.TID) + name
		case HeldByForChildren:
			path += name + "_for_children"
		default:
			continue
		}
		if fd, ok := openExactly(proc, path, n.Inode); ok {
			return fd, true
		}
	}
	return -1, false
}

func openExactly(dir int, path string, inode uint64) (int, bool) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	if got, err := inodeOf(fd); err != nil || got != inode {
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// inodeOf is the inode number of an open file.
func inodeOf(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// follow asks about the namespace fd and, first time each, about those it
// hangs on. It does not close fd.
func (r *relations) follow(fd int, id ID) {
	r.mu.Lock()
	_, asked := r.known[id]
	if !asked {
		r.known[id] = nil
	}
	r.mu.Unlock()
	if asked {
		return
	}
	rel := &relation{}
	if kernelID, err := linux.NSID(fd); err == nil {
		rel.kernelID = &kernelID
	}
	if id.Type == User {
		if uid, err := linux.NSOwnerUID(fd); err == nil {
			rel.ownerUID = &uid
		}
	}
	if id.Type == User || id.Type == PID {
		rel.parent = r.climb(fd, id.Type, linux.NSParent)
	}
	if id.Type == User {
		rel.owner = rel.parent // create_user_ns: who creates it is in its parent
	} else {
		rel.owner = r.climb(fd, User, linux.NSUserns)
	}
	r.mu.Lock()
	r.known[id] = rel
	r.mu.Unlock()
}

// climb opens a relative of fd and follows it. EPERM means that there is none
// or that it lies outside the reader's view: 0 either way.
func (r *relations) climb(fd int, t Type, open func(int) (int, error)) uint64 {
	up, err := open(fd)
	if err != nil {
		return 0
	}
	defer unix.Close(up)
	inode, err := inodeOf(up)
	if err != nil {
		return 0
	}
	r.follow(up, ID{t, inode})
	return inode
}
