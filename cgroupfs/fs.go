package cgroupfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nsx/internal/proc"
)

// Options says which machine's cgroups are meant. The zero value is this one.
type Options struct {
	// Root is the directory below which proc, sys and the mount points lie:
	// "" or "/" for this machine, or where a host's root is mounted, or a
	// captured tree.
	Root string
	// Mountinfo is the mount table to read (proc_pid_mountinfo(5)), if not
	// that of the calling thread, or, with a Root, that of its process 1.
	Mountinfo string
}

// FS is the cgroup hierarchies of a machine, as they were when it was opened.
type FS struct {
	root        string
	hierarchies []Hierarchy
	otherPIDs   bool // /proc is not of our PID namespace, whose numbers cgroup files have
	whole       *FS  // with all hierarchies, if this has one of them alone
}

// Open finds the hierarchies in the mount table. It fails if there is none.
func Open(o Options) (*FS, error) {
	fs := &FS{root: o.Root}
	if fs.root == "" {
		fs.root = "/"
	}
	fs.otherPIDs = fs.root == "/" && !proc.SamePIDs("/proc")
	table, text, err := fs.mountTable(o.Mountinfo)
	if err != nil {
		return nil, err
	}
	if fs.hierarchies, err = parseHierarchies(text, fs.root); err != nil {
		return nil, err
	}
	if len(fs.hierarchies) == 0 {
		return nil, &Error{
			Op: "find cgroups", Err: os.ErrNotExist, Cause: "no cgroup file system is mounted in " + table,
			Next: "mount one (mount -t cgroup2 none /sys/fs/cgroup)",
		}
	}
	fs.number()
	for i := range fs.hierarchies {
		fs.findNamespaceRoots(&fs.hierarchies[i])
	}
	fs.fillV2()
	return fs, nil
}

// mountTable reads the first mount table that there is.
func (fs *FS) mountTable(given string) (name, text string, err error) {
	root, names := proc.Root(""), []string{"proc/thread-self/mountinfo", "proc/self/mountinfo"}
	switch {
	case given != "":
		abs, err := filepath.Abs(given)
		if err != nil {
			return "", "", err
		}
		names = []string{abs}
	case fs.root != "/":
		// The other mount namespace's table is wanted, not ours: process 1's.
		root, names = proc.Root(fs.root), []string{"proc/1/mountinfo", "proc/self/mountinfo"}
	}
	for _, name = range names {
		data, failed := root.ReadMounts(name)
		if failed == nil {
			return root.Join(name), string(data), nil
		}
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = failed
		}
	}
	return "", "", err
}

// numberOf is how /proc calls a process that we, and cgroup files, call pid.
func (fs *FS) numberOf(pid int) (string, error) {
	if !fs.otherPIDs {
		return strconv.Itoa(pid), nil
	}
	number, err := proc.NumberInProc(pid)
	return strconv.Itoa(number), err
}

// readProc reads a small file below /proc.
func (fs *FS) readProc(elem ...string) ([]byte, error) {
	return proc.Root(fs.root).ReadFile(filepath.Join(append([]string{"proc"}, elem...)...), proc.MaxFile)
}

func (fs *FS) procPath(elem ...string) string {
	return filepath.Join(append([]string{fs.root, "proc"}, elem...)...)
}

// number takes the hierarchies' numbers from where every process has them.
func (fs *FS) number() {
	memberships, err := fs.Memberships(0)
	if err != nil {
		memberships, err = fs.Memberships(1)
	}
	if err != nil {
		return
	}
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		for _, m := range memberships {
			if h.Holds(m) {
				h.Number = m.Hierarchy
			}
		}
	}
}

// fillV2 reads v2's controllers at its root: those bound to v1 are not among
// them, and /proc/cgroups, which is v1's, may lack some of them.
func (fs *FS) fillV2() {
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		if h.Version != 2 {
			continue
		}
		// Of whatever group is mounted: even one whose place is not known has
		// no controllers but those of v2.
		text, err := place{tree: h.tree, dir: h.Mount}.read("cgroup.controllers")
		if err == nil {
			h.Controllers = strings.Fields(text)
		}
	}
}

// Hierarchies lists the mounted hierarchies, v1 in the order of the mount
// table, v2 last.
func (fs *FS) Hierarchies() []Hierarchy { return slices.Clone(fs.hierarchies) }

// Mode is "v1", "v2" or, where both are mounted, "hybrid".
func (fs *FS) Mode() string {
	v2 := fs.v2() != nil
	switch {
	case v2 && len(fs.hierarchies) == 1:
		return "v2"
	case v2:
		return "hybrid"
	}
	return "v1"
}

func (fs *FS) v2() *Hierarchy {
	for i := range fs.hierarchies {
		if fs.hierarchies[i].Version == 2 {
			return &fs.hierarchies[i]
		}
	}
	return nil
}

// Controller finds the hierarchy that a controller is on. "io" and "blkio"
// are one controller; "freezer" and "cpuacct" are in the core of v2, and BPF
// programs do there what "devices" does on v1.
func (fs *FS) Controller(name string) (Hierarchy, error) {
	h, err := fs.controller(name)
	if err != nil {
		return Hierarchy{}, err
	}
	return *h, nil
}

func (fs *FS) controller(name string) (*Hierarchy, error) {
	switch name {
	case "io":
		name = "blkio"
	case "":
		return nil, errors.New("a controller without a name")
	}
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		if h.Version == 1 && slices.Contains(h.Controllers, name) {
			return h, nil
		}
	}
	v2 := fs.v2()
	if v2 != nil {
		if name == "blkio" {
			name = "io"
		}
		if slices.Contains(v2.Controllers, name) || slices.Contains([]string{"freezer", "cgroup", "cpuacct", "devices"}, name) {
			return v2, nil
		}
	}
	return nil, fs.explainNoController(name)
}

// Controllers lists the names of all controllers that some hierarchy offers.
func (fs *FS) Controllers() []string {
	var names []string
	for _, h := range fs.hierarchies {
		names = append(names, h.Controllers...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Memberships reads the groups of a process; 0 is the caller.
func (fs *FS) Memberships(pid int) ([]Membership, error) {
	who := "self"
	if pid != 0 {
		number, err := fs.numberOf(pid)
		if err != nil {
			return nil, err
		}
		who = number
	}
	text, err := fs.readProc(who, "cgroup")
	if err != nil {
		return nil, err
	}
	return fs.ParseMemberships(text)
}
