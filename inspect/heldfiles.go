package inspect

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// heldTree is what is looked for: a directory of a file system, and all below it.
type heldTree struct {
	device string
	root   string
	point  string // where the caller asked about it
	ids    map[int]bool
	// around are the mounts that show more than it, with where they show it: nothing of
	// them is in the way if it is a mount itself.
	around map[int]string
}

// has says that a mount shows it, or a part.
func (f *heldTree) has(m *Mount) bool {
	return m.Device == f.device && (m.Root == f.root || f.root == "/" || strings.HasPrefix(m.Root, f.root+"/"))
}

// holdingsOfFiles looks for the mounts of a device in every mount namespace, and for the
// processes that use one; or for those of what is mounted at a path.
func (m Machine) holdingsOfFiles(ctx context.Context, word string, dev device, path string) (*Holdings, error) {
	if !m.root.Own() || !m.isLive() {
		return nil, usagef("%q is a path or device of this machine: what is mounted can only be asked there", word)
	}
	s, err := m.Scan(ctx, Options{Cgroups: true})
	if err != nil {
		return nil, err
	}
	h := m.newHoldings(s, word)
	f := &heldTree{device: strconv.Itoa(int(dev[0])) + ":" + strconv.Itoa(int(dev[1])), root: "/", point: path, ids: map[int]bool{}, around: map[int]string{}}
	h.Files = &HeldFiles{Path: path, Root: "/", Device: f.device}
	own, err := readMounts(ownMounts)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if !f.at(path, own, h.Files) {
			return nil, gonef("%s: no mount of it is in our mount table", path)
		}
	}
	tables := m.allMounts(s, own, h)
	f.mounts(tables, h)
	var leaders []*Process
	for _, one := range h.Holdings {
		if p := s.Process(one.PID); p != nil {
			leaders = append(leaders, p)
		}
	}
	users := m.usersOf(ctx, s, f, h)
	for i := range users {
		leaders = append(leaders, s.Process(users[i].pid))
	}
	if err := m.identify(ctx, s, Options{Names: true, Cgroups: true}, leaders); err != nil {
		return nil, err
	}
	h.foldMounts(s)
	h.foldUsers(s, users)
	h.addLoops(f, own)
	h.settle(s)
	return h, ctx.Err()
}

// at finds what is mounted at a path, or around it: the topmost of the innermost.
func (f *heldTree) at(path string, own []Mount, files *HeldFiles) bool {
	best := innermost(own, path)
	if best == nil {
		return false
	}
	files.MountPoint = best.Mountpoint == path
	f.device, f.root = best.Device, filepath.Join(best.Root, strings.TrimPrefix(path, best.Mountpoint))
	files.Device, files.Root, files.FSType, files.Source = f.device, f.root, best.FSType, best.Source
	return true
}

func readMounts(path string) ([]Mount, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseMounts(file)
}

// mountTable is one mount namespace's, as its leader sees it.
type mountTable struct {
	mnt    uint64
	mounts []Mount
}

// allMounts reads the table of every mount namespace.
func (m Machine) allMounts(s *Snapshot, own []Mount, h *Holdings) []mountTable {
	ours, _ := inodeOfPath(ownMountNS)
	tables := []mountTable{{ours, own}}
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		if n.Type != Mnt || n.Inode == ours || n.Leader == nil {
			continue
		}
		files, err := m.openProcess(n.Leader.PID, 0, true)
		if err != nil {
			continue // it has gone
		}
		mounts, err := files.mounts()
		files.close()
		if err != nil && !proc.Gone(err) {
			h.Unreadable = append(h.Unreadable, Unreadable{n.Leader.PID, "mounts", errorName(err)})
		}
		tables = append(tables, mountTable{n.Inode, mounts})
	}
	return tables
}

// mounts finds those that show what is looked for, and what is mounted on these.
func (f *heldTree) mounts(tables []mountTable, h *Holdings) {
	room := maxHolders
	add := func(kind HoldingKind, t *mountTable, m *Mount) {
		if room--; room >= 0 {
			h.Holdings = append(h.Holdings, Holding{Kind: kind, Path: m.Mountpoint, Mnt: t.mnt, Propagation: m.Propagation})
		}
	}
	for i := range tables {
		t := &tables[i]
		found := false
		for j := range t.mounts {
			if m := &t.mounts[j]; f.has(m) {
				f.ids[m.id] = true
				if h.Files.FSType == "" {
					h.Files.FSType, h.Files.Source = m.FSType, m.Source
				}
				h.Files.NMounts++
				found = true
				add(HoldsByMount, t, m)
			} else if m.Device == f.device && !h.Files.MountPoint && within(f.root, m.Root) {
				f.around[m.id] = filepath.Join(m.Mountpoint, strings.TrimPrefix(f.root, m.Root))
			}
		}
		if found {
			h.Files.NMntNS++
		}
		for j := range t.mounts {
			switch m := &t.mounts[j]; {
			case f.ids[m.id]:
			case f.ids[m.parent]:
				add(HoldsByMountBelow, t, m)
			case f.point != "" && m.Mountpoint == f.point && i > 0:
				add(HoldsByMountOver, t, m)
			}
		}
	}
	if room < 0 {
		h.Unreadable = append(h.Unreadable, Unreadable{0, "mounts", "more than " + strconv.Itoa(maxHolders)})
	}
}

