package network

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// socket is a netlink socket. It is used by one goroutine at a time.
type socket struct {
	fd   int
	seq  uint32
	busy bool // a dump was left unfinished: its messages would be taken for the next one's
}

// newSocket makes a socket in the network namespace of the calling thread. A read of
// it waits two seconds at most: the kernel answers a request within the call that
// makes it, and this is for what ought not to happen.
func newSocket(protocol int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket(AF_NETLINK)", err)
	}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind(AF_NETLINK)", err)
	}
	return &socket{fd: fd}, nil
}

func (s *socket) close() {
	if s != nil {
		unix.Close(s.fd)
	}
}

// bufferSize is how much a read takes. The kernel fills at most 32 KiB at a time
// (netlink_dump in net/netlink/af_netlink.c), and a single message that is longer
// than that is a bond or switch with hundreds of virtual functions.
const bufferSize = 64 << 10

// rounds is how often a dump is read again that was changed meanwhile.
const rounds = 4

// dump asks for a list and calls each with every entry of it, until that says that it
// has enough: errEnough. Before each round reset is called. Where the list changes
// whenever it is read, some of its entries may be missing or there twice, and
// ErrChanging says so.
func (s *socket) dump(kind uint16, request []byte, reset func(), each func(kind uint16, data []byte) (more bool)) error {
	if s.busy {
		return errEnough
	}
	for range rounds {
		reset()
		changed, err := s.dumpOnce(kind, request, each)
		if err != nil || !changed {
			return err
		}
	}
	return ErrChanging
}

func (s *socket) dumpOnce(kind uint16, request []byte, each func(uint16, []byte) bool) (changed bool, err error) {
	if err := s.send(kind, unix.NLM_F_DUMP, request); err != nil {
		return false, err
	}
	buf := make([]byte, bufferSize)
	for {
		b, err := s.receive(buf)
		if err != nil {
			s.busy = true
			return false, err
		}
		for len(b) > 0 {
			var m message
			if m, b, err = cutMessage(b); err != nil {
				s.busy = true
				return false, err
			}
			if m.seq != s.seq {
				continue
			}
			changed = changed || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.kind {
			case unix.NLMSG_DONE:
				return changed, errnoOf(m.data)
			case unix.NLMSG_ERROR:
				return false, errnoOf(m.data)
			}
			if !each(m.kind, m.data) {
				s.busy = true
				return changed, errEnough
			}
		}
	}
}

// ask asks for one thing.
func (s *socket) ask(kind uint16, request []byte) ([]byte, error) {
	if err := s.send(kind, 0, request); err != nil {
		return nil, err
	}
	b, err := s.receive(make([]byte, bufferSize))
	if err != nil {
		return nil, err
	}
	m, _, err := cutMessage(b)
	switch {
	case err != nil:
		return nil, err
	case m.seq != s.seq:
		return nil, errMalformed
	case m.kind == unix.NLMSG_ERROR:
		return nil, errnoOf(m.data)
	}
	return m.data, nil
}

func (s *socket) send(kind, flags uint16, request []byte) error {
	s.seq++
	m := appendMessage(nil, kind, unix.NLM_F_REQUEST|flags, s.seq, request)
	for {
		err := unix.Sendto(s.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("sendto(AF_NETLINK)", err)
		}
	}
}

// receive reads what the kernel has sent: some messages, each whole.
func (s *socket) receive(buf []byte) ([]byte, error) {
	for {
		n, _, flags, from, err := unix.Recvmsg(s.fd, buf, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			err = unix.ETIMEDOUT
		case err == nil && flags&unix.MSG_TRUNC != 0:
			err = unix.EMSGSIZE
		case err == nil && n == 0:
			err = unix.ENODATA
		}
		if err != nil {
			return nil, os.NewSyscallError("recvmsg(AF_NETLINK)", err)
		}
		// Anybody may send to a netlink socket, but the kernel alone is number 0.
		if other, ok := from.(*unix.SockaddrNetlink); !ok || other.Pid == 0 {
			return buf[:n], nil
		}
	}
}

// errnoOf reads the number that ends a dump, or an error: 0 or a negative errno.
func errnoOf(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	if n := int32(binary.NativeEndian.Uint32(data)); n < 0 {
		return unix.Errno(-n)
	}
	return nil
}

// inside calls f on a thread that is in the network namespace ns, and that ends with
// it. Nothing else ever runs on that thread: see linux.OnThread.
func inside(ns int, f func() error) error {
	done := make(chan error, 1)
	linux.OnThread(func() {
		err := os.NewSyscallError("setns", unix.Setns(ns, unix.CLONE_NEWNET))
		if err == nil {
			err = f()
		}
		done <- err
	})
	return <-done
}
