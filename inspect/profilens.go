package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// NamespaceFacts is a namespace as a Profile has it.
type NamespaceFacts struct {
	Type     Type    `json:"type"`
	Inode    uint64  `json:"inode"`
	KernelID *uint64 `json:"id"`
	// Initial, Parent, Owner and OwnerUID are as in Namespace.
	Initial  *bool   `json:"initial"`
	Parent   *uint64 `json:"parent"`
	Owner    *uint64 `json:"owner"`
	OwnerUID *uint32 `json:"owner_uid"`
	NProcs   Count   `json:"nprocs"`
	// Leader is its leader, if it is the one that was asked for.
	Leader *Leader `json:"leader,omitempty"`
	// Names are those that ip-netns(8) and the like gave it, HeldBy what else keeps it.
	Names  []string `json:"names"`
	HeldBy []Holder `json:"held_by"`
	// SharedWith is who else is in it: other than the target's processes and those that
	// share all their namespaces with them. Nobody is listed for one of the boot's.
	SharedWith []Sharer `json:"shared_with"`
	// Readers says that whoever asks is in it, too.
	Readers bool `json:"readers"`
	// Hostname and Domainname are a UTS namespace's.
	Hostname   *string `json:"hostname,omitempty"`
	Domainname *string `json:"domainname,omitempty"`
	// Offsets are a time namespace's.
	Offsets *TimeOffsets `json:"offsets,omitempty"`
}

// ID is the namespace's type and inode number.
func (n *NamespaceFacts) ID() ID { return ID{n.Type, n.Inode} }

// IsInitial says that the namespace is known to be one of the boot's.
func (n *NamespaceFacts) IsInitial() bool { return n.Initial != nil && *n.Initial }

// Sharer is a set of processes that is in a namespace, too.
type Sharer struct {
	// Name is the target of its identity, or empty; PID and Comm are its leader's.
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Comm   string `json:"comm"`
	NProcs Count  `json:"nprocs"`
}

// TimeOffsets are added to the host's clocks (time_namespaces(7)).
type TimeOffsets struct {
	MonotonicNsec int64 `json:"monotonic_nsec"`
	BoottimeNsec  int64 `json:"boottime_nsec"`
}

// UserLevel is a user namespace with its maps, as the reader sees them: outside is
// in the reader's user namespace.
type UserLevel struct {
	Inode    uint64  `json:"inode"`
	Initial  *bool   `json:"initial"`
	OwnerUID *uint32 `json:"owner_uid"`
	// The maps are nil where no process of the namespace could be asked.
	UIDMap IDMap `json:"uid_map"`
	GIDMap IDMap `json:"gid_map"`
	// Setgroups is "allow" or "deny", empty if not known.
	Setgroups string `json:"setgroups"`
}

// PIDLevel is a process's number in one PID namespace, from that of the /proc in use
// down: the namespace is 0 where it may not be read.
type PIDLevel struct {
	Inode uint64 `json:"inode"`
	PID   int    `json:"pid"`
}

// namespaces fills in those of the process, or the one that is named.
func (l *look) namespaces(ctx context.Context) error {
	sharers, err := l.sharers(ctx)
	if err != nil {
		return err
	}
	var readers NSSet
	if self, err := l.machine.self(); err == nil {
		if p := l.snapshot.Process(self); p != nil {
			readers = p.NS
		}
	}
	for t, inode := range l.own {
		id := ID{Type(t), inode}
		if inode == 0 {
			continue
		}
		f := NamespaceFacts{Type: id.Type, Inode: inode, NProcs: UnknownCount, Names: []string{}, HeldBy: []Holder{}, SharedWith: []Sharer{}, Readers: readers[t] == inode}
		if n := l.snapshot.Namespace(id); n != nil {
			f.KernelID, f.Initial, f.Parent, f.Owner, f.OwnerUID = n.KernelID, n.Initial, n.Parent, n.Owner, n.OwnerUID
			f.NProcs, f.Names, f.HeldBy = n.NProcs, n.Names, n.HeldBy
			if l.profile.Kind == OfNamespace {
				f.Leader = n.Leader
			}
		}
		if list := sharers[id]; list != nil {
			f.SharedWith = list
		}
		if l.files != nil {
			l.inside(&f)
		}
		l.profile.Namespaces = append(l.profile.Namespaces, f)
	}
	slices.SortFunc(l.profile.Namespaces, func(a, b NamespaceFacts) int { return compareIDs(a.ID(), b.ID()) })
	return nil
}

