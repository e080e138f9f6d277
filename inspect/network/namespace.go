package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var (
	// ErrTooMany says that there is more than was asked for. What was read is there.
	ErrTooMany = errors.New("there are more")
	// ErrChanging says that the list changed whenever it was read: it may lack entries,
	// or have some twice.
	ErrChanging = errors.New("it changes while it is read")

	errEnough = errors.New("no more is wanted")
)

// Namespace is an open network namespace: sockets that are in it. It is used by one
// goroutine at a time. Close it in the end.
type Namespace struct {
	links, addresses, diag *socket
}

// Open opens a network namespace by a descriptor of its file, which stays the caller's.
// Who is in it already needs no rights. Everybody else needs CAP_SYS_ADMIN, in his own
// user namespace and in the one that owns the network namespace (setns(2)): without,
// it is EPERM.
func Open(ns int) (*Namespace, error) {
	n := &Namespace{}
	enter := inside
	if isOwn(ns) {
		enter = func(_ int, f func() error) error { return f() }
	}
	if err := enter(ns, n.open); err != nil {
		n.Close()
		return nil, fmt.Errorf("entering a network namespace: %w", err)
	}
	return n, nil
}

// isOwn says that the calling thread, and so any other that has not gone elsewhere on
// purpose, is in the namespace.
func isOwn(ns int) bool {
	var a, b unix.Stat_t
	return unix.Fstat(ns, &a) == nil && unix.Stat("/proc/thread-self/ns/net", &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

func (n *Namespace) open() (err error) {
	for _, s := range []struct {
		to       **socket
		protocol int
	}{
		{&n.links, unix.NETLINK_ROUTE},
		{&n.addresses, unix.NETLINK_ROUTE},
		{&n.diag, unix.NETLINK_SOCK_DIAG},
	} {
		*s.to, err = newSocket(s.protocol)
		// EPROTONOSUPPORT: a kernel without sock_diag has no listeners to show.
		if err != nil && (s.to != &n.diag || !errors.Is(err, unix.EPROTONOSUPPORT)) {
			return err
		}
	}
	return nil
}

// Close closes the sockets.
func (n *Namespace) Close() error {
	n.links.close()
	n.addresses.close()
	n.diag.close()
	*n = Namespace{}
	return nil
}

// NetNSID is the number by which this namespace knows another one (Interface.LinkNetNSID),
// of which other is a descriptor. false: it has none for it.
func (n *Namespace) NetNSID(other int) (int, bool, error) {
	if n.links == nil {
		return 0, false, os.ErrClosed
	}
	// struct rtgenmsg { unsigned char rtgen_family; }, and NETNSA_FD:
	// include/uapi/linux/net_namespace.h.
	request := appendAttribute(make([]byte, 4), unix.NETNSA_FD, uint32(other))
	answer, err := n.links.ask(unix.RTM_GETNSID, request)
	if err != nil {
		return 0, false, fmt.Errorf("asking for the number of a network namespace: %w", err)
	}
	if len(answer) < 4 {
		return 0, false, errMalformed
	}
	for kind, value := range attributes(answer[4:]) {
		if kind == unix.NETNSA_NSID && len(value) == 4 {
			id := int32(binary.NativeEndian.Uint32(value))
			return int(id), id >= 0, nil // NETNSA_NSID_NOT_ASSIGNED is -1
		}
	}
	return 0, false, nil
}
