package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/inspect/network"
)

// NetworkFacts is what is in a network namespace.
type NetworkFacts struct {
	Interfaces []Interface `json:"interfaces"`
	Ports      []Port      `json:"ports"`
	// NetNSID is the number by which the reader's network namespace knows it
	// (ip-netns(8)), nil if it has none for it.
	NetNSID *int `json:"netnsid"`
	// Neighbours are the network namespaces in which the other ends of interfaces are.
	Neighbours []Neighbour `json:"neighbours"`
}

// Neighbour is a network namespace with what it is called: as a target, or empty.
type Neighbour struct {
	Inode   uint64 `json:"inode"`
	Initial *bool  `json:"initial"`
	Name    string `json:"name"`
}

// Port is a socket that waits for anybody, with those who have it.
type Port struct {
	network.Listener
	// PIDs are the processes that have it open, in whatever namespace; PID and Comm are
	// the first. None are listed where none was seen.
	PIDs []int  `json:"pids"`
	PID  int    `json:"pid,omitempty"`
	Comm string `json:"comm,omitempty"`
}

// network fills in what is in the network namespace, unless that is the boot's, or may be
// and is the reader's, and was not asked for: it would be the same on every page.
func (l *look) network(ctx context.Context) error {
	id := ID{Net, l.own[Net]}
	n := l.snapshot.Namespace(id)
	if n == nil || !l.live || l.profile.Kind != OfNamespace && (n.IsInitial() || n.Initial == nil && l.isReaders(id)) {
		return nil
	}
	pid := 0
	if l.process != nil {
		pid = l.process.PID
	}
	all, gaps, err := l.machine.Networks(ctx, l.snapshot)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		l.profile.miss(pid, "network", err)
		return nil
	}
	for _, gap := range gaps {
		if gap.Netns == id.Inode {
			l.profile.Unreadable = append(l.profile.Unreadable, Unreadable{pid, "network", gap.Error})
		}
	}
	i := slices.IndexFunc(all, func(one Network) bool { return one.Inode == id.Inode })
	if i < 0 {
		return nil
	}
	f := &NetworkFacts{Interfaces: all[i].Interfaces, Ports: []Port{}}
	if f.Ports, err = l.ports(ctx, &all[i]); err != nil {
		return err
	}
	if f.NetNSID, err = l.netNSID(n); err != nil {
		l.profile.miss(pid, "netnsid", err)
	}
	l.profile.Network = f
	return l.neighbours(ctx, f, id.Inode)
}

// neighbours names the network namespaces that interfaces lead to.
func (l *look) neighbours(ctx context.Context, f *NetworkFacts, own uint64) error {
	f.Neighbours = []Neighbour{}
	for i := range f.Interfaces {
		p := f.Interfaces[i].Peer
		if p == nil || p.Netns == own || slices.ContainsFunc(f.Neighbours, func(n Neighbour) bool { return n.Inode == p.Netns }) {
			continue
		}
		one := Neighbour{Inode: p.Netns}
		n := l.snapshot.Namespace(ID{Net, p.Netns})
		var leader *Process
		if n != nil && n.Leader != nil {
			leader = l.snapshot.Process(n.Leader.PID)
		}
		switch {
		case n == nil:
		case n.IsInitial():
			one.Initial, one.Name = n.Initial, "host"
		case len(n.Names) > 0:
			one.Initial, one.Name = n.Initial, "netns:"+n.Names[0]
		case leader != nil:
			one.Initial = n.Initial
			if err := l.machine.identify(ctx, l.snapshot, Options{Names: true, Cgroups: true}, []*Process{leader}); err != nil {
				return err
			}
			if leader.Identity != nil {
				one.Name = leader.Identity.Target()
			}
		}
		f.Neighbours = append(f.Neighbours, one)
	}
	return nil
}

// ports are the sockets that listen, with who has them.
func (l *look) ports(ctx context.Context, n *Network) ([]Port, error) {
	sockets := map[uint64]uint64{}
	for _, listener := range n.Listeners {
		if listener.Inode != 0 {
			sockets[listener.Inode] = n.Inode
		}
	}
	holders, refused, err := l.machine.SocketHolders(ctx, l.snapshot, sockets)
	if err != nil {
		return nil, err
	}
	l.profile.Unreadable = append(l.profile.Unreadable, refused...)
	ports := []Port{}
	for _, listener := range n.Listeners {
		p := Port{Listener: listener, PIDs: holders[listener.Inode]}
		if p.PIDs == nil {
			p.PIDs = []int{}
		}
		if len(p.PIDs) > 0 {
			p.PID = p.PIDs[0]
			if process := l.snapshot.Process(p.PID); process != nil {
				p.Comm = process.Comm
			}
		}
		ports = append(ports, p)
	}
	slices.SortStableFunc(ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Address.Port(), b.Address.Port()))
	})
	return ports, nil
}

// netNSID asks our own network namespace for its number of another one.
func (l *look) netNSID(n *Namespace) (*int, error) {
	dir, err := l.machine.openPath()
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	other, ok := l.snapshot.open(dir, n)
	if !ok {
		return nil, nil
	}
	defer unix.Close(other)
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(own)
	ours, err := network.Open(own)
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	id, has, err := ours.NetNSID(other)
	if err != nil && !errors.Is(err, unix.ENOENT) || !has {
		return nil, err
	}
	return &id, nil
}
