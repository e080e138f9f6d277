package inspect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// ErrNotFound marks the errors that say: there is no such process, namespace
// or cgroup.
var ErrNotFound = errors.New("not found")

// notFound is an ErrNotFound that says more.
type notFound string

func (e notFound) Error() string        { return string(e) }
func (e notFound) Is(target error) bool { return target == ErrNotFound }

func notFoundf(format string, args ...any) error { return notFound(fmt.Sprintf(format, args...)) }

// Match is what a Ref names in a snapshot: processes, and the namespaces that
// they are in or, for a namespace, that one and those in it.
type Match struct {
	PIDs       []int
	Namespaces []ID
}

// Match looks a Ref up in a snapshot that was made with what it Needs. root is
// the snapshot's Options.Root.
func (s *Snapshot) Match(r Ref, root string) (Match, error) {
	o := Options{Root: root}
	switch r.Kind {
	case RefSelf:
		pid, err := o.procfs().self()
		if err != nil {
			return Match{}, err
		}
		return s.matchProcess(Ref{Word: r.Word, PID: pid})
	case RefProcess:
		if err := r.checkNumber(o.procfs()); err != nil {
			return Match{}, err
		}
		return s.matchProcess(r)
	case RefCgroup:
		return s.matchCgroup(r.Path)
	case RefNamespace:
		for _, t := range Types {
			if !r.AnyType && t != r.ID.Type {
				continue
			}
			if n := s.Namespace(ID{t, r.ID.Inode}); n != nil {
				return Match{PIDs: n.PIDs, Namespaces: []ID{n.ID()}}, nil
			}
		}
		return Match{}, s.noNamespace(r)
	}
	fd, id, err := openRefFile(r, o.root())
	if err != nil {
		return Match{}, err
	}
	unix.Close(fd)
	n := s.Namespace(id)
	if n == nil {
		return Match{}, notFoundf("%s is %s, which nothing that the scan looked at holds", r.Word, id)
	}
	return Match{PIDs: n.PIDs, Namespaces: []ID{id}}, nil
}

func (s *Snapshot) matchProcess(r Ref) (Match, error) {
	p := s.Process(r.PID)
	if p == nil {
		if err := s.refusal(r.PID); err != nil { // hidepid=1 shows a PID and nothing else
			return Match{}, err
		}
		return Match{}, noProcess(r.PID)
	}
	m := Match{PIDs: []int{p.PID}}
	add := func(t Type, inode uint64) {
		if id := (ID{t, inode}); inode != 0 && !slices.Contains(m.Namespaces, id) {
			m.Namespaces = append(m.Namespaces, id)
		}
	}
	addSet := func(set NSSet) {
		for t, inode := range set {
			add(Type(t), inode)
		}
	}
	if r.TID == 0 || r.TID == r.PID {
		addSet(p.NS)
	}
	for _, thread := range p.Threads {
		if r.TID == 0 || r.TID == thread.TID {
			addSet(thread.NS)
		}
	}
	if r.TID == 0 {
		add(PID, p.PIDForChildren)
		add(Time, p.TimeForChildren)
	}
	if len(m.Namespaces) > 0 {
		return m, nil
	}
	if err := s.refusal(p.PID); err != nil {
		return Match{}, err
	}
	if r.TID != 0 && r.TID != r.PID {
		return Match{}, notFoundf("process %d has no thread %d", r.PID, r.TID)
	}
	return Match{}, fmt.Errorf("the namespaces of process %d (%s, state %s) are not known", p.PID, p.Comm, p.State)
}

// refusal says why the namespaces of a process or of its threads could not be
// read: nil if nothing was refused.
func (s *Snapshot) refusal(pid int) error {
	for _, u := range s.Unreadable {
		if u.PID != pid || u.What != "namespaces" && u.What != "threads" {
			continue
		}
		name := strconv.Itoa(pid)
		if p := s.Process(pid); p != nil {
			name += " (" + p.Comm + ")"
		}
		return fmt.Errorf("the %s of process %s may not be read: %s", u.What, name, u.Error)
	}
	return nil
}

