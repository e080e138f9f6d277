package inspect

import (
	"context"

	"golang.org/x/sys/unix"

	"nsx/inspect/network"
)

// seat is an interface among all: which network, and which number it has there.
type seat struct{ network, index int }

// ends are the two numbers that an end of a veth has: its own, and the other end's.
type ends struct{ own, other int }

// peerSearch finds the other ends of interfaces. The kernel says of one its number, and
// a number for the namespace that it is in, which is that namespace's name in this one
// alone. So whoever could be it by the number is asked for by a descriptor.
type peerSearch struct {
	reader *networkReader
	list   []Network
	at     map[seat]*Interface
	veths  map[ends][]int // networks that have such an end
	index  map[int][]int  // networks that have an interface of that number
	looks  int
}

// maxLooks is how often it is looked at who could be it, or asked. On an honest machine
// it is once for each veth between two namespaces.
const maxLooks = 1 << 18

func (r *networkReader) findPeers(ctx context.Context, list []Network) {
	s := &peerSearch{reader: r, list: list, at: map[seat]*Interface{}, veths: map[ends][]int{}, index: map[int][]int{}}
	for n := range list {
		for at := range list[n].Interfaces {
			i := &list[n].Interfaces[at]
			s.at[seat{n, i.Index}] = i
			s.index[i.Index] = append(s.index[i.Index], n)
			if i.Kind == "veth" {
				e := ends{i.Index, i.Link}
				s.veths[e] = append(s.veths[e], n)
			}
		}
	}
	for n := range list {
		if ctx.Err() != nil {
			return
		}
		s.ofNetwork(n)
	}
}

// ofNetwork finds the other ends of one namespace's interfaces.
func (s *peerSearch) ofNetwork(n int) {
	known := &neighbours{of: map[int]int{}, asked: map[int]bool{n: true}}
	defer known.close()
	for at := range s.list[n].Interfaces {
		i := &s.list[n].Interfaces[at]
		if i.Link == 0 || i.Peer != nil {
			continue
		}
		home, found := n, true
		if i.LinkNetNSID != nil {
			home, found = s.home(known, n, i)
		}
		other := s.at[seat{home, i.Link}]
		if !found || other == nil {
			continue
		}
		i.Peer = &Peer{s.list[home].Inode, other.Index, other.Name}
		if i.Kind == "veth" && other.Kind == "veth" && other.Link == i.Index {
			other.Peer = &Peer{s.list[n].Inode, i.Index, i.Name}
		}
	}
}

// neighbours are the namespaces that one of them knows by numbers.
type neighbours struct {
	in    *network.Namespace
	of    map[int]int // by number
	asked map[int]bool
	lost  bool
}

func (k *neighbours) close() {
	if k.in != nil {
		k.in.Close()
	}
}

// home is the network in which the other end of an interface of network n is.
func (s *peerSearch) home(known *neighbours, n int, i *Interface) (int, bool) {
	candidates := s.index[i.Link]
	if i.Kind == "veth" {
		candidates = s.veths[ends{i.Link, i.Index}]
	}
	for _, c := range candidates {
		if at, found := known.of[*i.LinkNetNSID]; found {
			return at, true
		}
		if s.looks++; s.looks > maxLooks || known.lost {
			return 0, false
		}
		if !known.asked[c] {
			known.asked[c] = true
			s.ask(known, n, c)
		}
	}
	at, found := known.of[*i.LinkNetNSID]
	return at, found
}

// ask asks a network by which number it knows another one.
func (s *peerSearch) ask(known *neighbours, n, other int) {
	if known.in == nil {
		own, err := s.open(n)
		if err != nil {
			known.lost = true
			return
		}
		defer unix.Close(own)
		if known.in, err = network.Open(own); err != nil {
			known.lost = true
			return
		}
	}
	fd, err := s.open(other)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if id, ok, err := known.in.NetNSID(fd); ok && err == nil {
		known.of[id] = other
	}
}

func (s *peerSearch) open(n int) (int, error) {
	return s.reader.open(s.reader.snapshot.Namespace(s.list[n].ID()))
}