// foldMounts says whose the mounts are, those at one path together.
func (h *Holdings) foldMounts(s *Snapshot) {
	list := h.Holdings
	h.Holdings = []Holding{}
	fold := bindFold{h: h, s: s, at: map[bindKey]int{}}
	for _, one := range list {
		fold.add(one)
	}
}

// user is a process that uses a mount.
type user struct {
	pid   int
	kind  HoldingKind
	count int
	paths []string
}

// usersOf looks at every process's root, working directory, program and open files: of
// each for the mount that it is on, which asks no file server that may be dead.
func (m Machine) usersOf(ctx context.Context, s *Snapshot, f *heldTree, h *Holdings) []user {
	if len(f.ids)+len(f.around) == 0 {
		return nil
	}
	found := make([][]user, len(s.Processes))
	refused := make([]error, len(s.Processes))
	self, _ := m.self()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range (Options{}).workers() {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(s.Processes) {
					return
				}
				if p := &s.Processes[i]; !p.KernelThread && p.State != Zombie && p.PID != self {
					found[i], refused[i] = m.usesOf(p, f)
				}
			}
		})
	}
	wg.Wait()
	for i, err := range refused {
		if err != nil && !proc.Gone(err) && !errors.Is(err, ErrGone) {
			h.Unreadable = append(h.Unreadable, Unreadable{s.Processes[i].PID, "descriptors", errorName(err)})
		}
	}
	return slices.Concat(found...)
}

// usesOf is what a process uses.
func (m Machine) usesOf(p *Process, f *heldTree) ([]user, error) {
	files, err := m.openProcess(p.PID, 0, true)
	if err != nil {
		return nil, err
	}
	defer files.close()
	var list []user
	for _, link := range []struct {
		name string
		kind HoldingKind
	}{{"root", HoldsByRoot}, {"cwd", HoldsByCwd}, {"exe", HoldsByProgram}} {
		on, statErr := f.isOn(files, link.name)
		if statErr != nil {
			err = cmp.Or(err, statErr)
			continue
		}
		if on {
			list = append(list, user{p.PID, link.kind, 1, []string{files.readlink(link.name)}})
		}
	}
	dir, openErr := unix.Openat(files.dir, "fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if openErr != nil {
		return list, cmp.Or(err, openErr)
	}
	open := os.NewFile(uintptr(dir), "fd")
	defer open.Close()
	fds, _ := numericNames(open)
	all := user{pid: p.PID, kind: HoldsByFile}
	for _, fd := range append([]int{0}, fds...) {
		name := "fd/" + strconv.Itoa(fd)
		if on, err := f.isOn(files, name); err != nil || !on {
			continue
		}
		const most = 16
		if all.count++; all.count <= most {
			all.paths = append(all.paths, files.readlink(name))
		}
	}
	if all.count > 0 {
		list = append(list, all)
	}
	if len(list) > 0 && !files.isStill(p) {
		return nil, nil
	}
	return list, err
}

// isOn says that what a link of /proc leads to lies there: on one of the mounts, or by
// its path in one that shows more. Before Linux 5.8 the kernel does not tell mounts
// apart, and the device stands for all of them.
func (f *heldTree) isOn(files *processFiles, name string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(files.dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE|unix.STATX_MNT_ID, &st)
	if errors.Is(err, unix.ENOENT) { // who exits has no program, and some descriptors are closed by now
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return strconv.Itoa(int(st.Dev_major))+":"+strconv.Itoa(int(st.Dev_minor)) == f.device, nil
	}
	if point, shows := f.around[int(st.Mnt_id)]; shows {
		return within(strings.TrimSuffix(files.readlink(name), " (deleted)"), point), nil
	}
	return f.ids[int(st.Mnt_id)], nil
}

// foldUsers adds the processes, those of one owner together.
func (h *Holdings) foldUsers(s *Snapshot, users []user) {
	type use struct {
		kind HoldingKind
		by   owner
	}
	at := map[use]int{}
	for _, u := range users {
		p := s.Process(u.pid)
		key := use{u.kind, ownerOf(p)}
		if i, known := at[key]; known {
			one := &h.Holdings[i]
			one.PIDs, one.Count = append(one.PIDs, u.pid), one.Count+u.count
			continue
		}
		at[key] = len(h.Holdings)
		h.Holdings = append(h.Holdings, Holding{Kind: u.kind, PID: u.pid, PIDs: []int{u.pid}, Comm: p.Comm, Count: u.count, Paths: u.paths, Identity: p.Identity})
	}
}

// addLoops adds the loop devices whose file lies on it, as it is called in the mount
// namespace of who asks.
func (h *Holdings) addLoops(f *heldTree, own []Mount) {
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		backing := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), " (deleted)")
		var around HeldFiles
		if at := (&heldTree{}); !at.at(backing, own, &around) || at.device != f.device || !within(at.root, f.root) {
			continue
		}
		device := "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(file)))
		h.Holdings = append(h.Holdings, Holding{Kind: HoldsByLoop, Path: device, Paths: []string{backing}, Count: 1})
	}
}
