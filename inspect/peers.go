package inspect

import (
	"context"

	"golang.org/x/sys/unix"

	"nsx/inspect/network"
)

// seat is an interface among all.
type seat struct{ network, at int }

// ends are the two numbers that an end of a veth has: its own, and the other end's.
type ends struct{ own, other int }

// peerSearch finds the other ends of interfaces. The kernel says of one its number, and
// a number for the namespace that it is in, which is that namespace's name in this one
// alone. So whoever could be it by the number is asked for by a descriptor.
type peerSearch struct {
	reader *networkReader
	list   []Network
	veths  map[ends][]seat
	index  map[int][]seat
	asks   int
}

// maxAsks is how many questions may be asked about who is who. On an honest machine it
// is one for each veth between two namespaces.
const maxAsks = 1 << 16

func (r *networkReader) findPeers(ctx context.Context, list []Network) {
	s := &peerSearch{reader: r, list: list, veths: map[ends][]seat{}, index: map[int][]seat{}}
	for n := range list {
		for at := range list[n].Interfaces {
			i := &list[n].Interfaces[at]
			s.index[i.Index] = append(s.index[i.Index], seat{n, at})
			if i.Kind == "veth" {
				e := ends{i.Index, i.Link}
				s.veths[e] = append(s.veths[e], seat{n, at})
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
	known := &neighbours{of: map[int]int{}, asked: map[int]bool{}}
	defer known.close()
	for at := range s.list[n].Interfaces {
		i := &s.list[n].Interfaces[at]
		switch {
		case i.Link == 0 || i.Peer != nil:
			continue
		case i.LinkNetNSID == nil:
			if other := s.list[n].Interface(i.Link); other != nil {
				i.Peer = &Peer{s.list[n].Inode, other.Index, other.Name}
			}
			continue
		}
		candidates := s.index[i.Link]
		if i.Kind == "veth" {
			candidates = s.veths[ends{i.Link, i.Index}]
		}
		for _, c := range candidates {
			if c.network == n || !s.isNeighbour(known, n, c.network, *i.LinkNetNSID) {
				continue
			}
			other := &s.list[c.network].Interfaces[c.at]
			i.Peer = &Peer{s.list[c.network].Inode, other.Index, other.Name}
			if i.Kind == "veth" {
				other.Peer = &Peer{s.list[n].Inode, i.Index, i.Name}
			}
			break
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

// isNeighbour says whether the namespace n knows another one by a number.
func (s *peerSearch) isNeighbour(known *neighbours, n, other, id int) bool {
	if !known.asked[other] && !known.lost && s.asks < maxAsks {
		if at, found := known.of[id]; found && at != other {
			return false
		}
		s.asks++
		known.asked[other] = true
		s.ask(known, n, other)
	}
	at, found := known.of[id]
	return found && at == other
}

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
