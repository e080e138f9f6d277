package cgroupfs

import (
	"context"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// spot is a group that descend is at.
type spot struct {
	dir   int // its directory, open
	group string
	names []string // from group down
}

// Path is its path. Made when asked for: all those of a deep tree together would
// be long.
func (s *spot) Path() string {
	return strings.TrimSuffix(s.group, "/") + strings.Join(append([]string{""}, s.names...), "/")
}

// read is the text of one of its files, without the last newline.
func (s *spot) read(file string) (string, error) {
	f, err := openBeneath(s.dir, file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := proc.ReadAll(f, proc.MaxTable)
	return strings.TrimSuffix(string(data), "\n"), err
}

func (s *spot) write(file, value string) error {
	f, err := openBeneath(s.dir, file, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value + "\n")
	return err
}

// children lists the groups right below.
func (s *spot) children() ([]string, error) {
	f, err := openBeneath(s.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return dirNames(f, true)
}

func openBeneath(dir int, name string, flags int) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: beneath}
	fd, err := unix.Openat2(dir, name, &how)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// descend calls visit for the group and all below it, each after those below it,
// as they have to be removed. It goes by directory descriptors, one name at a
// time, and keeps one open: a tree may be deeper than the longest path, PATH_MAX,
// and than we may have descriptors, since any user with a delegated group can make
// it so. What vanishes meanwhile is left out. It ends when ctx is cancelled; a deadline
// is for visit to heed, since what has a time limit of 0 is tried once all the same.
func (h *Hierarchy) descend(ctx context.Context, group string, visit func(*spot) error) error {
	top, err := h.openat(group, "", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return ignoreGone(err)
	}
	defer top.Close()
	at := spot{dir: int(top.Fd()), group: group}
	move := func(to int) {
		if at.dir != int(top.Fd()) {
			unix.Close(at.dir)
		}
		at.dir = to
	}
	defer func() { move(-1) }()
	names, err := at.children()
	left := [][]string{names} // the children of each on the way that are still to come
	for {
		if errors.Is(ctx.Err(), context.Canceled) {
			return ended(ctx)
		}
		if err != nil && !isGone(err) {
			return err
		}
		deepest := len(left) - 1
		if n := len(left[deepest]); n > 0 {
			name := left[deepest][n-1]
			left[deepest] = left[deepest][:n-1]
			how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: beneath}
			var fd int
			if fd, err = unix.Openat2(at.dir, name, &how); err != nil {
				continue
			}
			move(fd)
			at.names = append(at.names, name)
			names, err = at.children()
			left = append(left, names)
			continue
		}
		if err = visit(&at); err != nil && !isGone(err) || deepest == 0 {
			return ignoreGone(err)
		}
		left, at.names = left[:deepest], at.names[:deepest-1]
		// Nobody moves a group to another parent: the kernel does not do that.
		fd := int(top.Fd())
		if deepest > 1 {
			if fd, err = unix.Openat(at.dir, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
		}
		move(fd)
		err = nil
	}
}

// subtree lists the group and all below it in one hierarchy, the deepest first,
// except those whose paths are too long for any other program.
func (h *Hierarchy) subtree(ctx context.Context, group string) ([]string, error) {
	var list []string
	err := h.descend(ctx, group, func(s *spot) error {
		if path := s.Path(); len(path) < unix.PathMax {
			list = append(list, path)
		}
		return nil
	})
	return list, err
}

// isGone tells the errors of a group that was removed: by name, or while one
// of its files was open.
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)
}
