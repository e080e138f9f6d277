package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// pathLook is what lies at a path: a namespace's file, a block device, or files.
type pathLook struct {
	namespace bool
	device    device
	path      string // without links, if it is neither
}

// pathTimeout is how long a file server may take to say what lies at a path.
const pathTimeout = time.Second

// lookAtPath looks at what a path names. What is served by somebody is known by the
// mount table alone, as far as the path goes without links: that the server is dead is
// why one asks. Who is asked all the same, through a link, and does not answer is left
// behind after a second.
func lookAtPath(ctx context.Context, word string) (on pathLook, err error) {
	path, err := filepath.Abs(word)
	if err != nil {
		return on, err
	}
	own, err := readMounts(ownMounts)
	if err != nil {
		return on, err
	}
	if m := innermost(own, path); m != nil && m.FSType != bindType && (m.Mountpoint == path || isServed(m.FSType)) {
		return pathLook{path: path}, nil
	}
	stuck := proc.Guarded(ctx, 1, 1, pathTimeout, proc.ThreadAsleep, func(int) func() {
		found, failed := askPath(path)
		return func() { on, err = found, failed }
	})
	if len(stuck) > 0 {
		err = fmt.Errorf("%s: whoever serves it does not answer: name its mount point: %w", path, unix.ETIMEDOUT)
	}
	return on, cmp.Or(ctx.Err(), err)
}

// isServed says that a file system of this type asks another machine or a program.
func isServed(fsType string) bool {
	name, _, _ := strings.Cut(fsType, ".")
	return slices.Contains([]string{"fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs", "lustre", "autofs"}, name)
}

func askPath(path string) (on pathLook, err error) {
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		err = &os.PathError{Op: "open", Path: path, Err: err}
		if errors.Is(err, unix.ENOENT) {
			err = &goneError{err.Error(), err}
		}
		return on, err
	}
	defer unix.Close(at)
	if isNamespaceFile(at) {
		return pathLook{namespace: true}, nil
	}
	var st unix.Statx_t
	if err := unix.Statx(at, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st); err != nil {
		return on, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		return pathLook{device: device{st.Rdev_major, st.Rdev_minor}}, nil
	}
	on.path, err = filepath.EvalSymlinks(path)
	return on, err
}

// innermost is the mount that a path lies in, by its name alone: the topmost of those
// at the innermost mount point.
func innermost(mounts []Mount, path string) (best *Mount) {
	for i := range mounts {
		if m := &mounts[i]; within(path, m.Mountpoint) && (best == nil || len(m.Mountpoint) >= len(best.Mountpoint)) {
			best = m
		}
	}
	return best
}

// within says that a path is a directory or below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
