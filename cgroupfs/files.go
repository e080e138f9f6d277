package cgroupfs

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// beneath keeps a lookup inside of the hierarchy: no "..", no symbolic link,
// no other mount (openat2(2), Linux 5.6).
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// Dir is the directory of a group in this hierarchy.
func (h Hierarchy) Dir(group string) string {
	if p, rel, ok := h.place(group); ok {
		return path.Join(p.dir, rel)
	}
	return path.Join(h.Mount, below(group, h.MountRoot))
}

// below is group's path below root, "." for root itself.
func below(group, root string) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(group, root), "/")
	if rel == "" {
		return "."
	}
	return rel
}

// openat opens a file of a group, or with an empty name its directory.
func (h *Hierarchy) openat(group, file string, flags int) (*os.File, error) {
	p, rel, ok := h.place(group)
	if !ok {
		return nil, h.notShown(group)
	}
	name := path.Join(p.dir, rel, file)
	fd, err := p.open(path.Join(rel, file), flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// notShown says why no mount shows a group.
func (h *Hierarchy) notShown(group string) *Error {
	e := &Error{Op: "open " + group, Err: unix.EXDEV, Next: "run in the cgroup namespace of the mount, such as the host's"}
	switch {
	case h.Problem != "":
		e.Cause = h.Problem
	case outside(group):
		e.Cause = group + " is outside of this cgroup namespace, and no mount of " + h.String() + " shows it"
	default:
		e.Err, e.Next = unix.ENOENT, "run where more of it is mounted, such as on the host"
		e.Cause = "only " + h.MountRoot + " and what is below it is mounted at " + h.Mount
	}
	return e
}

// read is the whole text of a file, without its last newline.
func (h *Hierarchy) read(group, file string) (string, error) {
	f, err := h.openat(group, file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := proc.ReadAll(f, proc.MaxTable)
	return strings.TrimSuffix(string(data), "\n"), err
}

// write gives a file a value, in one system call, as the kernel asks.
func (h *Hierarchy) write(group, file, value string) error {
	f, err := h.openat(group, file, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	// Nothing to write would not reach the kernel's handler at all.
	_, err = f.WriteString(value + "\n")
	return err
}

// list is the names in a group's directory: the groups right below it, or its
// control files.
func (h *Hierarchy) list(group string, groups bool) ([]string, error) {
	f, err := h.openat(group, "", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return dirNames(f, groups)
}

// dirNames is the names of the directories, or else of the files, in a directory.
func dirNames(f *os.File, groups bool) ([]string, error) {
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() == groups {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// exists says whether the group, or a file of it, exists in this hierarchy. An
// error says that this is not known: out of descriptors or memory, say.
func (h *Hierarchy) exists(group, file string) (bool, error) {
	if _, _, ok := h.place(group); !ok {
		return false, nil
	}
	flags := unix.O_PATH
	if file == "" {
		flags |= unix.O_DIRECTORY // a control file is no group
	}
	f, err := h.openat(group, file, flags)
	if err == nil {
		f.Close()
		return true, nil
	}
	errno, _ := errors.AsType[unix.Errno](err)
	switch errno {
	case unix.EACCES: // what may not be looked at does exist
		return true, nil
	case unix.ENOENT, unix.ENODEV, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ENAMETOOLONG:
		return false, nil
	}
	return false, err
}

// has is exists for those who only look closer or explain: what is not known
// counts as there, and the next step meets the error.
func (h *Hierarchy) has(group, file string) bool {
	ok, err := h.exists(group, file)
	return ok || err != nil
}

func (h *Hierarchy) mkdir(group string) error {
	parent, err := h.openat(path.Dir(group), "", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := unix.Mkdirat(int(parent.Fd()), path.Base(group), 0o755); err != nil {
		return &os.PathError{Op: "mkdir", Path: h.Dir(group), Err: err}
	}
	return nil
}

// rmdir is the only way to remove a group: its files go with it and cannot be
// unlinked.
func (h *Hierarchy) rmdir(group string) error {
	parent, err := h.openat(path.Dir(group), "", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := unix.Unlinkat(int(parent.Fd()), path.Base(group), unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "rmdir", Path: h.Dir(group), Err: err}
	}
	return nil
}
