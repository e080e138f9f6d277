package inspect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// Machine is where to look. The zero value is this machine, by its /proc; Open
// makes another. It is a plain value that holds nothing open, and may be used by
// several goroutines at once.
type Machine struct {
	root   proc.Root
	source Source // nil: procfs
	only   string // the one cgroup hierarchy that is meant
}

// Open is the machine whose root directory is at root: "" and "/" are this one,
// anything else is where a host's root is mounted, or a captured tree. It fails
// if no /proc lies below.
//
// Another root than our own is data, perhaps hostile: no link leads out of it,
// only regular files and directories are opened, and no file is read further
// than the kernel would have made it.
func Open(root string) (Machine, error) {
	m := Machine{root: proc.Root(root)}
	dir, _, err := m.open()
	if err != nil {
		return Machine{}, fmt.Errorf("reading the process table: %w", err)
	}
	return m, dir.Close()
}

// Scan is Machine.Scan on this machine.
func Scan(ctx context.Context, o Options) (*Snapshot, error) { return Machine{}.Scan(ctx, o) }

// Resolve is Machine.Resolve on this machine.
func Resolve(ctx context.Context, word string) (*Target, error) { return Machine{}.Resolve(ctx, word) }

// From is the machine with processes that come from another source than its
// /proc. What the source does not fill in is still read there.
func (m Machine) From(source Source) Machine {
	m.source = source
	return m
}

// Only is the machine with one of its cgroup hierarchies alone, for Group and
// Memberships: see cgroupfs.FS.Only, which says how it is named. "" is all of them.
func (m Machine) Only(hierarchy string) Machine {
	m.only = hierarchy
	return m
}

// Root is the machine's root directory: "/" for this one.
func (m Machine) Root() string { return m.root.Join() }

// procDir is where its procfs is mounted.
func (m Machine) procDir() string { return m.root.Join("proc") }

// join makes a path below its /proc.
func (m Machine) join(elem ...string) string {
	return filepath.Join(append([]string{m.procDir()}, elem...)...)
}

// open opens its /proc. It says whether that is a procfs that is mounted, and no
// captured copy.
func (m Machine) open() (dir *os.File, live bool, err error) {
	fd, err := m.root.Open("proc", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, false, err
	}
	var fs unix.Statfs_t
	live = unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
	return os.NewFile(uintptr(fd), m.procDir()), live, nil
}

// openPath opens its /proc with O_PATH, to reach processes from there.
func (m Machine) openPath() (int, error) {
	dir, err := unix.Open(m.procDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		err = &os.PathError{Op: "open", Path: m.procDir(), Err: err}
	}
	return dir, err
}

// isLive tells a mounted procfs from a captured copy.
func (m Machine) isLive() bool {
	dir, live, err := m.open()
	if err == nil {
		dir.Close()
	}
	return live
}

// readText reads a small file below its /proc, "" if that cannot be done.
func (m Machine) readText(name string) string {
	dir, live, err := m.open()
	if err != nil {
		return ""
	}
	defer dir.Close()
	r := proc.Reader{Captured: !live}
	text, err := r.ReadFile(int(dir.Fd()), linux.CString(name))
	if err != nil {
		return ""
	}
	return string(text)
}

// hostAndKernel are its name and kernel release. A captured tree is not this
// machine: what it does not say stays empty.
func (m Machine) hostAndKernel() (host, kernel string) {
	read := func(name string) string { return strings.TrimSpace(m.readText("sys/kernel/" + name)) }
	return read("hostname"), read("osrelease")
}

// self is our own PID in the PID namespace of its procfs, which need not be the
// one that getpid(2) counts in.
func (m Machine) self() (int, error) {
	link, err := os.Readlink(m.join("self"))
	if err != nil {
		return 0, gonef("this process is not in the PID namespace of %s", m.procDir())
	}
	pid, ok := proc.Decimal(link)
	if !ok {
		return 0, fmt.Errorf("%s: %q is no PID", m.join("self"), link)
	}
	return int(pid), nil
}

// samePIDs says that its procfs numbers processes as pidfd_open(2) does for us.
func (m Machine) samePIDs() bool { return m.isLive() && proc.SamePIDs(m.procDir()) }
