package cgroupfs

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// way is the groups of a hierarchy from one up to the top: whatever limits one
// of them limits the first.
type way struct {
	h *Hierarchy
	// group is whose way it is. The hierarchy may lack it, and then the first level is
	// one above it.
	group  string
	levels []level
	// names are those of the control files that some of them have, all of
	// them if allNames.
	names    []string
	allNames bool
}

// level is one group of a way, or with hidden a stretch of it that cannot be seen.
type level struct {
	group  string
	hidden *Unreadable
}

// wayUp finds what can be seen of the way up from a group. A process's group is
// known to exist; one that was only named may be missing, and then the limits of
// those above it would be its limits.
func (fs *FS) wayUp(h *Hierarchy, group string, exists bool) way {
	w := way{h: h, group: group, allNames: true}
	at := group
	for ; ; at = above(at) {
		_, _, shown := h.place(at)
		switch {
		case shown:
			w.step(at, exists)
		case at == "/" && at != group && fs.initialNamespace():
			// The root of them all has no limits.
		default:
			w.hide(at, h.notShown(at))
		}
		if _, _, more := h.place(above(at)); !more && (at == "/" || outside(at)) {
			break
		}
	}
	if _, _, shown := h.place(at); shown && !w.seesTop(fs, at) {
		w.hide(above(at), &Error{Err: unix.EXDEV, Cause: "the groups above the root of this cgroup namespace cannot be seen from here"})
	}
	slices.Sort(w.names)
	w.names = slices.Compact(w.names)
	return w
}

// step goes on to a group that a mount shows.
func (w *way) step(at string, exists bool) {
	dir, err := w.h.openat(at, "", unix.O_PATH|unix.O_DIRECTORY)
	switch {
	case errors.Is(err, unix.ENOENT) && !exists:
		return
	case err != nil && !errors.Is(err, unix.EACCES):
		w.hide(at, err)
		return
	case err == nil:
		dir.Close()
	}
	w.levels = append(w.levels, level{group: at})
	names, err := w.h.list(at, false)
	w.names = append(w.names, names...)
	w.allNames = w.allNames && err == nil
}

// hide notes a group that cannot be seen; several in a row are one gap.
func (w *way) hide(at string, err error) {
	// All groups of a v1 hierarchy have the same files.
	w.allNames = w.allNames && w.h.Version == 1 && len(w.levels) > 0
	if n := len(w.levels); n > 0 && w.levels[n-1].hidden != nil {
		return
	}
	u := newUnreadable(at, w.h.Dir(at), err)
	if _, _, shown := w.h.place(at); !shown {
		u.File = w.h.Mount
	}
	w.levels = append(w.levels, level{at, &u})
}

// visible says whether any of the groups can be seen.
func (w *way) visible() bool {
	return slices.ContainsFunc(w.levels, func(l level) bool { return l.hidden == nil })
}

// seesTop says whether the last group is the root of the whole hierarchy, above
// which there is nothing. A cgroup namespace has its own root, and only what
// that one has and the real one lacks, or the other way round, tells them apart:
// CFTYPE_NOT_ON_ROOT and CFTYPE_ONLY_ON_ROOT of kernel/cgroup/cgroup*.c.
func (w *way) seesTop(fs *FS, top string) bool {
	if w.h.Version == 2 {
		return !w.h.has(top, "cgroup.type") && !w.h.has(top, "cgroup.events")
	}
	return fs.initialNamespace() || w.h.has(top, "cgroup.sane_behavior") || w.h.has(top, "release_agent")
}

// initialNamespace says whether the reader of the mount table is in the cgroup
// namespace of the boot (PROC_CGROUP_INIT_INO of include/linux/proc_ns.h); a
// captured tree that does not tell counts as that.
func (fs *FS) initialNamespace() bool {
	link, err := os.Readlink(fs.procPath("self/ns/cgroup"))
	return err != nil || link == "cgroup:[4026531835]"
}