// isReaders says that the namespace is one that the reader is in.
func (l *look) isReaders(id ID) bool {
	return slices.ContainsFunc(l.profile.Namespaces, func(n NamespaceFacts) bool { return n.ID() == id && n.Readers })
}

// maxSharers is how many are listed of each namespace.
const maxSharers = 1000

// sharers are, for each namespace of the target that is not the boot's, the sets of
// others that are in it.
func (l *look) sharers(ctx context.Context) (map[ID][]Sharer, error) {
	found := map[ID][]*Set{}
	var leaders []*Process
	for i := range l.snapshot.Sets {
		set := &l.snapshot.Sets[i]
		if l.isOwn(set) {
			continue
		}
		shares := false
		for t, inode := range l.own {
			id := ID{Type(t), inode}
			n := l.snapshot.Namespace(id)
			if inode == 0 || set.NS[t] != inode || n == nil || n.IsInitial() || len(found[id]) == maxSharers {
				continue
			}
			found[id] = append(found[id], set)
			shares = true
		}
		if p := l.snapshot.Process(set.Leader.PID); shares && p != nil && p.Identity == nil {
			leaders = append(leaders, p)
		}
	}
	if len(leaders) > 0 {
		if err := l.machine.identify(ctx, l.snapshot, Options{Names: true, Cgroups: true}, leaders); err != nil {
			return nil, err
		}
	}
	all := map[ID][]Sharer{}
	for id, sets := range found {
		for _, set := range sets {
			s := Sharer{PID: set.Leader.PID, Comm: set.Leader.Comm, NProcs: set.NProcs}
			if p := l.snapshot.Process(set.Leader.PID); p != nil && p.Identity != nil {
				s.Name = p.Identity.Target()
			}
			all[id] = append(all[id], s)
		}
		slices.SortFunc(all[id], func(a, b Sharer) int { return a.PID - b.PID })
	}
	return all, nil
}

// isOwn says that a set is the target itself: its processes, or those that share all
// with them. Of a namespace that is named nobody is.
func (l *look) isOwn(set *Set) bool {
	if l.profile.Kind == OfNamespace {
		return false
	}
	return set.NS == l.own || slices.ContainsFunc(set.PIDs, func(pid int) bool {
		_, named := slices.BinarySearch(l.profile.PIDs, pid)
		return named
	})
}

// inside is what can only be learnt in the namespace, or of a process in it.
func (l *look) inside(f *NamespaceFacts) {
	switch f.Type {
	case UTS:
		switch names, err := l.utsNames(f); {
		case err != nil:
			l.missing("hostname", err)
		case names[0] != "":
			f.Hostname, f.Domainname = &names[0], &names[1]
		}
	case Time:
		// The file has those of the namespace that the process's children will be in.
		if l.process.TimeForChildren != 0 {
			return
		}
		text, err := l.files.read("timens_offsets")
		if errors.Is(err, unix.ENOENT) { // of a thread there is none
			return
		}
		if err == nil {
			f.Offsets, err = parseTimeOffsets(text)
		}
		if err != nil {
			l.missing("timens_offsets", err)
		}
	}
}

