package cgroupfs

import (
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// place is a directory that shows a part of a hierarchy: the group root, what
// is below it, and up levels of what is above it.
type place struct {
	tree proc.Root // that dir lies below: Options.Root
	dir  string
	root string
	up   int
}

// rel is the path of a group from dir, if the place shows it. A group above the
// root of the reader's cgroup namespace has the name that the kernel gives it,
// "/.." or "/../other".
func (p place) rel(group string) (string, bool) {
	switch {
	case !outside(group):
		return below(group, p.root), isBelow(group, p.root)
	case p.root != "/":
		return "", false
	}
	return strings.TrimPrefix(group, "/"), levelsUp(group) <= p.up
}

// levelsUp counts the ".." at the beginning of a path.
func levelsUp(group string) int {
	n := 0
	for rest, ok := strings.CutPrefix(group, "/.."); ok; rest, ok = strings.CutPrefix(rest, "/..") {
		n++
	}
	return n
}

// onlyUp says whether a path is "/.." or the like, and nothing after it.
func onlyUp(group string) bool {
	n := levelsUp(group)
	return n > 0 && len(group) == n*len("/..")
}

// open opens a path beneath the place's uppermost directory. It never creates a
// file: a misspelt name is ENOENT, not the EACCES that cgroupfs answers to
// O_CREAT.
func (p place) open(rel string, flags int) (int, error) {
	top, base := p.dir, ""
	for range p.up {
		top, base = path.Dir(top), path.Join(path.Base(top), base)
	}
	name := path.Join(base, rel)
	if !p.tree.Own() {
		return p.openData(top, name, flags)
	}
	root, err := unix.Open(top, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	return unix.Openat2(root, name, &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: beneath})
}

// openData opens a path of a root that is not our own: the mount point may be a
// link, and the file anything at all.
func (p place) openData(top, name string, flags int) (int, error) {
	root, err := p.tree.Open(strings.TrimPrefix(top, path.Clean(string(p.tree))), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, bare(err)
	}
	defer unix.Close(root)
	how := unix.OpenHow{Flags: uint64(unix.O_PATH | unix.O_CLOEXEC | flags&unix.O_DIRECTORY), Resolve: beneath}
	at, err := unix.Openat2(root, name, &how)
	if err != nil || flags&unix.O_PATH != 0 {
		return at, err
	}
	defer unix.Close(at)
	return proc.ReopenFile(at, flags)
}

// read is the text of a file by its path from dir.
func (p place) read(rel string) (string, error) {
	fd, err := p.open(rel, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	data, err := proc.ReadAll(f, proc.MaxTable)
	return string(data), err
}

// place finds where a group of the hierarchy is shown: at its mount, or at
// another one of the same hierarchy.
func (h *Hierarchy) place(group string) (p place, rel string, ok bool) {
	if h.Problem == "" {
		p = place{h.tree, h.Mount, h.MountRoot, h.up}
		if rel, ok = p.rel(group); ok {
			return p, rel, true
		}
	}
	for _, p = range h.others {
		if rel, ok = p.rel(group); ok {
			return p, rel, true
		}
	}
	return p, rel, false
}

// above is the group over a path as the kernel names it, which in a cgroup
// namespace goes on past the root: "/demo", "/", "/..", "/../..".
func above(group string) string {
	if group == "/" {
		return "/.."
	}
	if onlyUp(group) {
		return group + "/.."
	}
	// path.Dir would make "/" of "/../demo".
	return group[:max(strings.LastIndexByte(group, '/'), 1)]
}
