package cgroupfs

import (
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Home is the group below which the caller can make groups and start commands in
// them; nil if there is none. For root it is the root of the hierarchies, for others
// what was delegated to them: the nearest group above their own, since on v2 one that
// has processes of its own passes no controllers on, and else their own.
func (fs *FS) Home() *Group {
	h := fs.v2()
	if h == nil {
		h = &fs.hierarchies[0]
	}
	list := []string{"/"}
	if m, ok := fs.memberOf(0, h); ok && !outside(m.Path) {
		up := ancestors(m.Path)
		list = append(list, slices.Concat(up[1:], up[:1])...)
	}
	for _, at := range list {
		if fs.mayMake(h, at) {
			return &Group{fs: fs, path: at}
		}
	}
	return nil
}

// mayMake says whether the caller may make a group there, and move a process from
// its own to that (cgroup_procs_write_permission in kernel/cgroup/cgroup.c).
func (fs *FS) mayMake(h *Hierarchy, at string) bool {
	for _, file := range []string{"", "cgroup.procs"} {
		if unix.Faccessat(unix.AT_FDCWD, path.Join(h.Dir(at), file), unix.W_OK, unix.AT_EACCESS) != nil {
			return false
		}
	}
	return true
}
