package inspect

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"nsx/inspect/network"
)

// NetNSIDs are the numbers by which the caller's network namespace knows those of a
// snapshot, as "ip netns list-id" and link-netnsid in "ip link" show them
// (RTM_GETNSID in rtnetlink(7)): by inode number, -1 for one that it has no number for.
// What cannot be opened, which takes the right to trace a process in it, is left out.
// Of a captured tree nothing can be asked: it is empty.
func (m Machine) NetNSIDs(ctx context.Context, s *Snapshot) (map[uint64]int, error) {
	ids := map[uint64]int{}
	if !m.isLive() {
		return ids, nil
	}
	dir, err := m.openPath()
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening our own network namespace: %w", err)
	}
	defer unix.Close(own)
	asker, err := network.Open(own)
	if err != nil {
		return nil, err
	}
	defer asker.Close()
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		if n.Type != Net {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fd, ok := s.open(dir, n)
		if !ok {
			continue
		}
		id, known, err := asker.NetNSID(fd)
		unix.Close(fd)
		switch {
		case err != nil:
		case known:
			ids[n.Inode] = id
		default:
			ids[n.Inode] = -1
		}
	}
	return ids, nil
}
