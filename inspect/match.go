package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/proc"
	"nsx/internal/words"
)

// Match is what one word names in a snapshot that was made for many: with Options that
// read what the word needs, and AllDetails with Names for it to be a name.
func (m Machine) Match(ctx context.Context, s *Snapshot, r Ref) (Match, error) {
	return m.match(ctx, s, r)
}

// match looks a Ref up in a snapshot that was made with what it needs.
func (m Machine) match(ctx context.Context, s *Snapshot, r Ref) (Match, error) {
	switch r.Kind {
	case RefSelf:
		pid, err := m.self()
		if err != nil {
			return Match{}, err
		}
		return s.matchProcess(Ref{Word: r.Word, PID: pid})
	case RefProcess:
		if err := m.checkNumber(r); err != nil {
			return Match{}, err
		}
		if err := m.checkInode(r); err != nil {
			return Match{}, err
		}
		found, err := s.matchProcess(r)
		if thread := m.checkThread(r); errors.Is(err, ErrGone) && thread != nil {
			err = thread
		} else if errors.Is(err, ErrGone) && s.Hidden != "" {
			err = gonef("%v, or /proc hides it: it is mounted with %s", err, s.Hidden)
		}
		return found, err
	case RefCgroup:
		return s.matchCgroup(r.Path)
	case RefUnit:
		return m.matchUnit(ctx, s, r)
	case RefNamespace:
		if r.KernelID != 0 {
			return s.matchKernelID(r)
		}
		for _, t := range Types {
			if !r.AnyType && t != r.ID.Type {
				continue
			}
			if n := s.Namespace(ID{t, r.ID.Inode}); n != nil {
				return Match{PIDs: n.PIDs, Namespaces: []ID{n.ID()}}, nil
			}
		}
		return Match{}, s.noNamespace(r)
	case RefIdentity:
		return s.matchNames(r, nil)
	case RefName:
		at, _ := openNetns(m.root, r.Path)
		if at < 0 {
			return s.matchNames(r, nil)
		}
		unix.Close(at)
		if found, err := s.matchNames(r, []string{"netns:" + r.Path}); !errors.Is(err, ErrGone) {
			return found, err
		}
	}
	fd, id, err := m.openRefFile(r)
	if err != nil {
		return Match{}, err
	}
	unix.Close(fd)
	n := s.Namespace(id)
	if n == nil {
		return Match{}, gonef("%s is %s, which nothing that the scan looked at holds", r.Word, id)
	}
	return Match{PIDs: n.PIDs, Namespaces: []ID{id}}, nil
}

// matchKernelID is for the id that the kernel never uses again.
func (s *Snapshot) matchKernelID(r Ref) (Match, error) {
	some := false
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		some = some || n.KernelID != nil
		if n.Type == r.ID.Type && n.KernelID != nil && *n.KernelID == r.KernelID {
			return Match{PIDs: n.PIDs, Namespaces: []ID{n.ID()}}, nil
		}
	}
	if !some {
		return Match{}, fmt.Errorf("%s: the ids of namespaces are not known here: this kernel has none (Linux 6.18), or the tree is a captured one: %w", r.Word, unix.ENOTTY)
	}
	return Match{}, s.noNamespace(r)
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
	if r.Word == "host" && p.NS == (NSSet{}) { // kthreadd may be read where PID 1 may not
		for i := range s.Namespaces {
			if n := &s.Namespaces[i]; n.IsInitial() {
				m.Namespaces = append(m.Namespaces, n.ID())
			}
		}
	}
	if len(m.Namespaces) > 0 {
		return m, nil
	}
	if err := s.refusal(p.PID); err != nil {
		if r.TID == 0 {
			err = unseenError{err}
		}
		return Match{}, err
	}
	if r.TID != 0 && r.TID != r.PID {
		return Match{}, gonef("process %d has no thread %d", r.PID, r.TID)
	}
	return Match{}, fmt.Errorf("the namespaces of process %d (%s, state %s) are not known", p.PID, p.Comm, p.State)
}

// unseenError says that a process is there, and its namespaces may not be read.
type unseenError struct{ error }

func (e unseenError) Unwrap() error { return e.error }

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
	m, err := s.matchCgroups("a cgroup "+path, func(group string) bool { return group == path })
	if err == nil {
		return m, nil
	}
	first, below := "", 0
	for i := range s.Processes {
		for _, group := range s.Processes[i].Cgroups {
			if !strings.HasPrefix(group.Path, strings.TrimSuffix(path, "/")+"/") || group.Path == path {
				continue
			}
			if below++; first == "" {
				first = fmt.Sprintf("%d in %s", s.Processes[i].PID, group.Path)
			}
			break
		}
	}
	if below > 0 {
		err = gonef("no process is in a cgroup %s itself: %s in groups below, such as %s", path, words.Count(below, "is", "are"), first)
	}
	return m, err
}