func (s *Snapshot) matchCgroup(path string) (Match, error) {
	var m Match
	seen := map[ID]bool{}
	for i := range s.Processes {
		p := &s.Processes[i]
		for _, group := range p.Cgroups {
			if group.Path != path {
				continue
			}
			m.PIDs = append(m.PIDs, p.PID)
			for t, inode := range p.NS {
				if id := (ID{Type(t), inode}); inode != 0 && !seen[id] {
					seen[id] = true
					m.Namespaces = append(m.Namespaces, id)
				}
			}
			break
		}
	}
	if len(m.PIDs) == 0 {
		return m, notFoundf("no process is in a cgroup %s", path)
	}
	return m, nil
}

func (s *Snapshot) noNamespace(r Ref) error {
	hint := ""
	if n := s.UnreadableProcesses(); n > 0 {
		hint = fmt.Sprintf(", or it is among those of %d unreadable processes", n)
	}
	return notFoundf("no namespace %s: it is gone%s", r.Word, hint)
}

func noProcess(pid int) error {
	return notFoundf("no process %d: it has exited, or it is not in the PID namespace of this /proc", pid)
}

// self is nsx's own PID in the PID namespace of this procfs, which need not be
// the one that getpid(2) counts in.
func (p Procfs) self() (int, error) {
	link, err := os.Readlink(p.join("self"))
	if err != nil {
		return 0, notFoundf("this process is not in the PID namespace of %s", p.Dir)
	}
	pid, ok := parseDecimal(link)
	if !ok {
		return 0, fmt.Errorf("%s: %q is no PID", p.join("self"), link)
	}
	return int(pid), nil
}

// samePIDs says that this procfs numbers processes as pidfd_open(2) does for us.
func (p Procfs) samePIDs() bool { return p.isLive() && proc.SamePIDs(p.Dir) }

// checkNumber refuses a PID that somebody named where it may be two processes: one
// by the /proc in use, as ps(1) shows it, and one by our own PID namespace, as a
// shell's $! does. Below another root it is that one's.
func (r Ref) checkNumber(p Procfs) error {
	if r.Kind != RefProcess || r.Word == "init" || !p.root.Own() || !p.isLive() || p.samePIDs() {
		return nil
	}
	return fmt.Errorf("%s may be two processes: the numbers of %s are those of another PID namespace than ours (pid_namespaces(7)); mount one of our own there (unshare --mount-proc does), or name it by a namespace or cgroup: %w", r.Word, p.Dir, unix.EXDEV)
}

// openRefFile opens the namespace that a word names by its file. The caller
// closes the descriptor.
func openRefFile(r Ref, root string) (int, ID, error) {
	if r.Kind == RefFile { // the caller's own, whatever is scanned
		at, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, ID{}, fmt.Errorf("opening the namespace file: %w", &os.PathError{Op: "open", Path: r.Path, Err: err})
		}
		return openNamespaceFile(at, r.Path)
	}
	at, path := openNetns(root, r.Path)
	switch {
	case at >= 0:
		return openNamespaceFile(at, path)
	case r.Kind == RefName:
		return -1, ID{}, notFoundf("%q names nothing: there is no network namespace of that name in /run/netns; other things go by PID (5151), namespace (net:[4026531840]), file (/run/netns/…) or cgroup (cgroup:/…)", r.Path)
	}
	return -1, ID{}, notFoundf("no network namespace %q in /run/netns: ip netns list shows those that ip-netns(8) knows", r.Path)
}

// openNamespaceFile opens for reading what an O_PATH descriptor is of, which must
// be a namespace, and closes the descriptor.
func openNamespaceFile(at int, path string) (int, ID, error) {
	defer unix.Close(at)
	fd, id, err := reopenNamespace(at)
	if errors.Is(err, errNoNamespace) {
		return -1, ID{}, fmt.Errorf("%s is no namespace file: %s", path, whatItIs(at, path))
	}
	if err != nil {
		return -1, ID{}, fmt.Errorf("%s is no namespace file: %w", path, err)
	}
	return fd, id, nil
}

// whatItIs describes a file that is no namespace's.
func whatItIs(fd int, path string) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err.Error()
	}
	kind := "a special file"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		kind = "a regular file"
		if strings.HasSuffix(filepath.Dir(path), "/run/netns") {
			kind = "a regular file, whose bind mount was undone or was made in another mount namespace"
		}
	case unix.S_IFDIR:
		kind = "a directory"
	case unix.S_IFIFO:
		kind = "a FIFO"
	case unix.S_IFSOCK:
		kind = "a socket"
	case unix.S_IFBLK, unix.S_IFCHR:
		kind = "a device"
	}
	return "it is " + kind
}
