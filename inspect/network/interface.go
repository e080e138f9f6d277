package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Interface is a network interface of one namespace.
type Interface struct {
	// Index is its number, which is no other's in this namespace.
	Index int    `json:"index"`
	Name  string `json:"name"`
	// AltNames are its other names (ip-link(8), altname).
	AltNames []string `json:"altnames,omitempty"`
	// Kind is "veth", "bridge", "macvlan" …; empty for hardware and the loopback.
	Kind string `json:"kind"`
	// Loopback says that it is that.
	Loopback bool `json:"loopback"`
	// Up says that somebody has switched it on; State is what came of it: "up", "down",
	// "lowerlayerdown", "dormant", "unknown" … (Documentation/networking/operstates.rst).
	Up    bool   `json:"up"`
	State string `json:"state"`
	// MAC is the hardware address, empty if it has none.
	MAC string `json:"mac"`
	MTU int    `json:"mtu"`
	// Master is the Index of the bridge, bond or VRF that it is a port of, 0 if none.
	Master int `json:"master,omitempty"`
	// Link is the Index of the interface at the other end of a veth, or below a VLAN or
	// macvlan; 0 if there is none. It is in this namespace, or where LinkNetNSID is not
	// nil in the one that this namespace knows by that number: see NetNSID.
	Link        int       `json:"link,omitempty"`
	LinkNetNSID *int      `json:"link_netnsid,omitempty"`
	Addresses   []Address `json:"addresses"`
}

// Address is an address of an interface.
type Address struct {
	// Prefix is the address with the length of its network: 10.88.0.3/16.
	netip.Prefix
	// Peer is the other end of a point-to-point link, if it is one.
	Peer netip.Addr
}

// MarshalText writes "10.88.0.3/16", with "peer 10.0.0.1" behind if there is one.
func (a Address) MarshalText() ([]byte, error) {
	s := a.String()
	if a.Peer.IsValid() {
		s += " peer " + a.Peer.String()
	}
	return []byte(s), nil
}

// UnmarshalText reads what MarshalText writes.
func (a *Address) UnmarshalText(text []byte) error {
	prefix, peer, pointed := strings.Cut(string(text), " peer ")
	var err error
	if a.Prefix, err = netip.ParsePrefix(prefix); err != nil || !pointed {
		a.Peer = netip.Addr{}
		return err
	}
	a.Peer, err = netip.ParseAddr(peer)
	return err
}

// Interfaces lists the interfaces with their addresses: at most so many of both.
// Beyond that it is ErrTooMany, and where they change all the time ErrChanging, both
// beside what was read.
func (n *Namespace) Interfaces(most int) ([]Interface, error) {
	if n.links == nil {
		return nil, os.ErrClosed
	}
	// struct ifinfomsg, all zero: every interface. No counters, which are most of it.
	request := appendAttribute(make([]byte, unix.SizeofIfInfomsg), unix.IFLA_EXT_MASK, extSkipStats)
	var list []Interface
	err := n.links.dump(unix.RTM_GETLINK, request, func() { list = nil }, func(kind uint16, data []byte) bool {
		if len(list) == most {
			return false
		}
		if i, ok := parseLink(data); ok && kind == unix.RTM_NEWLINK {
			list = append(list, i)
		}
		return true
	})
	if err != nil && !isPartial(err) {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	return list, n.addAddresses(list, most, beside(err, "interfaces", most))
}

// extSkipStats is RTEXT_FILTER_SKIP_STATS of include/uapi/linux/rtnetlink.h.
const extSkipStats = 1 << 3

// addAddresses adds the addresses to interfaces. Its error is the one before it, if
// there is one.
func (n *Namespace) addAddresses(list []Interface, most int, before error) error {
	index := make(map[int]*Interface, len(list))
	for i := range list {
		index[list[i].Index] = &list[i]
	}
	count := 0
	reset := func() {
		count = 0
		for i := range list {
			list[i].Addresses = []Address{}
		}
	}
	// struct ifaddrmsg, all zero: of every family.
	err := n.addresses.dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), reset, func(kind uint16, data []byte) bool {
		if count == most {
			return false
		}
		if at, a, ok := parseAddress(data); ok && kind == unix.RTM_NEWADDR {
			count++
			if i := index[at]; i != nil {
				i.Addresses = append(i.Addresses, a)
			}
		}
		return true
	})
	switch {
	case before != nil:
		return before
	case err != nil && !isPartial(err):
		return fmt.Errorf("listing the addresses: %w", err)
	}
	return beside(err, "addresses", most)
}

