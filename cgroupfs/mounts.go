package cgroupfs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"nsx/internal/proc"
)

// Hierarchy is one tree of groups: a set of v1 controllers, a v1 name such as
// "systemd", or v2. See cgroups(7).
type Hierarchy struct {
	// Version is 1 or 2.
	Version int `json:"version"`
	// Number is the hierarchy's in /proc/PID/cgroup, 0 for v2.
	Number int `json:"number"`
	// Controllers are those bound to it: for v2, those its root offers.
	Controllers []string `json:"controllers"`
	// Name is that of a named v1 hierarchy, without "name=".
	Name string `json:"name,omitempty"`
	// Mount is where it is mounted, below Options.Root. If a mount shows what
	// is above the root of the reader's cgroup namespace too, it is the
	// directory of that root.
	Mount string `json:"mount"`
	// MountRoot is the group that is seen at Mount: "/" unless only a part
	// of the hierarchy is mounted there.
	MountRoot string `json:"mount_root"`
	// ReadOnly says that the mount, or the file system, is read-only.
	ReadOnly bool `json:"read_only"`
	// Problem says why nothing can be done with it, if so.
	Problem string `json:"problem,omitempty"`

	// recursiveProtection: memory.low and memory.min protect what is below, too.
	recursiveProtection bool

	up     int       // how many levels above MountRoot can be seen too
	others []place   // what further mounts of it show
	tree   proc.Root // Options.Root
}

// String is like "v1 cpu,cpuacct at /sys/fs/cgroup/cpu,cpuacct".
func (h Hierarchy) String() string {
	if h.Version == 2 {
		return "v2 at " + h.Mount
	}
	return fmt.Sprintf("v1 %s at %s", h.label(), h.Mount)
}

// label is the hierarchy's second field in /proc/PID/cgroup.
func (h Hierarchy) label() string {
	words := slices.Clone(h.Controllers)
	if h.Version == 2 {
		return ""
	}
	if h.Name != "" {
		words = append(words, "name="+h.Name)
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// Holds says whether a line of /proc/PID/cgroup is about this hierarchy.
func (h Hierarchy) Holds(m Membership) bool {
	if h.Version == 2 {
		return m.Hierarchy == 0
	}
	words := slices.Clone(m.Controllers)
	slices.Sort(words)
	return m.Hierarchy != 0 && strings.Join(words, ",") == h.label()
}

// parseHierarchies finds the cgroup mounts in the text of a mountinfo file and
// chooses one for each hierarchy. root is put before the mount points.
func parseHierarchies(text, root string) ([]Hierarchy, error) {
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(text), nil)
	if err != nil {
		return nil, fmt.Errorf("mount table: %w", err)
	}
	of := map[string][]Hierarchy{}
	var order []string
	for _, m := range mounts {
		if m.FSType != "cgroup" && m.FSType != "cgroup2" || covered(mounts, m) {
			continue
		}
		h := newHierarchy(m, root)
		key := h.label()
		if of[key] == nil {
			order = append(order, key)
		}
		of[key] = append(of[key], h)
	}
	list := make([]Hierarchy, 0, len(order))
	for _, key := range order {
		list = append(list, best(of[key]))
	}
	slices.SortStableFunc(list, func(a, b Hierarchy) int { return a.Version - b.Version })
	return list, nil
}

// best chooses one of several mounts of a hierarchy, and remembers the others
// for what it does not show.
func best(mounts []Hierarchy) Hierarchy {
	chosen := 0
	for i := range mounts {
		if mounts[i].betterThan(mounts[chosen]) {
			chosen = i
		}
	}
	h := mounts[chosen]
	for i, m := range mounts {
		if i != chosen && (m.Problem == "" || outside(m.MountRoot)) {
			h.others = append(h.others, place{tree: m.tree, dir: m.Mount, root: m.MountRoot})
		}
	}
	return h
}

func newHierarchy(m *mountinfo.Info, root string) Hierarchy {
	h := Hierarchy{
		Version: 1, Controllers: []string{},
		// A captured table may say "/../..", which leads out of nothing.
		Mount: filepath.Join(root, filepath.Clean("/"+m.Mountpoint)), MountRoot: m.Root,
		tree: proc.Root(root),
	}
	superOptions := strings.Split(m.VFSOptions, ",")
	if m.FSType == "cgroup2" {
		h.Version = 2
		h.recursiveProtection = slices.Contains(superOptions, "memory_recursiveprot")
	}
	h.ReadOnly = slices.Contains(strings.Split(m.Options, ","), "ro") || slices.Contains(superOptions, "ro")
	if h.Version == 1 {
		h.readOptions(superOptions)
	}
	if outside(m.Root) {
		h.Problem = fmt.Sprintf("%s shows a tree outside of this cgroup namespace (mount root %q), so no group's place in it is known", h.Mount, m.Root)
	}
	return h
}

// readOptions takes the controllers from the options of the file system
// (cgroup1_show_options in kernel/cgroup/cgroup-v1.c), which look like
//
//	rw,xattr,cpu,cpuacct,noprefix,release_agent=/lib/x,clone_children,name=systemd
func (h *Hierarchy) readOptions(options []string) {
	for _, word := range options {
		key, value, hasValue := strings.Cut(word, "=")
		switch {
		case key == "name":
			h.Name = value
		case hasValue:
		case key == "noprefix":
			h.Problem = h.Mount + " is mounted with noprefix: its files have no controller names"
		case key == "rw", key == "ro", key == "xattr", key == "clone_children", key == "cpuset_v2_mode", key == "favordynmods", key == "none", key == "seclabel":
		default:
			h.Controllers = append(h.Controllers, key)
		}
	}
	slices.Sort(h.Controllers)
}

// betterThan prefers, of two mounts of one hierarchy, the one of which more
// can be used.
func (h Hierarchy) betterThan(old Hierarchy) bool {
	switch {
	case (h.Problem == "") != (old.Problem == ""):
		return h.Problem == ""
	case (h.MountRoot == "/") != (old.MountRoot == "/"):
		return h.MountRoot == "/"
	case h.ReadOnly != old.ReadOnly:
		return !h.ReadOnly
	}
	return len(h.MountRoot) < len(old.MountRoot)
}

// covered says whether another mount hides m: one on top of it, or, among the
// children of its parent or of a parent's parent, one at a directory on the way.
func covered(mounts []*mountinfo.Info, m *mountinfo.Info) bool {
	var from *mountinfo.Info
	for range mounts { // bounded, in case the parents go round in a circle
		var parent *mountinfo.Info
		for _, n := range mounts {
			switch {
			case n.ID == m.ID, n == from:
			case n.ID == m.Parent:
				parent = n
			case n.Parent == m.ID && n.Mountpoint == m.Mountpoint:
				return true
			case n.Parent == m.Parent && n.Mountpoint != m.Mountpoint && isBelow(m.Mountpoint, n.Mountpoint):
				return true
			}
		}
		if parent == nil {
			return false
		}
		from, m = m, parent
	}
	return false
}

// isBelow says whether path is dir or lies below it.
func isBelow(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
