package enter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"nsx/inspect"
)

// binds keeps new namespaces by bind mounts, and can undo it.
type binds struct {
	files map[inspect.Type]string
	undo  []func()
}

// any says whether there is something to keep: the PID namespace, which is
// there only with its first process, or the others.
func (b *binds) any(pid bool) bool {
	for t := range b.files {
		if (t == inspect.PID) == pid {
			return true
		}
	}
	return false
}

// bind mounts the namespaces of the process on their files.
func (b *binds) bind(pid int, wantPID bool) error {
	for _, t := range inspect.Types {
		path, ok := b.files[t]
		if !ok || (t == inspect.PID) != wantPID {
			continue
		}
		name := t.String()
		if t == inspect.Time {
			name = "time_for_children"
		}
		if err := b.one(fmt.Sprintf("/proc/%d/ns/%s", pid, name), path); err != nil {
			return err
		}
	}
	return nil
}

func (b *binds) one(ns, path string) error {
	if err := b.makeDirs(filepath.Dir(path)); err != nil {
		return fmt.Errorf("keeping the namespace: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	switch {
	case err == nil:
		f.Close()
		b.undo = append(b.undo, func() { os.Remove(path) })
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("keeping the namespace: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err == nil && fs.Type == unix.NSFS_MAGIC {
		return explained("keeping the namespace at "+path, unix.EEXIST, "another namespace is kept there: umount it first, or choose another file")
	}
	if err := unix.Mount(ns, path, "", unix.MS_BIND, ""); err != nil {
		why := ""
		switch {
		case errors.Is(err, unix.EPERM):
			why = "a mount takes CAP_SYS_ADMIN: run as root"
		case errors.Is(err, unix.EINVAL):
			why = "a mount namespace can be kept only below a mount that is not shared (mount --make-private), and never in itself"
		}
		return explained("keeping the namespace at "+path, err, why)
	}
	b.undo = append(b.undo, func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return nil
}

// makeDirs makes a directory, and those above it that are missing.
func (b *binds) makeDirs(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := b.makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		b.undo = append(b.undo, func() { os.Remove(dir) })
	}
	return err
}

// rollBack undoes all of it, the last first.
func (b *binds) rollBack() {
	for _, v := range slices.Backward(b.undo) {
		v()
	}
	b.undo = nil
}
