package cgroupfs

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/reason"
)

// Only is the machine with one hierarchy alone: what its groups read and change,
// they read and change there, and the other hierarchies are left as they are. Whose a
// group is (Owner) is still seen in all of them.
//
// The hierarchy is "v2", or named by a controller that is on it ("memory"), by all
// of them ("cpu,cpuacct"), by its own name ("name=systemd"), or by where it is
// mounted. A word that can be none of these is ErrUsage, a hierarchy that is not
// mounted ErrGone.
func (fs *FS) Only(hierarchy string) (*FS, error) {
	all := fs.all()
	h, err := all.named(hierarchy)
	if err != nil {
		return nil, err
	}
	one := *all
	one.hierarchies, one.whole = []Hierarchy{*h}, all
	return &one, nil
}

// all is the machine with all its hierarchies.
func (fs *FS) all() *FS {
	if fs.whole != nil {
		return fs.whole
	}
	return fs
}

// only is the one hierarchy that is meant; nil if all are.
func (fs *FS) only() *Hierarchy {
	if fs.whole == nil {
		return nil
	}
	return &fs.hierarchies[0]
}

// HierarchyNames lists how Only knows the hierarchies: "v2", "cpu,cpuacct" and so on.
func (fs *FS) HierarchyNames() []string {
	names := make([]string, len(fs.hierarchies))
	for i := range fs.hierarchies {
		names[i] = fs.hierarchies[i].shortName()
	}
	return names
}

// shortName is "v2", or the second field of /proc/PID/cgroup.
func (h *Hierarchy) shortName() string {
	if h.Version == 2 {
		return "v2"
	}
	return h.label()
}

// named finds a hierarchy.
func (fs *FS) named(word string) (*Hierarchy, error) {
	parts := strings.Split(word, ",")
	slices.Sort(parts)
	for i := range fs.hierarchies {
		h := &fs.hierarchies[i]
		if strings.Join(parts, ",") == h.shortName() || h.Name != "" && word == h.Name || path.IsAbs(word) && path.Clean(word) == h.Mount {
			return h, nil
		}
	}
	e := &Error{
		Op: fmt.Sprintf("hierarchy %q", word), Err: unix.ENOENT,
		Next: "name one that is mounted: " + strings.Join(fs.HierarchyNames(), ", "),
	}
	switch {
	case word == "v2", strings.HasPrefix(word, "name="):
		e.Cause = "it is not mounted"
		return nil, e
	case word == "", strings.ContainsAny(word, ",/"):
		return nil, fmt.Errorf("%s: %w: there are %s", e.Op, reason.ErrInvalid, strings.Join(fs.HierarchyNames(), ", "))
	}
	h, err := fs.controller(word)
	if e, ok := errors.AsType[*Error](err); ok && e.errno() == unix.EINVAL {
		e.Reason = ErrUsage // there is none of that name anywhere
	}
	return h, err
}
