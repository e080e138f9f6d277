package inspect

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"nsx/identity"
)

// Holdings is all that was seen to keep a namespace alive, or a file system mounted
// and busy.
type Holdings struct {
	Target    string    `json:"target"`
	Host      string    `json:"host"`
	Kernel    string    `json:"kernel"`
	ScannedAt time.Time `json:"scanned_at"`
	// Complete says that nothing was refused that may hold it.
	Complete   bool         `json:"complete"`
	Unreadable []Unreadable `json:"unreadable"`
	// Namespace is what is held, with its names; or Files.
	Namespace *ID        `json:"namespace"`
	Initial   *bool      `json:"initial"` // it is the boot's, and never ends
	Names     []string   `json:"names"`
	Files     *HeldFiles `json:"files"`

	Holdings []Holding `json:"holdings"`
}

// HeldFiles is a file system, or a directory of it and what is below.
type HeldFiles struct {
	// Path is what was asked about, empty if that was a device.
	Path string `json:"path"`
	// MountPoint says that something is mounted exactly there.
	MountPoint bool   `json:"mount_point"`
	Device     string `json:"device"` // "8:17"
	// Root is the directory of the file system, "/" for all of it.
	Root    string `json:"root"`
	FSType  string `json:"fs_type"`
	Source  string `json:"source"`
	NMounts int    `json:"nmounts"`
	NMntNS  int    `json:"nmount_namespaces"`
}

// Holding is one thing that holds, or several alike of one owner.
type Holding struct {
	Kind HoldingKind `json:"kind"`
	// PIDs are the processes: those that are in the namespace or have the descriptors.
	// Of a mount they are empty; PID is the oldest, or of a mount the one that leads its
	// mount namespace.
	PIDs []int  `json:"pids"`
	PID  int    `json:"pid,omitempty"`
	Comm string `json:"comm,omitempty"`
	TID  int    `json:"tid,omitempty"`
	FD   *int   `json:"fd,omitempty"`
	// Count is how many open files they are, and Paths the first of them.
	Count int      `json:"count,omitempty"`
	Paths []string `json:"paths,omitempty"`
	// Path is a mount's, in the mount namespace Mnt as seen from the root of PID; Others
	// are the mount namespaces that have the same there.
	Path        string   `json:"path,omitempty"`
	Mnt         uint64   `json:"mnt,omitempty"`
	Others      []uint64 `json:"other_mnts,omitempty"`
	Propagation string   `json:"propagation,omitempty"`
	// Readers says that the mount namespace is that of who asks, HostMnt that it is the
	// boot's.
	Readers bool `json:"readers,omitempty"`
	HostMnt bool `json:"host_mnt,omitempty"`
	// Child is a namespace of which the one that is held is the parent or owner.
	Child *ID `json:"child,omitempty"`
	// Identity is whose the processes, or of a mount its mount namespace, are.
	Identity *identity.Identity `json:"identity"`
}

// HoldingKind says how something holds.
type HoldingKind string

// The kinds of Holding.
const (
	HoldsByProcess     HoldingKind = "process"
	HoldsByThread      HoldingKind = "thread"
	HoldsByForChildren HoldingKind = "for_children"
	HoldsByFD          HoldingKind = "fd"
	HoldsBySocket      HoldingKind = "socket"
	HoldsByChild       HoldingKind = "child"
	HoldsByMount       HoldingKind = "mount"
	HoldsByMountBelow  HoldingKind = "mount_below" // something else that is mounted on it
	HoldsByMountOver   HoldingKind = "mount_over"  // something else, in another mount namespace, on the same directory
	HoldsByRoot        HoldingKind = "root"
	HoldsByCwd         HoldingKind = "cwd"
	HoldsByProgram     HoldingKind = "program"
	HoldsByFile        HoldingKind = "open_file"
	HoldsByLoop        HoldingKind = "loop_device"
)

// holdingOrder is how they are listed.
var holdingOrder = []HoldingKind{
	HoldsByProcess, HoldsByThread, HoldsByForChildren, HoldsByFD, HoldsBySocket, HoldsByMount, HoldsByChild,
	HoldsByMountBelow, HoldsByMountOver, HoldsByRoot, HoldsByCwd, HoldsByProgram, HoldsByFile, HoldsByLoop,
}

