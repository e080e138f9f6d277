package cgroupfs

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// ParseGroupPath checks a group path, relative to the root of a hierarchy, and
// returns it in its one form: "/" or "/demo/web". "..", empty names, those of
// control files, control characters and an empty path are refused, and names longer
// than the kernel's 255 bytes.
func ParseGroupPath(word string) (string, error) {
	refuse := func(errno error, format string, args ...any) error {
		return &Error{Op: "group path " + words.Quote(word), Err: errno, Reason: ErrUsage, Cause: fmt.Sprintf(format, args...)}
	}
	if word == "" {
		return "", refuse(unix.EINVAL, "it is empty; the root of the hierarchy is /")
	}
	for i := range len(word) {
		if word[i] < ' ' || word[i] == 0x7f {
			return "", refuse(unix.EINVAL, "it holds a control character, byte 0x%02x", word[i])
		}
	}
	if strings.Contains(word, "//") {
		return "", refuse(unix.EINVAL, "a name in it is empty")
	}
	for name := range strings.SplitSeq(word, "/") {
		if isControlFile(name) {
			return "", refuse(unix.EINVAL, "%s is the name of a control file, which a group cannot have", name)
		}
		if name == ".." {
			return "", refuse(unix.EINVAL, "it holds \"..\"; give the path from the root of the hierarchy")
		}
		if len(name) > unix.NAME_MAX {
			return "", refuse(unix.ENAMETOOLONG, "a name in it has %d bytes; the kernel takes %d", len(name), unix.NAME_MAX)
		}
	}
	if len(word) >= unix.PathMax {
		return "", refuse(unix.ENAMETOOLONG, "it has %d bytes", len(word))
	}
	return path.Clean("/" + word), nil
}

// ParseGroupPath is like the function, but takes a path below the mount point
// of a hierarchy, such as "/sys/fs/cgroup/memory/demo", for the group that it is.
func (fs *FS) ParseGroupPath(word string) (string, error) {
	group, err := ParseGroupPath(word)
	if err != nil || !strings.HasPrefix(word, "/") {
		return group, err
	}
	var mount *Hierarchy
	all := fs.all().hierarchies
	for i := range all {
		h := &all[i]
		if isBelow(group, h.Mount) && (mount == nil || len(h.Mount) > len(mount.Mount)) {
			mount = h
		}
	}
	if mount != nil {
		if mount.Problem != "" {
			return "", &Error{Op: "group path " + words.Quote(word), Group: group, Err: unix.EXDEV, Cause: mount.Problem}
		}
		return path.Join(mount.MountRoot, strings.TrimPrefix(group, mount.Mount)), nil
	}
	// Somebody means a file system path, and there is no hierarchy: a group
	// named /sys/fs/cgroup/demo is nobody's wish.
	for _, h := range all {
		if dir := path.Dir(h.Mount); dir != "/" && isBelow(group, dir) {
			return "", &Error{
				Op: "group path " + words.Quote(word), Err: unix.EINVAL, Reason: ErrUsage, Cause: "no cgroup hierarchy is mounted there",
				Next: fmt.Sprintf("give the path from the root of the hierarchy, or one below %s", h.Mount),
			}
		}
	}
	return group, nil
}

// isControlFile tells the names that the kernel has in every group, in one version
// or the other: a group of that name would stand in the way of the file, or be
// refused.
func isControlFile(name string) bool {
	switch name {
	case "tasks", "notify_on_release", "release_agent":
		return true
	}
	return strings.HasPrefix(name, "cgroup.")
}

// ofController says whether a name begins as the files of a controller do, for
// which systemd writes "_cpu.service" (cg_needs_escape in src/basic/cgroup-util.c).
func ofController(name string) bool {
	switch controller, _, ok := strings.Cut(name, "."); controller {
	case "cpu", "cpuacct", "cpuset", "memory", "io", "blkio", "pids", "hugetlb", "rdma", "misc", "dmem", "freezer", "devices", "net_cls", "net_prio", "perf_event", "irq":
		return ok
	}
	return false
}

// ancestors lists a group and those above it, up to the root.
func ancestors(group string) []string {
	list := []string{group}
	for group != "/" {
		group = path.Dir(group)
		list = append(list, group)
	}
	return list
}

// outside says whether the kernel shows a path as one that the reader's cgroup
// namespace does not hold.
func outside(path string) bool { return path == "/.." || strings.HasPrefix(path, "/../") }
