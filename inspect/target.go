package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// Target is a process or a namespace, pinned by open descriptors: whatever is
// done through it is done to what was named, or fails with ESRCH, but is never
// done to another process that got the same PID. Close it in the end; the zero
// value, and one that is closed, has nothing and says so. Several goroutines may
// use one at once, but for Close.
type Target struct {
	// Word is what the user wrote.
	Word string
	// PID is the process, 0 if the word names a namespace; TID one of its
	// threads, if the word names one.
	PID, TID int
	// StartTicks is when the process started: see Process.
	StartTicks uint64
	// ID is the namespace, if the word names one.
	ID ID

	dir   descriptor // of /proc/PID or /proc/PID/task/TID
	pidfd descriptor // of the process: see PIDFD
	ns    descriptor // of the namespace
}

// descriptor is a file descriptor and 1, so that the zero value is none.
type descriptor int

func ownDescriptor(fd int) descriptor { return descriptor(fd + 1) }

// fd is -1 if there is none.
func (d descriptor) fd() int { return int(d) - 1 }

// Resolve finds what a word names (see ParseRef) and pins it. A word that names a
// cgroup or unit stands for the oldest process in it. A word that is none is ErrUsage; one
// that names nothing that is there, ErrGone.
func (m Machine) Resolve(ctx context.Context, word string) (*Target, error) {
	r, err := ParseRef(word)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch r.Kind {
	case RefProcess:
		if err := m.checkNumber(r); err != nil {
			return nil, err
		}
		return m.pinProcess(r, r.PID)
	case RefSelf:
		pid, err := m.self()
		if err != nil {
			return nil, err
		}
		return m.pinProcess(r, pid)
	case RefCgroup, RefUnit, RefIdentity, RefName:
		return m.pinOldest(ctx, r)
	case RefNamespace:
		return m.pinNamespace(ctx, r)
	}
	fd, id, err := m.openRefFile(r)
	if err != nil {
		return nil, err
	}
	return &Target{Word: r.Word, ID: id, ns: ownDescriptor(fd)}, nil
}

// pinNetns is the network namespace of a name that nothing else has: nil if there is
// none.
func (m Machine) pinNetns(s *Snapshot, r Ref) (*Target, error) {
	at, path := openNetns(m.root, r.Path)
	if at < 0 {
		return nil, nil
	}
	if _, err := s.matchNames(r, []string{"netns:" + r.Path}); !errors.Is(err, ErrGone) {
		unix.Close(at)
		return nil, err
	}
	fd, id, err := openNamespaceFile(at, path)
	if err != nil {
		return nil, err
	}
	return &Target{Word: r.Word, ID: id, ns: ownDescriptor(fd)}, nil
}

