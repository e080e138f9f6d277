package inspect

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// processFiles is the directory of a process or thread in /proc. It is never another
// process's: once this one is gone, it answers with ESRCH.
type processFiles struct {
	dir  int
	path string // below /proc
	live bool
}

func (m Machine) openProcess(pid, tid int, live bool) (*processFiles, error) {
	path := strconv.Itoa(pid)
	if tid != 0 {
		path = filepath.Join(path, "task", strconv.Itoa(tid))
	}
	dir, err := m.root.Open("proc/"+path, unix.O_PATH|unix.O_DIRECTORY)
	if proc.Gone(err) {
		err = noProcess(pid)
	}
	if err != nil {
		return nil, err
	}
	return &processFiles{dir, path, live}, nil
}

func (f *processFiles) close() { unix.Close(f.dir) }

// isStill says that the directory is that of the process, which is there. That of a
// thread says when the thread was started.
func (f *processFiles) isStill(p *Process) bool {
	r := proc.Reader{Captured: !f.live}
	st, err := r.Stat(f.dir, filesFromTask.stat)
	return err == nil && (st.StartTicks == p.StartTicks || filepath.Base(filepath.Dir(f.path)) == "task")
}

// open opens a file. In a captured tree it must be a regular one.
func (f *processFiles) open(name string) (*os.File, error) {
	var fd int
	var err error
	if f.live {
		fd, err = unix.Openat(f.dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	} else {
		fd, err = proc.OpenRegular(f.dir, name, unix.O_RDONLY)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc/" + f.path + "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// read reads a small file whole.
func (f *processFiles) read(name string) (string, error) {
	file, err := f.open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := proc.ReadAll(file, proc.MaxFile)
	return string(text), err
}

// readlink reads a link, "" if that cannot be done.
func (f *processFiles) readlink(name string) string {
	buf := make([]byte, unix.PathMax)
	var n int
	var err error
	if f.live {
		n, err = unix.Readlinkat(f.dir, name, buf)
	} else {
		n, err = proc.Readlink(f.dir, name, buf)
	}
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// openNamespace opens one of the process's namespaces, if it is still this one.
func (f *processFiles) openNamespace(id ID) (int, bool) {
	if !f.live {
		return -1, false
	}
	return openExactly(f.dir, linkNames[id.Type], id.Inode)
}
