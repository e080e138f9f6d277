package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Listener is a socket that waits for anybody: one of TCP that listens, or one of UDP
// that is not connected.
type Listener struct {
	Protocol string `json:"protocol"` // "tcp", "udp", "sctp"
	// Address is where it waits; an unspecified one (0.0.0.0, ::) is every address of the
	// namespace, of IPv4 as well if Both.
	Address netip.AddrPort `json:"address"`
	// Both says that an IPv6 socket at :: hears IPv4 too (ipv6(7), IPV6_V6ONLY is off).
	Both bool `json:"both,omitempty"`
	// Interface is the Index of the one that it is bound to, 0 for all.
	Interface int `json:"interface,omitempty"`
	// UID made the socket, as seen from the reader's user namespace.
	UID uint32 `json:"uid"`
	// Inode is the socket's: descriptors of it read "socket:[INODE]" in /proc/PID/fd. 0:
	// it has none any more, or the kernel itself has it.
	Inode uint64 `json:"inode"`
	// Cgroup is the inode number of the directory of the v2 cgroup that it was made in
	// (Linux 5.9), 0 if that is not known.
	Cgroup uint64 `json:"cgroup,omitempty"`
}

// Hears says whether what is sent to an address of the socket's namespace, at that port,
// comes to it. An address that is not valid stands for any.
func (l *Listener) Hears(to netip.Addr, port uint16) bool {
	own := l.Address.Addr().Unmap()
	switch {
	case l.Address.Port() != port:
		return false
	case !to.IsValid(), own == to.Unmap().WithZone(""):
		return true
	case own.IsUnspecified():
		return own.Is4() == to.Unmap().Is4() || l.Both
	}
	return false
}

// The protocols in the order in which they are listed, with the states in which a socket
// waits for anybody: TCP_CLOSE (7) is what one of UDP is in that is not connected, and
// TCP_LISTEN is 10 (include/net/tcp_states.h).
var listening = []struct {
	protocol uint8
	name     string
	states   uint32
}{
	{unix.IPPROTO_TCP, "tcp", 1 << 10},
	{unix.IPPROTO_UDP, "udp", 1 << 7},
	{unix.IPPROTO_SCTP, "sctp", 1 << 10},
}

// Listeners lists the sockets that listen: at most so many, beyond which it is
// ErrTooMany beside what was read. What this kernel has no sock_diag(7) for is missing
// with ENOENT or ENOSYS, if it is TCP or UDP.
func (n *Namespace) Listeners(most int) ([]Listener, error) {
	if n.links == nil {
		return nil, os.ErrClosed
	}
	list := []Listener{}
	if n.diag == nil {
		return list, fmt.Errorf("listing the sockets: %w", unix.ENOSYS)
	}
	var missing error
	for _, p := range listening {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			before := len(list)
			err := n.diag.dump(unix.SOCK_DIAG_BY_FAMILY, diagRequest(family, p.protocol, p.states), func() { list = list[:before] },
				func(_ uint16, data []byte) bool {
					if len(list) == most {
						return false
					}
					if l, ok := parseListener(data); ok {
						l.Protocol = p.name
						list = append(list, l)
					}
					return true
				})
			lacks := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
			switch {
			case err == nil:
			case isPartial(err):
				return list, beside(err, "sockets", most)
			case lacks && p.protocol != unix.IPPROTO_TCP && p.protocol != unix.IPPROTO_UDP:
			case missing == nil:
				missing = fmt.Errorf("listing the sockets of %s: %w", p.name, err)
			}
		}
	}
	return list, missing
}

// diagRequest makes, as in include/uapi/linux/inet_diag.h,
//
//	struct inet_diag_req_v2 {
//		__u8  sdiag_family;
//		__u8  sdiag_protocol;
//		__u8  idiag_ext;        // bit n-1 asks for INET_DIAG_n
//		__u8  pad;
//		__u32 idiag_states;
//		struct inet_diag_sockid id;     // 48 bytes, all zero: every socket
//	};
func diagRequest(family, protocol uint8, states uint32) []byte {
	b := []byte{family, protocol, 0, 0}
	b = binary.NativeEndian.AppendUint32(b, states)
	return append(b, make([]byte, 48)...)
}

// Attributes of an answer: INET_DIAG_SKV6ONLY and INET_DIAG_CGROUP_ID.
const (
	diagV6Only   = 11
	diagCgroupID = 21
)

// parseListener reads
//
//	struct inet_diag_msg {
//		__u8   idiag_family, idiag_state, idiag_timer, idiag_retrans;
//		struct inet_diag_sockid {
//			__be16 idiag_sport, idiag_dport;
//			__be32 idiag_src[4], idiag_dst[4];
//			__u32  idiag_if;
//			__u32  idiag_cookie[2];
//		} id;
//		__u32  idiag_expires, idiag_rqueue, idiag_wqueue, idiag_uid, idiag_inode;
//	};
func parseListener(data []byte) (Listener, bool) {
	const size = 4 + 48 + 20
	if len(data) < size {
		return Listener{}, false
	}
	var address netip.Addr
	switch data[0] {
	case unix.AF_INET:
		address = netip.AddrFrom4([4]byte(data[8:12]))
	case unix.AF_INET6:
		address = netip.AddrFrom16([16]byte(data[8:24]))
	default:
		return Listener{}, false
	}
	l := Listener{
		Address:   netip.AddrPortFrom(address, binary.BigEndian.Uint16(data[4:])),
		Interface: int(int32(binary.NativeEndian.Uint32(data[40:]))),
		UID:       binary.NativeEndian.Uint32(data[64:]),
		Inode:     uint64(binary.NativeEndian.Uint32(data[68:])),
		Both:      data[0] == unix.AF_INET6 && address.IsUnspecified(),
	}
	for kind, value := range attributes(data[size:]) {
		switch kind {
		case diagV6Only:
			l.Both = l.Both && number(value) == 0
		case diagCgroupID:
			l.Cgroup = number(value)
		}
	}
	return l, true
}
