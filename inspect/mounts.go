package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// mountsOf reads a mount table of a live /proc, keeping the mounts of one type.
// EFBIG comes with those of a part of the table.
func mountsOf(path, fsType string) ([]*mountinfo.Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := proc.Mounts(f, fsType)
	if err != nil && !errors.Is(err, unix.EFBIG) {
		return nil, err
	}
	mounts, bad := mountinfo.GetMountsFromReader(bytes.NewReader(text), nil)
	return mounts, cmp.Or(bad, err)
}

// ownMounts is the mount table of the calling thread, whatever /proc is
// scanned.
const ownMounts = "/proc/thread-self/mountinfo"

// bindType is the type of mounts of namespace files. Their root is the
// namespace's name as in /proc/PID/ns: "net:[4026532201]" (nsfs_show_path in
// fs/nsfs.c).
const bindType = "nsfs"

// hidden finds the option by which /proc hides processes from this reader
// (proc(5)): hidepid=2 (invisible) and 4 (ptraceable) do, unless the reader
// may trace them or, with 2, is in the group gid=; 1 (noaccess) lists them all.
// A security module may hide the first process even from root. Every PID namespace
// has one: if that cannot be seen, others may be hidden too.
func (m Machine) hidden() string {
	if !m.isLive() || mayTrace() && unix.Access(m.join("1"), unix.F_OK) == nil {
		return ""
	}
	dir, err := filepath.Abs(m.procDir())
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return ""
	}
	mounts, _ := mountsOf(ownMounts, "proc")
	mounts = slices.DeleteFunc(mounts, func(m *mountinfo.Info) bool { return m.Mountpoint != dir })
	if len(mounts) == 0 {
		return ""
	}
	// A later mount at the same place covers the earlier ones.
	return hidingOption(mounts[len(mounts)-1].VFSOptions, inGroup)
}

// hidingOption finds the option among those of a procfs that hides processes
// from a reader who may not trace them and is in the given groups
// (has_pid_permissions in fs/proc/base.c).
func hidingOption(options string, inGroup func(gid int) bool) string {
	hides, gid := "", 0 // without gid=, that group is root
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "hidepid=2", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable":
			hides = option
		}
		if value, ok := strings.CutPrefix(option, "gid="); ok {
			gid, _ = strconv.Atoi(value)
		}
	}
	ptraceable := hides == "hidepid=4" || hides == "hidepid=ptraceable"
	if !ptraceable && inGroup(gid) {
		return ""
	}
	return hides
}

// inGroup says whether this process has a group among its own.
func inGroup(gid int) bool {
	groups, err := unix.Getgroups()
	return unix.Getegid() == gid || err == nil && slices.Contains(groups, gid)
}

// mayTrace says whether this reader may trace every process of its PID
// namespace. The capability counts for what belongs to our own user namespace
// or one below: the kernel answers EPERM about the owner of anything else.
func mayTrace() bool {
	if !linux.HasCapability(unix.CAP_SYS_PTRACE) {
		return false
	}
	fd, err := unix.Open("/proc/thread-self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	owner, err := linux.NSUserns(fd)
	if err != nil {
		return false
	}
	unix.Close(owner)
	return true
}
