package inspect

import (
	"cmp"
	"sort"
	"strconv"

	"nsx/identity"
)

// Namespace is one namespace and all that the scan found out about it. Other
// namespaces are named by inode number: a parent has the same type, an owner
// is a user namespace.
type Namespace struct {
	Type  Type   `json:"type"`
	Inode uint64 `json:"inode"`
	// KernelID is the kernel's 64-bit id, never used again after the
	// namespace is gone (Linux 6.18); nil where the kernel has none or
	// nothing could be asked.
	KernelID *uint64 `json:"id"`
	// Initial marks the namespaces that the machine booted with. nil: not
	// known, because nothing to compare with could be read.
	Initial *bool `json:"initial"`
	// Parent is the parent of a user or PID namespace; nil at the top of the
	// reader's view and for the other types.
	Parent *uint64 `json:"parent"`
	// Owner is the user namespace whose capabilities govern this one; for a
	// user namespace it is its parent. nil where the reader may not see it.
	Owner *uint64 `json:"owner"`
	// OwnerUID is the user who made the owner (for a user namespace: itself),
	// as seen from the reader's user namespace.
	OwnerUID *uint32 `json:"owner_uid"`

	// NProcs counts the processes whose leader is in it: it is not known where
	// one of the processes that could not be read may be among them. PIDs are
	// those that were seen, nil if it is neither known that there is none.
	NProcs Count `json:"nprocs"`
	PIDs   []int `json:"pids"`
	// Leader is the process to name it by: the topmost and oldest one, never
	// a kernel thread if there is another. nil if none was seen.
	Leader *Leader `json:"leader"`
	// Names are those that ip-netns(8) and the like gave it.
	Names []string `json:"names"`
	// HeldBy is what else was seen to keep it alive.
	HeldBy []Holder `json:"held_by"`
	// Identity is whose it is by its leader, or the pod whose containers share it; nil
	// for what the machine booted with, or if the scan was not asked.
	Identity *identity.Identity `json:"identity"`

	nameless bool
}

// Count is how many processes there are, or UnknownCount.
type Count int

// UnknownCount is the count where some process could not be read.
const UnknownCount Count = -1

// Known says whether the number is known.
func (c Count) Known() bool { return c >= 0 }

// MarshalJSON writes null for what is not known.
func (c Count) MarshalJSON() ([]byte, error) {
	if !c.Known() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Count) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*c = UnknownCount
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	*c = Count(n)
	return err
}

// ID is the namespace's type and inode number.
func (n *Namespace) ID() ID { return ID{n.Type, n.Inode} }

// NameKnown says that an Identity of nil means nobody's: what tells could be read.
func (n *Namespace) NameKnown() bool { return !n.nameless && (n.Leader != nil || n.NProcs.Known()) }

// Target is whose the namespace is, as a target, with that identity: a container's or
// the like, then the name that ip-netns(8) gave it, then a unit's, else its own word.
func (n *Namespace) Target() (string, *identity.Identity) {
	switch {
	case n.IsInitial():
		return "host", nil
	case len(n.Names) > 0 && (n.Identity == nil || n.Identity.OfSystemd()):
		return "netns:" + n.Names[0], nil
	case n.Identity != nil:
		return n.Identity.Target(), n.Identity
	}
	return n.ID().Target(), nil
}

// IsInitial says that the namespace is known to be one of the boot's.
func (n *Namespace) IsInitial() bool { return n.Initial != nil && *n.Initial }

// Leader is the process that a namespace is named by.
type Leader struct {
	PID     int      `json:"pid"`
	PPID    int      `json:"ppid"`
	UID     *uint32  `json:"uid"`
	User    string   `json:"user"`
	Comm    string   `json:"comm"`
	Cmdline []string `json:"cmdline"`
	// CmdlineCut says that there is more of Cmdline.
	CmdlineCut bool `json:"cmdline_cut,omitempty"`
}

// Holder is something other than a process's leader that keeps a namespace
// alive.
type Holder struct {
	Kind HolderKind `json:"kind"`
	// PID is the process that has the thread, the descriptor or the socket,
	// or whose children will be in the namespace.
	PID int  `json:"pid,omitempty"`
	TID int  `json:"tid,omitempty"`
	FD  *int `json:"fd,omitempty"`
	// Path is a bind mount's, in the mount namespace Mnt.
	Path string `json:"path,omitempty"`
	Mnt  uint64 `json:"mnt,omitempty"`
	// Child is a namespace that this one is the parent or owner of.
	Child *ID `json:"child,omitempty"`
}

// HolderKind says what a Holder is.
type HolderKind string

// The kinds of Holder.
const (
	HeldByThread      HolderKind = "thread"
	HeldByForChildren HolderKind = "for_children"
	HeldByChild       HolderKind = "child"
	HeldByBind        HolderKind = "bind"
	HeldByFD          HolderKind = "fd"
	HeldBySocket      HolderKind = "socket"
)

func compareIDs(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Inode, b.Inode))
}

// sort.Find and not slices.BinarySearchFunc, which would copy the structs.

func searchID(list []Namespace, id ID) (int, bool) {
	return sort.Find(len(list), func(i int) int { return compareIDs(id, list[i].ID()) })
}

func searchPID(list []Process, pid int) (int, bool) {
	return sort.Find(len(list), func(i int) int { return pid - list[i].PID })
}
