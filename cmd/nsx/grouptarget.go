package main

import (
	"context"
	"fmt"
	"strings"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// groupAt names a group of the machine whose root is mounted at root. A path
// that is none is wrong usage.
func groupAt(root, word string) (*cgroupfs.Group, error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{Root: root})
	if err != nil {
		return nil, err
	}
	path, isPath := strings.CutPrefix(word, "cgroup:")
	if isPath = isPath && strings.HasPrefix(path, "/"); isPath {
		// As /proc/PID/cgroup has it: not below a mount point.
		if path, err = cgroupfs.ParseGroupPath(path); err != nil {
			return nil, usage(err)
		}
		return fs.Group(path)
	}
	if word == "" || word[0] == '/' {
		if path, err = fs.ParseGroupPath(word); err != nil {
			return nil, usage(err)
		}
		return fs.Group(path)
	}
	if unit, ok := unitOf(word); ok {
		return fs.Unit(unit)
	}
	ref, err := inspect.ParseRef(word)
	if err != nil || ref.Kind != inspect.RefProcess && ref.Kind != inspect.RefSelf {
		return nil, noGroup(fs, word)
	}
	memberships, err := membershipsOf(context.Background(), root, word)
	if err != nil {
		return nil, err
	}
	return fs.GroupOf(memberships)
}

// unitOf is the unit that a word names: web.service, unit:web, session:3.
func unitOf(word string) (string, bool) {
	kind, name, _ := strings.Cut(word, ":")
	switch {
	case name != "" && !strings.Contains(name, "/") && kind == "unit":
		return name, true
	case name != "" && !strings.Contains(name, "/") && kind == "session":
		return "session-" + name + ".scope", true
	}
	return word, cgroupfs.IsUnit(word)
}

// noGroup says what a word that names no group could be meant for.
func noGroup(fs *cgroupfs.FS, word string) error {
	if group, err := fs.Group("/" + word); err == nil && len(group.Hierarchies()) > 0 {
		return usagef("%q is no group: a group begins with /: did you mean %s?", word, group.Path())
	}
	return usagef("%q is no group: name a path that begins with / (/demo), a process (5151) or a unit (web.service)", word)
}

// membershipsOf reads in which groups a process or thread is.
func membershipsOf(ctx context.Context, root, word string) ([]cgroupfs.Membership, error) {
	m, err := inspect.Open(root)
	if err != nil {
		return nil, err
	}
	t, err := m.Resolve(ctx, word)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if t.PID == 0 {
		return nil, fmt.Errorf("%s is a namespace, and limits are those of processes: name one that is in it (nsx ps %s)", t.Name(), t.Name())
	}
	text, err := t.ReadFile("cgroup")
	if err != nil {
		return nil, err
	}
	return cgroupfs.ParseMemberships(text)
}
