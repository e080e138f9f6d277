package cgroupfs

import (
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount that was made outside of the reader's cgroup namespace shows groups
// above the namespace's root, at "/..", so many levels up. No file tells where
// below the mount that root is. But it is where a process is that is in the
// namespace, less the path that the process has there.

// Bounds of the search.
const (
	mostGroups   = 20000
	mostInsiders = 16
)

// findNamespaceRoots places the mounts of a hierarchy that were made outside,
// and forgets those that cannot be placed.
func (fs *FS) findNamespaceRoots(h *Hierarchy) {
	if h.Problem != "" && onlyUp(h.MountRoot) {
		if p, ok := fs.findNamespaceRoot(h, place{tree: h.tree, dir: h.Mount, root: h.MountRoot}); ok {
			h.Mount, h.MountRoot, h.up, h.Problem = p.dir, p.root, p.up, ""
		}
	}
	var others []place
	for _, p := range h.others {
		ok := true
		if outside(p.root) {
			p, ok = fs.findNamespaceRoot(h, p)
		}
		if ok {
			others = append(others, p)
		}
	}
	h.others = others
}

// findNamespaceRoot is for one mount. The place it returns is the namespace's
// root, with what the mount shows above it.
func (fs *FS) findNamespaceRoot(h *Hierarchy, mount place) (place, bool) {
	if !onlyUp(mount.root) {
		return place{}, false // a part beside the namespace
	}
	up := levelsUp(mount.root)
	mount.root = "/"
	groups := mount.groupsAt(up)
	file := map[int]string{1: "tasks", 2: "cgroup.threads"}[h.Version]
	for tid, inside := range fs.insiders(h) {
		for _, rel := range groups {
			text, err := mount.read(path.Join(rel, inside, file))
			if err == nil && slices.Contains(strings.Fields(text), tid) {
				return place{mount.tree, path.Join(mount.dir, rel), "/", up}, true
			}
		}
	}
	return place{}, false
}

// insiders are some threads in the reader's cgroup namespace with the number
// that a hierarchy's files have for them, and their group in the namespace: the
// caller first.
func (fs *FS) insiders(h *Hierarchy) iter.Seq2[string, string] {
	return func(yield func(tid, group string) bool) {
		left := mostInsiders
		offer := func(pid int, tid string) bool {
			m, ok := fs.memberOf(pid, h)
			if !ok || outside(m.Path) || m.Deleted {
				return true
			}
			left--
			return yield(tid, m.Path) && left > 0
		}
		var st unix.Statfs_t
		live := unix.Statfs(fs.procPath(), &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
		own := strconv.Itoa(os.Getpid())
		if live {
			if !offer(0, own) {
				return
			}
			// Cgroup files have the numbers of our PID namespace.
			if link, err := os.Readlink(fs.procPath("self")); err != nil || link != own {
				return
			}
		}
		entries, _ := os.ReadDir(fs.procPath())
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && !offer(pid, e.Name()) {
				return
			}
		}
	}
}

// groupsAt lists the groups so many levels below the place's directory.
func (p place) groupsAt(depth int) []string {
	list := []string{"."}
	for range depth {
		var next []string
		for _, at := range list {
			fd, err := p.open(at, unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				continue
			}
			f := os.NewFile(uintptr(fd), at)
			entries, _ := f.ReadDir(-1)
			f.Close()
			for _, e := range entries {
				if e.IsDir() && len(next) < mostGroups {
					next = append(next, path.Join(at, e.Name()))
				}
			}
		}
		list = next
	}
	return list
}
