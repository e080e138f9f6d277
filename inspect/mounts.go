package inspect

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mountsOf reads a mountinfo file, keeping the mounts that want accepts.
func mountsOf(path string, want func(*mountinfo.Info) bool) ([]*mountinfo.Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) { return !want(m), false })
}

// ownMounts is the mount table of the calling thread, whatever /proc is
// scanned.
const ownMounts = "/proc/thread-self/mountinfo"

// isBind tells mounts of namespace files. Their root is the namespace's name
// as in /proc/PID/ns: "net:[4026532201]" (nsfs_show_path in fs/nsfs.c).
func isBind(m *mountinfo.Info) bool { return m.FSType == "nsfs" }

// netnsName is the name by which ip-netns(8) knows a bind mount; root is the
// scanned root.
func netnsName(root, mountpoint string) (string, bool) {
	rel, err := filepath.Rel(root, mountpoint)
	if err != nil {
		return "", false
	}
	for _, dir := range []string{"run/netns/", "var/run/netns/"} {
		if name, ok := strings.CutPrefix(rel, dir); ok && !strings.Contains(name, "/") {
			return name, true
		}
	}
	return "", false
}

// hidden finds the option by which /proc hides processes from this reader
// (proc(5)): hidepid=2 (invisible) and 4 (ptraceable) do, unless the reader
// may trace them; 1 (noaccess) lists them all.
func (p Procfs) hidden() string {
	if !p.isLive() || hasCapability(unix.CAP_SYS_PTRACE) {
		return ""
	}
	dir, err := filepath.EvalSymlinks(p.Dir)
	if err != nil {
		return ""
	}
	mounts, err := mountsOf(ownMounts, func(m *mountinfo.Info) bool { return m.FSType == "proc" && m.Mountpoint == dir })
	if err != nil || len(mounts) == 0 {
		return ""
	}
	// A later mount at the same place covers the earlier ones.
	for option := range strings.SplitSeq(mounts[len(mounts)-1].VFSOptions, ",") {
		switch option {
		case "hidepid=2", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable":
			return option
		}
	}
	return ""
}

// hasCapability says whether this thread has a capability in effect.
func hasCapability(c int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}