// utsNames are the host and domain name of a UTS namespace. Only who is in it can ask
// for them.
func (l *look) utsNames(f *NamespaceFacts) (names [2]string, err error) {
	if !l.files.live {
		if f.IsInitial() {
			names[0] = l.snapshot.Host
		}
		return names, nil
	}
	fd, ok := l.files.openNamespace(f.ID())
	if !ok {
		return names, unix.EACCES
	}
	defer unix.Close(fd)
	ask := func() {
		var u unix.Utsname
		if err = unix.Uname(&u); err == nil {
			names = [2]string{unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Domainname[:])}
		}
	}
	if inode, ownErr := inodeOfPath("/proc/thread-self/ns/uts"); ownErr == nil && inode == f.Inode {
		ask()
		return names, err
	}
	done := make(chan struct{})
	linux.OnThread(func() {
		defer close(done)
		if err = unix.Setns(fd, unix.CLONE_NEWUTS); err == nil {
			ask()
		}
	})
	<-done
	return names, err
}

func inodeOfPath(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Ino, err
}

// parseTimeOffsets reads lines of a clock, seconds and nanoseconds:
//
//	monotonic      172800         0
//	boottime       604800         0
func parseTimeOffsets(text string) (*TimeOffsets, error) {
	var o TimeOffsets
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("timens_offsets: %q is no line of it", strings.TrimSpace(line))
		}
		seconds, err1 := strconv.ParseInt(fields[1], 10, 34) // the kernel takes 146 years
		nsec, err2 := strconv.ParseInt(fields[2], 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("timens_offsets: %q: %w", strings.TrimSpace(line), err)
		}
		switch fields[0] {
		case "monotonic", "1":
			o.MonotonicNsec = seconds*1e9 + nsec
		case "boottime", "7":
			o.BoottimeNsec = seconds*1e9 + nsec
		}
	}
	return &o, nil
}

// userNamespaces follows a user namespace up, and asks a process in each for the maps.
func (l *look) userNamespaces(inode uint64) {
	const deepest = 33 // the kernel nests 32 (create_user_ns in kernel/user_namespace.c)
	for range deepest {
		if inode == 0 {
			return
		}
		level := UserLevel{Inode: inode}
		n := l.snapshot.Namespace(ID{User, inode})
		if n != nil {
			level.Initial, level.OwnerUID = n.Initial, n.OwnerUID
			l.readMaps(n, &level)
		}
		l.profile.UserNamespaces = append(l.profile.UserNamespaces, level)
		if n == nil || n.Parent == nil {
			return
		}
		inode = *n.Parent
	}
}

// readMaps reads them of the process itself, if it is in the namespace, or of one that
// is.
func (l *look) readMaps(n *Namespace, level *UserLevel) {
	files, process := l.files, l.process
	if process == nil || process.NS[User] != n.Inode {
		if n.Leader == nil {
			return
		}
		if process = l.snapshot.Process(n.Leader.PID); process == nil {
			return
		}
		var err error
		if files, err = l.machine.openProcess(process.PID, 0, l.live); err != nil {
			return
		}
		defer files.close()
	}
	note := func(what string, err error) {
		l.profile.miss(process.PID, what, err)
	}
	for _, file := range []struct {
		name string
		to   *IDMap
	}{{"uid_map", &level.UIDMap}, {"gid_map", &level.GIDMap}} {
		text, err := files.read(file.name)
		if err == nil {
			*file.to, err = ParseIDMap(text)
		}
		if err != nil {
			note(file.name, err)
		}
	}
	if text, err := files.read("setgroups"); err == nil { // Linux 3.19
		level.Setgroups = strings.TrimSpace(text)
	}
	if !files.isStill(process) {
		level.UIDMap, level.GIDMap, level.Setgroups = nil, nil, ""
	}
}

// pidNamespaces are those in which the process has a number: its own, and those above
// it down from that of the /proc in use.
func (l *look) pidNamespaces() {
	inode := l.own[PID]
	for _, pid := range slices.Backward(l.process.NSPIDs) {
		l.profile.PIDNamespaces = append(l.profile.PIDNamespaces, PIDLevel{Inode: inode, PID: pid})
		n := l.snapshot.Namespace(ID{PID, inode})
		if n == nil || n.Parent == nil {
			inode = 0
			continue
		}
		inode = *n.Parent
	}
}