// pinProcess opens /proc/PID, which from then on means this one process, and
// a pidfd. Between the two the process may have died and its PID been given
// away; if the directory still answers after, it has not.
func (m Machine) pinProcess(r Ref, pid int) (*Target, error) {
	path := m.join(strconv.Itoa(pid))
	if r.TID != 0 {
		path = filepath.Join(path, "task", strconv.Itoa(r.TID))
	}
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	gone, tid := noProcess(pid), pid
	if r.TID != 0 {
		gone, tid = gonef("process %d has no thread %d, or is gone", pid, r.TID), r.TID
	}
	if proc.Gone(err) {
		return nil, gone
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	t := &Target{Word: r.Word, PID: pid, TID: r.TID, dir: ownDescriptor(dir)}
	if m.samePIDs() {
		var pidfd int
		pidfd, err = openPIDFD(pid)
		t.pidfd = ownDescriptor(pidfd)
	}
	// procfs opens the directories of threads too, though it does not list them.
	// There is no pidfd of a thread.
	if t.pidfd.fd() < 0 {
		if leader, err := t.leader(); err == nil && leader != pid {
			t.Close()
			return nil, aThread(tid, leader)
		}
	}
	if err == nil {
		t.StartTicks, err = t.startTicks()
	}
	if err == nil {
		if err := r.checkPIDFD(t.pidfd.fd()); err != nil {
			t.Close()
			return nil, err
		}
	}
	if err != nil {
		t.Close()
		if proc.Gone(err) {
			return nil, gone
		}
		return nil, fmt.Errorf("pinning %s: %w", t.Name(), err)
	}
	return t, nil
}

// checkPIDFD compares the process with the number that tells it from all others.
func (r Ref) checkPIDFD(pidfd int) error {
	if r.PIDFDInode == 0 {
		return nil
	}
	var fs unix.Statfs_t
	var st unix.Stat_t
	const pidfs = 0x50494446 // PID_FS_MAGIC of include/uapi/linux/magic.h
	if pidfd < 0 || unix.Fstatfs(pidfd, &fs) != nil || fs.Type != pidfs || unix.Fstat(pidfd, &st) != nil {
		return fmt.Errorf("%s: what tells process %d from others is not known here: it takes Linux 6.9, and a /proc of our own PID namespace: %w", r.Word, r.PID, unix.EOPNOTSUPP)
	}
	if st.Ino != r.PIDFDInode {
		return gonef("no process %s: process %d is another one, whose pidfd has the inode number %d", r.Word, r.PID, st.Ino)
	}
	return nil
}

// Socket is the network namespace of a socket that the process has open, pinned, as
// Linux tells it since 5.6 to who may trace the process (pidfd_getfd(2)) and has
// CAP_NET_ADMIN over the namespace.
func (t *Target) Socket(fd int) (*Target, error) {
	name := fmt.Sprintf("descriptor %d of %s", fd, t.Name())
	if t.pidfd.fd() < 0 {
		return nil, fmt.Errorf("%s: it takes a pidfd, and there is none: %w", name, unix.EOPNOTSUPP)
	}
	socket, err := unix.PidfdGetfd(t.pidfd.fd(), fd, 0)
	switch {
	case errors.Is(err, unix.EBADF):
		return nil, &goneError{fmt.Sprintf("%s has no descriptor %d", t.Name(), fd), err}
	case err != nil:
		return nil, fmt.Errorf("taking %s: %w", name, t.explain(err))
	}
	defer unix.Close(socket)
	ns, err := linux.SocketNetNS(socket)
	switch {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EBADF), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("%s is no socket: %w", name, unix.ENOTSOCK)
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("the network namespace of %s: %w: it takes CAP_NET_ADMIN in the user namespace that owns it", name, err)
	case err != nil:
		return nil, fmt.Errorf("the network namespace of %s: %w", name, err)
	}
	id, err := identify(ns)
	if err != nil {
		unix.Close(ns)
		return nil, err
	}
	return &Target{Word: name, ID: id, ns: ownDescriptor(ns)}, nil
}

// openPIDFD is -1 without an error where there is no pidfd_open(2): before Linux
// 5.3, or in a sandbox that refuses it. The directory pins the process as well, so
// that only some conveniences are lost.
func openPIDFD(pid int) (int, error) {
	fd, err := proc.OpenPIDFD(pid)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return -1, nil
	}
	return fd, err
}

// leader is the PID of the process that a directory of /proc belongs to.
func (t *Target) leader() (int, error) {
	s, err := t.Status()
	return s.PID, err
}

func (t *Target) startTicks() (uint64, error) {
	st, err := t.stat()
	return st.StartTicks, err
}

func (t *Target) stat() (proc.Stat, error) {
	var r proc.Reader
	st, err := r.Stat(t.dir.fd(), filesFromTask.stat)
	if err != nil {
		return proc.Stat{}, &os.PathError{Op: "read", Path: "stat", Err: err}
	}
	return st, nil
}