// Holdings finds what keeps a namespace that a word names (see ParseRef), or what has a
// file system mounted and busy that the word names by a path ("/mnt/data"), a block
// device ("/dev/sdb1") or its number ("8:17"). Paths are the caller's own. A process is
// ErrUsage: it is in several namespaces.
func (m Machine) Holdings(ctx context.Context, word string) (*Holdings, error) {
	if major, minor, ok := deviceNumber(word); ok {
		return m.holdingsOfFiles(ctx, word, device{major, minor}, "")
	}
	ref, err := ParseRef(word)
	if err != nil {
		return nil, err
	}
	if ref.Kind == RefFile {
		on, err := lookAtPath(ctx, ref.Path)
		if err != nil {
			return nil, err
		}
		if !on.namespace {
			return m.holdingsOfFiles(ctx, word, on.device, on.path)
		}
	}
	s, match, err := m.Find(ctx, []string{word}, Options{
		Relations: true, Binds: true, Holders: true, Cgroups: true, Names: true, Details: LeaderDetails,
	})
	if err != nil {
		return nil, err
	}
	if !isNamespace(ref, match) {
		return nil, inSeveral(s, word, match)
	}
	h := m.newHoldings(s, word)
	id := match.Namespaces[0]
	h.Namespace = &id
	if n := s.Namespace(id); n != nil {
		h.Initial, h.Names = n.Initial, n.Names
		if err := m.holdNamespace(ctx, s, n, h); err != nil {
			return nil, err
		}
	}
	h.settle(s)
	return h, ctx.Err()
}

func (m Machine) newHoldings(s *Snapshot, word string) *Holdings {
	return &Holdings{
		Target: word, Host: s.Host, Kernel: s.Kernel, ScannedAt: s.ScannedAt,
		Unreadable: slices.Clone(s.Unreadable), Names: []string{}, Holdings: []Holding{},
	}
}

// settle draws the end. Kernel threads and the first process, which a security module
// may close even to root, hold nothing but what the machine booted with.
func (h *Holdings) settle(s *Snapshot) {
	if h.Initial == nil || !*h.Initial {
		h.Unreadable = slices.DeleteFunc(h.Unreadable, func(u Unreadable) bool {
			p := s.Process(u.PID)
			return u.What == "namespaces" && (u.PID == 1 || p != nil && p.KernelThread)
		})
	}
	rank := func(k HoldingKind) int { return slices.Index(holdingOrder, k) }
	slices.SortStableFunc(h.Holdings, func(a, b Holding) int {
		// What lies deeper is unmounted first.
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), strings.Compare(b.Path, a.Path), cmp.Compare(a.PID, b.PID))
	})
	for i := range h.Holdings {
		if h.Holdings[i].PIDs == nil {
			h.Holdings[i].PIDs = []int{}
		}
	}
	h.Complete = len(h.Unreadable) == 0 && s.Hidden == ""
}

// inSeveral says which namespaces a process could mean.
func inSeveral(s *Snapshot, word string, match Match) error {
	var names []string
	for _, id := range match.Namespaces {
		if n := s.Namespace(id); n != nil && !n.IsInitial() {
			names = append(names, id.String())
		}
	}
	if len(names) == 0 {
		return usagef("%q names a process, all of whose namespaces are the host's: name a namespace, a path or a device", word)
	}
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return usagef("%q names a process, which is in several namespaces: name one of %s", word, strings.Join(names, ", "))
}

// deviceNumber reads "8:17".
func deviceNumber(word string) (major, minor uint32, ok bool) {
	a, b, hasColon := strings.Cut(word, ":")
	x, err1 := strconv.ParseUint(a, 10, 32)
	y, err2 := strconv.ParseUint(b, 10, 32)
	return uint32(x), uint32(y), hasColon && err1 == nil && err2 == nil
}