// matchUnit is for those in a unit's group and below it.
func (m Machine) matchUnit(ctx context.Context, s *Snapshot, r Ref) (Match, error) {
	groups, err := m.cgroups()
	if errors.Is(err, fs.ErrNotExist) { // none is mounted, but processes have paths in them
		return s.matchCgroups(r.Word, func(group string) bool { return cgroupfs.InUnit(group, r.Path) })
	}
	if err != nil {
		return Match{}, err
	}
	unit, err := groups.Unit(ctx, r.Path)
	if err != nil {
		return Match{}, err
	}
	return s.matchCgroups("the cgroup of "+r.Word+" ("+unit.Path()+")", func(group string) bool {
		return group == unit.Path() || strings.HasPrefix(group, unit.Path()+"/")
	})
}

func (s *Snapshot) matchCgroups(what string, within func(path string) bool) (Match, error) {
	m := s.matchWhere(func(p *Process) bool {
		return slices.ContainsFunc(p.Cgroups, func(group cgroupfs.Membership) bool { return within(group.Path) })
	})
	if len(m.PIDs) == 0 {
		return m, gonef("no process is in %s", what)
	}
	return m, nil
}

// matchWhere is some processes and all namespaces that they are in.
func (s *Snapshot) matchWhere(wanted func(*Process) bool) (m Match) {
	seen := map[ID]bool{}
	for i := range s.Processes {
		p := &s.Processes[i]
		if !wanted(p) {
			continue
		}
		m.PIDs = append(m.PIDs, p.PID)
		for t, inode := range p.NS {
			if id := (ID{Type(t), inode}); inode != 0 && !seen[id] {
				seen[id] = true
				m.Namespaces = append(m.Namespaces, id)
			}
		}
	}
	return m
}

func (s *Snapshot) noNamespace(r Ref) error {
	hint := ""
	if n := s.UnreadableProcesses(); n > 0 {
		hint = ", or it is among those of " + words.Count(n, "unreadable process", "unreadable processes")
	}
	return gonef("no namespace %s: it is gone%s", r.Word, hint)
}

// checkNumber refuses a PID that somebody named where it may be two processes: one
// by the /proc in use, as ps(1) shows it, and one by our own PID namespace, as a
// shell's $! does. Below another root it is that one's.
func (m Machine) checkNumber(r Ref) error {
	if r.Kind != RefProcess || r.Word == "init" || !m.root.Own() || !m.isLive() || m.samePIDs() {
		return nil
	}
	return fmt.Errorf("%s may be two processes: the numbers of %s are those of another PID namespace than ours (pid_namespaces(7)); mount one of our own there (unshare --mount-proc does), or name it by a namespace or cgroup: %w", r.Word, m.procDir(), unix.EXDEV)
}

// checkThread refuses the number of a thread that is no process's: /proc has a
// directory for it all the same, which it does not list (proc_pid(5)).
func (m Machine) checkThread(r Ref) error {
	if r.Kind != RefProcess || r.TID != 0 {
		return nil
	}
	text, err := m.root.ReadFile("proc/"+strconv.Itoa(r.PID)+"/status", proc.MaxFile)
	if err != nil {
		return nil
	}
	status, err := proc.ParseStatus(string(text))
	if err != nil || status.PID == 0 || status.PID == r.PID {
		return nil
	}
	return aThread(r.PID, status.PID)
}

// checkInode says whether the process that was scanned is the one that is meant. That
// was there before the scan, since somebody knew its number: if it is still there, no
// other can have had its PID.
func (m Machine) checkInode(r Ref) error {
	if r.PIDFDInode == 0 {
		return nil
	}
	pidfd := -1
	if m.samePIDs() {
		var err error
		if pidfd, err = openPIDFD(r.PID); proc.Gone(err) {
			return noProcess(r.PID)
		}
		defer unix.Close(pidfd)
	}
	return r.checkPIDFD(pidfd)
}

// openRefFile opens the namespace that a word names by its file. The caller
// closes the descriptor.
func (m Machine) openRefFile(r Ref) (int, ID, error) {
	if r.Kind == RefFile { // the caller's own, whatever is scanned
		at, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, ID{}, fmt.Errorf("opening the namespace file: %w", &os.PathError{Op: "open", Path: r.Path, Err: err})
		}
		return openNamespaceFile(at, r.Path)
	}
	if at, path := openNetns(m.root, r.Path); at >= 0 {
		return openNamespaceFile(at, path)
	}
	return -1, ID{}, gonef("no network namespace %q in /run/netns: ip netns list shows those that ip-netns(8) knows", r.Path)
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