// parseLink reads include/uapi/linux/rtnetlink.h's
//
//	struct ifinfomsg {
//		unsigned char  ifi_family;
//		unsigned char  __ifi_pad;
//		unsigned short ifi_type;
//		int            ifi_index;
//		unsigned       ifi_flags;
//		unsigned       ifi_change;
//	};
func parseLink(data []byte) (Interface, bool) {
	if len(data) < unix.SizeofIfInfomsg {
		return Interface{}, false
	}
	flags := binary.NativeEndian.Uint32(data[8:])
	i := Interface{
		Index:     int(int32(binary.NativeEndian.Uint32(data[4:]))),
		Up:        flags&unix.IFF_UP != 0,
		Loopback:  flags&unix.IFF_LOOPBACK != 0,
		Addresses: []Address{},
	}
	for kind, value := range attributes(data[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			i.Name = text(value)
		case unix.IFLA_ADDRESS:
			i.MAC = net.HardwareAddr(value).String()
		case unix.IFLA_MTU:
			i.MTU = int(number(value))
		case unix.IFLA_MASTER:
			i.Master = int(number(value))
		case unix.IFLA_LINK:
			i.Link = int(number(value))
		case unix.IFLA_LINK_NETNSID:
			if id := int(int32(number(value))); id >= 0 {
				i.LinkNetNSID = &id
			}
		case unix.IFLA_OPERSTATE:
			i.State = stateName(number(value))
		case unix.IFLA_LINKINFO:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_INFO_KIND {
					i.Kind = text(value)
				}
			}
		case unix.IFLA_PROP_LIST:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_ALT_IFNAME {
					i.AltNames = append(i.AltNames, text(value))
				}
			}
		}
	}
	return i, true
}

// stateName is an operational state of RFC 2863 as ip-link(8) spells it, in small letters:
// IF_OPER_UNKNOWN and on, include/uapi/linux/if.h.
func stateName(n uint64) string {
	names := []string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}
	if n < uint64(len(names)) {
		return names[n]
	}
	return "unknown"
}

// parseAddress reads include/uapi/linux/if_addr.h's
//
//	struct ifaddrmsg {
//		__u8  ifa_family;
//		__u8  ifa_prefixlen;
//		__u8  ifa_flags;
//		__u8  ifa_scope;
//		__u32 ifa_index;
//	};
//
// IFA_ADDRESS is the address, but on a point-to-point link the other end's; then
// IFA_LOCAL is its own.
func parseAddress(data []byte) (index int, a Address, ok bool) {
	if len(data) < unix.SizeofIfAddrmsg {
		return 0, Address{}, false
	}
	var address, local netip.Addr
	for kind, value := range attributes(data[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		}
	}
	if !local.IsValid() {
		local = address
	}
	a.Prefix = netip.PrefixFrom(local, int(data[1]))
	if address != local {
		a.Peer = address
	}
	return int(int32(binary.NativeEndian.Uint32(data[4:]))), a, a.IsValid()
}

func isPartial(err error) bool { return errors.Is(err, errEnough) || errors.Is(err, ErrChanging) }

// beside is the error of a list that was read in part.
func beside(err error, what string, most int) error {
	switch {
	case errors.Is(err, errEnough):
		return fmt.Errorf("%d %s were read: %w", most, what, ErrTooMany)
	case errors.Is(err, ErrChanging):
		return fmt.Errorf("the list of %s: %w", what, ErrChanging)
	}
	return err
}
