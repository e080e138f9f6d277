package enter

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// netnsEtc has, for each network namespace, the files that take the place of those
// in /etc (ip-netns(8)).
const netnsEtc = "/etc/netns"

// findCovers lists the files for the network namespace that is joined. They are
// the host's: in another root or mount namespace they are not there.
func (p *Plan) findCovers() error {
	if !p.options.MountSys || p.root != nil || p.WillJoin(inspect.Mnt) {
		return nil
	}
	i := p.index(inspect.Net)
	if i < 0 {
		return nil
	}
	name, err := inspect.NameOfNetns(p.Joins[i].file)
	if name == "" || err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Join(netnsEtc, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, f := range files {
		c := cover{from: filepath.Join(netnsEtc, name, f.Name()), to: filepath.Join("/etc", f.Name())}
		_, err := os.Stat(c.to)
		c.missing = err != nil
		p.covers = append(p.covers, c)
	}
	return nil
}

// sysSteps mounts a /sys, which shows the network namespace of the one who mounts it, and
// carries over the cgroups, which would be out of sight below the old one. It
// covers the files of /etc.
func (p *Plan) sysSteps(prog *launcher.Program) {
	if !p.options.MountSys {
		return
	}
	here, cgroups := launcher.Int(int64(unix.AT_FDCWD)), prog.Slot(0)
	dir := prog.String("/sys/fs/cgroup")
	prog.Call("open_tree /sys/fs/cgroup", unix.SYS_OPEN_TREE, here, dir,
		launcher.Int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).Ignore().Into(cgroups)
	prog.Mount("mounting /sys", "sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
		Explain(onErrno(unix.EPERM, "it takes CAP_SYS_ADMIN in the user namespace that owns the network namespace, and no mounts that cover parts of the /sys here (mount_too_revealing in fs/namespace.c)", ErrPermission))
	prog.Call("move_mount /sys/fs/cgroup", unix.SYS_MOVE_MOUNT, cgroups.Value(), prog.String(""), here, dir,
		launcher.Int(unix.MOVE_MOUNT_F_EMPTY_PATH)).Ignore()
	for _, c := range p.covers {
		if !c.missing {
			prog.Mount("covering "+c.to, c.from, c.to, "", unix.MS_BIND, "")
		}
	}
}
