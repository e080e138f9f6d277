package cgroupfs

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Membership is one line of /proc/PID/cgroup, described in cgroups(7): the
// group of a process in one hierarchy.
type Membership struct {
	// Hierarchy is the hierarchy's number in /proc/cgroups, 0 for v2.
	Hierarchy int `json:"hierarchy"`
	// Controllers are the v1 hierarchy's controllers, or "name=systemd" and
	// the like for a named one; empty for v2.
	Controllers []string `json:"controllers"`
	// Path is the group below the hierarchy's root, as seen from the reader's
	// cgroup namespace: it starts with "/..", if the group lies outside.
	Path string `json:"path"`
	// Deleted says that the group was removed while the process, by then a
	// zombie, was in it.
	Deleted bool `json:"deleted,omitempty"`
	// Exited says that the process has exited. v1 has Path "/" of it, in whatever group it
	// was (proc_cgroup_show in kernel/cgroup/cgroup.c): which that is is not known.
	Exited bool `json:"exited,omitempty"`
}

// OfExited is what the lines of a process that has exited tell.
func OfExited(list []Membership) []Membership {
	list = slices.Clone(list)
	for i := range list {
		list[i].Exited = list[i].Hierarchy != 0 && list[i].Path == "/"
	}
	return list
}

// errExited is for groups of those who have exited.
var errExited = &Error{Op: "find its group", Err: unix.ESRCH, Cause: "it has exited (a zombie), and v1 tells no more in which group it was"}

// ParseMemberships reads the text of /proc/PID/cgroup. The kernel
// (proc_cgroup_show in kernel/cgroup/cgroup.c) writes
//
//	hierarchy-ID:controller-list:cgroup-path
//
// and escapes nothing in the path but, since a name may not hold one, never a
// newline: the path may contain colons, blanks and backslashes.
func ParseMemberships(text []byte) ([]Membership, error) {
	list := make([]Membership, 0, bytes.Count(text, []byte{'\n'})+1)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		m, err := parseMembership(line)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// deletedMark is what the kernel puts after the path of a group that was removed.
const deletedMark = " (deleted)"

func parseMembership(line string) (Membership, error) {
	number, rest, ok := strings.Cut(line, ":")
	controllers, path, ok2 := strings.Cut(rest, ":")
	hierarchy, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil || hierarchy < 0 || !strings.HasPrefix(path, "/") {
		return Membership{}, fmt.Errorf("%q is no line of /proc/PID/cgroup: want HIERARCHY:CONTROLLERS:/PATH", line)
	}
	m := Membership{Hierarchy: hierarchy, Controllers: []string{}}
	if controllers != "" {
		m.Controllers = strings.Split(controllers, ",")
	}
	m.Path = path
	if hierarchy == 0 { // the kernel marks groups of v2 alone, once
		m.Path, m.Deleted = strings.CutSuffix(path, deletedMark)
	}
	return m, nil
}

// ParseMemberships is the package's ParseMemberships, and tells a group named "x
// (deleted)" from one named "x" that was removed: by its directory, which is there.
func (fs *FS) ParseMemberships(text []byte) ([]Membership, error) {
	list, err := ParseMemberships(text)
	fs.CheckDeleted(list)
	return list, err
}

// CheckDeleted does that to memberships which were read before.
func (fs *FS) CheckDeleted(list []Membership) {
	for i := range list {
		m := &list[i]
		if h := fs.all().v2(); m.Deleted && h != nil {
			if there, err := h.exists(m.Path+deletedMark, ""); err == nil && there {
				m.Path, m.Deleted = m.Path+deletedMark, false
			}
		}
	}
}
