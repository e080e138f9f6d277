package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect/network"
	"nsx/internal/proc"
)

// Network is one network namespace with what is in it.
type Network struct {
	// Inode is the namespace's.
	Inode uint64 `json:"inode"`
	// Interfaces are sorted by their numbers.
	Interfaces []Interface        `json:"interfaces"`
	Listeners  []network.Listener `json:"listeners"`
}

// Interface is an interface with what is at its other end.
type Interface struct {
	network.Interface
	// Peer is the other end of a veth, or what a VLAN or macvlan is on: nil if it has
	// none, or if that is in a namespace that was not read.
	Peer *Peer `json:"peer"`
}

// Peer names an interface of any network namespace.
type Peer struct {
	Netns uint64 `json:"netns"` // inode number
	Index int    `json:"index"`
	Name  string `json:"name"`
}

// NetworkGap is a network namespace that could not be read, or not whole.
type NetworkGap struct {
	Netns uint64 `json:"netns"` // inode number
	// Error is the errno's name.
	Error string `json:"error"`
}

// ID is the namespace's type and inode number.
func (n *Network) ID() ID { return ID{Net, n.Inode} }

// Interface finds an interface by its number.
func (n *Network) Interface(index int) *Interface {
	at, found := sort.Find(len(n.Interfaces), func(i int) int { return index - n.Interfaces[i].Index })
	if !found {
		return nil
	}
	return &n.Interfaces[at]
}

// The bounds of what is read of network namespaces: interfaces, addresses and sockets
// of each kind, in one and in all together. Any user can make them by the million.
const (
	maxInNetwork  = 1 << 15
	maxInNetworks = 1 << 17
)

// networkTimeout is how long the kernel may sleep over one namespace: whoever keeps the
// lock of all interfaces keeps us from reading them.
const networkTimeout = time.Second

// Networks reads every network namespace of a snapshot of this machine that can be
// opened (Options.Binds and Holders find those without a process), and who is at the
// other end of each interface. What could not be read is listed, and what was read of
// it all the same is there: a namespace without the right to enter it (CAP_SYS_ADMIN)
// is EPERM, one that was read up to the bound EFBIG, one that changed whenever it was
// read EAGAIN, one that did not answer within a second ETIMEDOUT. One that has gone is
// simply not there. Of a captured tree nothing can be asked: ErrUnsupported.
func (m Machine) Networks(ctx context.Context, s *Snapshot) ([]Network, []NetworkGap, error) {
	dir, live, err := m.open()
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	if !live {
		return nil, nil, errors.ErrUnsupported
	}
	at, err := dir.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	r := &networkReader{snapshot: s, at: at}
	r.room.Store(maxInNetworks)
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; n.Type == Net {
			r.wanted = append(r.wanted, n)
		}
	}
	list := make([]*Network, len(r.wanted))
	refused := make([]error, len(r.wanted))
	stuck := proc.Guarded(ctx, len(list), Options{}.workers(), networkTimeout, proc.ThreadAsleep, func(i int) func() {
		n, err := r.read(r.wanted[i])
		return func() { list[i], refused[i] = n, err }
	})
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for _, i := range stuck {
		refused[i] = unix.ETIMEDOUT
	}
	var networks []Network
	var gaps []NetworkGap
	for i, n := range r.wanted {
		if list[i] != nil {
			networks = append(networks, *list[i])
		}
		if refused[i] != nil {
			gaps = append(gaps, NetworkGap{n.Inode, errorName(refused[i])})
		}
	}
	r.findPeers(ctx, networks)
	return networks, gaps, ctx.Err()
}

// networkReader reads network namespaces, from several goroutines.
type networkReader struct {
	snapshot *Snapshot
	at       syscall.RawConn // of /proc; Control fails once that is closed
	wanted   []*Namespace
	room     atomic.Int64 // for so many entries more
}

// open opens a namespace. Who was left behind may still ask when /proc is closed.
func (r *networkReader) open(n *Namespace) (fd int, err error) {
	closed := r.at.Control(func(dir uintptr) {
		fd, err = r.snapshot.openOrSay(int(dir), n)
	})
	return fd, cmp.Or(closed, err)
}

// openOrSay is open with the reason why it cannot be done.
func (s *Snapshot) openOrSay(dir int, n *Namespace) (int, error) {
	if fd, ok := s.open(dir, n); ok {
		return fd, nil
	}
	if n.Leader == nil {
		return -1, unix.ENOENT // it has gone since, most likely
	}
	fd, err := unix.Openat(dir, strconv.Itoa(n.Leader.PID)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	unix.Close(fd) // another process's, with the same PID, or of one that has moved
	return -1, unix.ENOENT
}

// read reads one namespace. With an error there may be a part of it.
func (r *networkReader) read(n *Namespace) (*Network, error) {
	fd, err := r.open(n)
	if proc.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	in, err := network.Open(fd)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	most := int(min(maxInNetwork, max(r.room.Load(), 0)))
	found := &Network{Inode: n.Inode, Interfaces: []Interface{}}
	plain, noInterfaces := in.Interfaces(most)
	count := len(plain)
	for _, i := range plain {
		count += len(i.Addresses)
		found.Interfaces = append(found.Interfaces, Interface{Interface: i})
	}
	slices.SortFunc(found.Interfaces, func(a, b Interface) int { return a.Index - b.Index })
	var noListeners error
	found.Listeners, noListeners = in.Listeners(most)
	r.room.Add(-int64(count + len(found.Listeners)))
	return found, plainly(cmp.Or(noInterfaces, noListeners))
}

// plainly makes an errno of an error that has none.
func plainly(err error) error {
	switch {
	case errors.Is(err, network.ErrTooMany):
		return unix.EFBIG
	case errors.Is(err, network.ErrChanging):
		return unix.EAGAIN
	}
	return err
}