// holdNamespace fills in what keeps a namespace.
func (m Machine) holdNamespace(ctx context.Context, s *Snapshot, n *Namespace, h *Holdings) error {
	processes := map[int]bool{}
	for _, pid := range n.PIDs {
		processes[pid] = true
	}
	for _, holder := range n.HeldBy {
		processes[holder.PID] = true
		if mnt := s.Namespace(ID{Mnt, holder.Mnt}); mnt != nil && mnt.Leader != nil {
			processes[mnt.Leader.PID] = true
		}
	}
	var named []*Process
	for pid := range processes {
		if p := s.Process(pid); p != nil {
			named = append(named, p)
		}
	}
	if err := m.identify(ctx, s, Options{Names: true, Cgroups: true}, named); err != nil {
		return err
	}
	h.addProcesses(s, HoldsByProcess, n.PIDs)
	binds := bindFold{h: h, s: s, at: map[bindKey]int{}}
	for _, holder := range n.HeldBy {
		switch holder.Kind {
		case HeldByChild: // of those that have no process alone: see below
		case HeldByBind:
			binds.add(Holding{Kind: HoldsByMount, Path: holder.Path, Mnt: holder.Mnt})
		default:
			one := Holding{Kind: HoldingKind(holder.Kind), PID: holder.PID, PIDs: []int{holder.PID}, TID: holder.TID, FD: holder.FD}
			if p := s.Process(holder.PID); p != nil {
				one.Comm, one.Identity = p.Comm, p.Identity
			}
			h.Holdings = append(h.Holdings, one)
		}
	}
	for i := range s.Namespaces {
		c := &s.Namespaces[i]
		isChild := n.Type == c.Type && c.Parent != nil && *c.Parent == n.Inode
		isOwned := n.Type == User && c.Type != User && c.Owner != nil && *c.Owner == n.Inode
		if !isChild && !isOwned {
			continue
		}
		id := c.ID()
		h.Holdings = append(h.Holdings, Holding{Kind: HoldsByChild, Child: &id, Identity: c.Identity})
	}
	return nil
}

// owner is who has a process: a thing with a name, or itself alone.
type owner struct {
	of  thing
	pid int
}

func ownerOf(p *Process) owner {
	if p.Identity != nil {
		return owner{of: thingOf(p.Identity)}
	}
	return owner{pid: p.PID}
}

// addProcesses adds processes, those of one owner together.
func (h *Holdings) addProcesses(s *Snapshot, kind HoldingKind, pids []int) {
	at := map[owner]int{}
	for _, pid := range pids {
		p := s.Process(pid)
		if p == nil {
			continue
		}
		key := ownerOf(p)
		if i, known := at[key]; known {
			h.Holdings[i].PIDs = append(h.Holdings[i].PIDs, pid)
			if p.StartTicks < s.Process(h.Holdings[i].PID).StartTicks {
				h.Holdings[i].PID, h.Holdings[i].Comm = pid, p.Comm
			}
			continue
		}
		at[key] = len(h.Holdings)
		h.Holdings = append(h.Holdings, Holding{Kind: kind, PID: pid, PIDs: []int{pid}, Comm: p.Comm, Identity: p.Identity})
	}
}

// bindFold folds mounts at one path in the mount namespaces of nobody in particular.
type bindFold struct {
	h  *Holdings
	s  *Snapshot
	at map[bindKey]int
}

// bindKey is equal for mounts that are one row.
type bindKey struct {
	kind HoldingKind
	path string
	of   thing
}

func (f *bindFold) add(one Holding) {
	own, _ := inodeOfPath(ownMountNS)
	one.Readers = one.Mnt == own
	if n := f.s.Namespace(ID{Mnt, one.Mnt}); n != nil {
		one.HostMnt = n.IsInitial()
		if n.Leader != nil {
			one.PID, one.Comm = n.Leader.PID, n.Leader.Comm
			if p := f.s.Process(n.Leader.PID); p != nil && !one.HostMnt {
				one.Identity = p.Identity
			}
		}
	}
	key := bindKey{kind: one.Kind, path: one.Path}
	if one.Identity != nil {
		key.of = thingOf(one.Identity)
	}
	if i, known := f.at[key]; known && !one.Readers && !one.HostMnt {
		f.h.Holdings[i].Others = append(f.h.Holdings[i].Others, one.Mnt)
		return
	}
	if !one.Readers && !one.HostMnt {
		f.at[key] = len(f.h.Holdings)
	}
	f.h.Holdings = append(f.h.Holdings, one)
}
