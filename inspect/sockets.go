package inspect

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// SocketHolders says which processes of a snapshot have some sockets open: by the inode
// number of each, their PIDs, sorted. sockets has the network namespace of each socket
// (inode numbers, both). Those in that namespace are asked first, and all others only if
// there is none: a socket can be handed to anybody. What was refused is listed, as far
// as it may matter: there is nobody to be seen for some socket.
func (m Machine) SocketHolders(ctx context.Context, s *Snapshot, sockets map[uint64]uint64) (map[uint64][]int, []Unreadable, error) {
	found := map[uint64][]int{}
	asked := map[int]bool{}
	var refused []Unreadable
	for _, everywhere := range []bool{false, true} {
		missing, homes := map[uint64]bool{}, map[uint64]bool{}
		for inode, netns := range sockets {
			if len(found[inode]) == 0 {
				missing[inode] = true
				homes[netns] = true
			}
		}
		if len(missing) == 0 {
			return found, nil, nil
		}
		var chosen []*Process
		for i := range s.Processes {
			p := &s.Processes[i]
			if p.KernelThread || p.State == Zombie || asked[p.PID] || !everywhere && !homes[p.NS[Net]] {
				continue
			}
			asked[p.PID] = true
			chosen = append(chosen, p)
		}
		more, err := m.holdersAmong(ctx, chosen, missing, found)
		if err != nil {
			return nil, nil, err
		}
		refused = append(refused, more...)
	}
	if len(found) == len(sockets) {
		refused = nil
	}
	return found, refused, nil
}

// holdersAmong adds to found the processes that have one of the sockets.
func (m Machine) holdersAmong(ctx context.Context, chosen []*Process, sockets map[uint64]bool, found map[uint64][]int) ([]Unreadable, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	var refused []Unreadable
	for range (Options{}).workers() {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(chosen) {
					return
				}
				p := chosen[i]
				held, err := m.socketsOf(p, sockets)
				mu.Lock()
				if err != nil && !proc.Gone(err) {
					refused = append(refused, Unreadable{PID: p.PID, What: "descriptors", Error: errorName(err)})
				}
				for _, inode := range held {
					found[inode] = append(found[inode], p.PID)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for inode := range sockets {
		slices.Sort(found[inode])
	}
	return refused, ctx.Err()
}

// socketsOf is which of the sockets a process has open.
func (m Machine) socketsOf(p *Process, sockets map[uint64]bool) (held []uint64, err error) {
	dir, err := os.Open(m.join(strconv.Itoa(p.PID), "fd"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fds, err := numericNames(dir)
	var buf [64]byte
	for _, fd := range append([]int{0}, fds...) {
		n, err := unix.Readlinkat(int(dir.Fd()), strconv.Itoa(fd), buf[:])
		if err != nil {
			continue
		}
		number, _ := strings.CutPrefix(strings.TrimSuffix(string(buf[:n]), "]"), "socket:[")
		if inode, ok := proc.Decimal(number); ok && sockets[inode] && !slices.Contains(held, inode) {
			held = append(held, inode)
		}
	}
	if len(held) > 0 && !m.has(p) {
		return nil, nil // they are those of another process with the same PID
	}
	return held, err
}