func (m Machine) pinOldest(ctx context.Context, r Ref) (*Target, error) {
	s, err := m.lookFor(ctx, r.need(Options{}), []Ref{r}, nil)
	if err != nil && r.Kind == RefName && ctx.Err() == nil {
		s, err = &Snapshot{}, nil // without a process table it can still be a file's
	}
	if err != nil {
		return nil, err
	}
	if r.Kind == RefName {
		if t, err := m.pinNetns(s, r); t != nil || err != nil {
			return t, err
		}
	}
	match, err := m.match(ctx, s, r)
	if err != nil {
		return nil, err
	}
	own, _ := m.self()
	var oldest *Process
	for _, pid := range match.PIDs {
		p := s.Process(pid)
		if pid != own && p.State != Zombie && (oldest == nil || p.StartTicks < oldest.StartTicks) {
			oldest = p
		}
	}
	if oldest == nil {
		return nil, gonef("no living process but this one is in %s", r.Word)
	}
	t, err := m.pinProcess(r, oldest.PID)
	if err == nil && t.StartTicks != oldest.StartTicks {
		t.Close()
		return nil, noProcess(oldest.PID)
	}
	return t, err
}

// pinNamespace opens a namespace that is named by its inode number. The cheap
// look at all processes comes first, the search of descriptors, sockets and
// foreign mount tables only if no process is in it.
func (m Machine) pinNamespace(ctx context.Context, r Ref) (*Target, error) {
	dir, err := m.openPath()
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	var notThere error
	var o Options
	for _, o.Holders = range []bool{false, true} {
		o.Relations, o.Binds = o.Holders || r.KernelID != 0, o.Holders
		s, err := m.Scan(ctx, o)
		if err != nil {
			return nil, err
		}
		match, err := m.match(ctx, s, r)
		if notThere = err; err != nil {
			continue
		}
		id := match.Namespaces[0]
		fd, ok := s.open(dir, s.Namespace(id))
		if ok && r.KernelID != 0 { // an inode number may be used again meanwhile
			if now, err := linux.NSID(fd); err != nil || now != r.KernelID {
				unix.Close(fd)
				return nil, gonef("no namespace %s: it is gone", r.Word)
			}
		}
		if ok {
			return &Target{Word: r.Word, ID: id, ns: ownDescriptor(fd)}, nil
		}
		notThere = fmt.Errorf("namespace %s is there, but no way to open it was found", id)
	}
	return nil, notThere
}

// Close closes what pins the target.
func (t *Target) Close() error {
	for _, d := range []*descriptor{&t.dir, &t.pidfd, &t.ns} {
		if *d != 0 {
			unix.Close(d.fd())
			*d = 0
		}
	}
	return nil
}

// Name is how messages call the target: "process 5151", "net:[4026531840]".
func (t *Target) Name() string {
	switch {
	case t.TID != 0:
		return fmt.Sprintf("thread %d of process %d", t.TID, t.PID)
	case t.PID != 0:
		return fmt.Sprintf("process %d", t.PID)
	case t.ID.IsZero():
		return "no target"
	default:
		return t.ID.String()
	}
}

// PIDFD is a descriptor of the process (pidfd_open(2)), which stays the
// target's, or -1 if there is none: the kernel or a sandbox has no pidfd_open,
// or the machine's /proc is another PID namespace's.
func (t *Target) PIDFD() int { return t.pidfd.fd() }

// OpenNamespace opens the target's namespace of a type. The caller closes the
// file. For a process it fails with ErrGone and ESRCH when that is gone, ENOENT
// when it is a zombie or the kernel has no such type, EACCES when it may not be
// traced (ptrace(2), PTRACE_MODE_READ_FSCREDS).
func (t *Target) OpenNamespace(typ Type) (*os.File, ID, error) {
	fd, err := t.openNamespace(typ)
	if err != nil {
		return nil, ID{}, err
	}
	id, err := identify(fd)
	if err != nil {
		unix.Close(fd)
		return nil, ID{}, err
	}
	return os.NewFile(uintptr(fd), id.String()), id, nil
}

func (t *Target) openNamespace(typ Type) (int, error) {
	if t.PID != 0 {
		return t.open(linkNames[typ], unix.O_RDONLY)
	}
	if typ != t.ID.Type || t.ns == 0 {
		return -1, fmt.Errorf("%s is no %s namespace", t.Name(), typ)
	}
	return unix.FcntlInt(uintptr(t.ns.fd()), unix.F_DUPFD_CLOEXEC, 0)
}

// Open opens another file of the process, below /proc/PID: its "root" or
// "cwd", with O_PATH among the flags. It fails with ErrGone if the process is. A
// refusal that may be one of a moment is waited for, 8 ms at most.
func (t *Target) Open(name string, flags int) (*os.File, error) {
	if t.PID == 0 {
		return nil, fmt.Errorf("%s is no process: it has no %s", t.Name(), name)
	}
	fd, err := t.open(name, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: fmt.Sprintf("/proc/%d/%s", t.PID, name), Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// open opens a file of the process, again and again while the refusal may be one
// of a moment.
func (t *Target) open(name string, flags int) (fd int, err error) {
	for _, wait := range looks {
		time.Sleep(wait)
		fd, err = unix.Openat(t.dir.fd(), name, flags|unix.O_CLOEXEC, 0)
		if err == nil || !isPassing(taskDir{t.dir.fd(), filesFromTask}, err) {
			break
		}
	}
	return fd, t.explain(err)
}

// explain marks an error about the process's files that means that it has gone.
// Who has exited may still be there, as a zombie, but most of it is not.
func (t *Target) explain(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) && t.Exiting() {
		return &goneError{err.Error(), err}
	}
	return err
}

// ReadFile reads a small file of the process, below /proc/PID, whole: one of more
// than a mebibyte is EFBIG.
func (t *Target) ReadFile(name string) ([]byte, error) { return t.readFile(name, proc.MaxFile) }

func (t *Target) readFile(name string, most int) ([]byte, error) {
	f, err := t.Open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := proc.ReadAll(f, most)
	if errors.Is(err, unix.EFBIG) {
		err = &os.PathError{Op: "read", Path: fmt.Sprintf("/proc/%d/%s", t.PID, name), Err: unix.EFBIG}
	}
	return text, t.explain(err)
}

// environTimeout is how long an environment may take to be read.
const environTimeout = time.Second

// Environ is the environment that the process was started with. It is EFBIG if
// it is longer than execve(2) takes, for the process can point it anywhere, and
// ETIMEDOUT if there is no answer within a second: it is read from the process's
// memory, which others can block.
func (t *Target) Environ(ctx context.Context) ([]string, error) {
	var text []byte
	var err error
	// What reads may be left behind, and must not meet a Target that is closed: it
	// has a descriptor of its own, which is ours again if it never begins.
	var begun atomic.Bool
	own, dup := unix.FcntlInt(uintptr(t.dir.fd()), unix.F_DUPFD_CLOEXEC, 0)
	if dup != nil {
		return nil, fmt.Errorf("%s has no environment: %w", t.Name(), dup)
	}
	stuck := proc.Guarded(ctx, 1, 1, environTimeout, proc.ThreadAsleep, func(int) func() {
		if begun.Swap(true) {
			return func() {}
		}
		t := &Target{PID: t.PID, dir: ownDescriptor(own)}
		defer t.Close()
		found, failed := t.readFile("environ", proc.MaxEnviron)
		return func() { text, err = found, failed }
	})
	if !begun.Swap(true) {
		unix.Close(own)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(stuck) > 0:
		return nil, &os.PathError{Op: "read", Path: fmt.Sprintf("/proc/%d/environ", t.PID), Err: unix.ETIMEDOUT}
	case err != nil:
		return nil, err
	}
	return parseCmdline(text), nil
}

// Alive says that the process is still there, as a zombie at least. It is
// always true of a namespace, which the target keeps.
func (t *Target) Alive() bool {
	if t.PID == 0 {
		return true
	}
	_, err := t.startTicks()
	return err == nil
}

// Exiting says that the process has exited, or begun to. It has no memory then,
// and a user who is not root may not read what is about it (EACCES): its files in
// /proc are root's (task_dump_owner in fs/proc/base.c). It is never true of a
// namespace.
func (t *Target) Exiting() bool {
	if t.PID == 0 {
		return false
	}
	st, err := t.stat()
	return err != nil || st.Exiting()
}
