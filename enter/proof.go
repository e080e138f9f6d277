package enter

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/internal/proc"
	"nsx/internal/words"
)

// proving is what is done to the command before it runs.
const proving = "looking at the command from outside"

// proof is what the process of a command that is the target's own code has to be
// before it runs, compared with what /proc says of it. Nothing that the process
// itself says counts: a seccomp filter can make system calls return 0 that have
// done nothing.
type proof struct {
	p        *Plan
	own      inspect.Status
	inodes   [inspect.TypeLen][]uint64 // of its namespaces; several: any of them
	terminal uint64                    // device number of its controlling terminal, 0: none
	wrong    []string
}

// newProof makes the proof. The files are the command's.
func (c *Cmd) newProof(ctx context.Context, files []*os.File) (*proof, error) {
	p := c.plan
	x := &proof{p: p}
	self, err := inspect.Resolve(ctx, "self")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	if x.own, err = self.Status(); err != nil {
		return nil, err
	}
	for _, t := range inspect.Types {
		var own unix.Stat_t
		i := p.index(t)
		if i >= 0 {
			x.inodes[t] = append(x.inodes[t], p.Joins[i].ID.Inode)
		}
		if i >= 0 && (!p.options.NoFork || t != inspect.PID && t != inspect.Time) {
			continue
		}
		if err := unix.Stat("/proc/thread-self/ns/"+t.String(), &own); err == nil { // or the kernel has no such type
			x.inodes[t] = append(x.inodes[t], own.Ino)
		}
	}
	if c.terminal != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(files[*c.terminal].Fd()), &st); err != nil {
			return nil, os.NewSyscallError("fstat", err)
		}
		x.terminal = st.Rdev
	}
	return x, nil
}

// check compares. The process is stopped, or waits for our answer, so it is not
// reaped and its number is its own. tracer is the thread of ours that traces it
// after its execve, 0 if none does and the execve is still to come.
func (x *proof) check(ctx context.Context, pid, tracer int) error {
	process, err := inspect.Resolve(ctx, strconv.Itoa(pid))
	if err != nil {
		return fmt.Errorf("%s: %w", proving, err)
	}
	defer process.Close()
	for _, look := range []func(*inspect.Target) error{
		func(t *inspect.Target) error { return x.status(t, tracer) }, x.session, x.namespaces, x.cgroups,
		func(t *inspect.Target) error { return x.label(t, tracer) },
	} {
		if err = look(process); err != nil {
			break
		}
	}
	switch {
	case err == nil && len(x.wrong) == 0:
		return nil
	case process.Exiting():
		// Of one that is killed, as with its PID namespace, v1 says that it is in the root
		// (proc_cgroup_show in kernel/cgroup/cgroup.c), and what it had is gone.
		return fmt.Errorf("%s: it was killed meanwhile: %w", proving, unix.ESRCH)
	case err != nil:
		return fmt.Errorf("%s: %w", proving, err)
	}
	return refused(nil, proving, unix.EPERM,
		fmt.Sprintf("it is not what was planned and was killed before its first instruction: %s: a seccomp filter of the target may have faked system calls", strings.Join(x.wrong, "; ")))
}

// want notes what is not as it should be.
func (x *proof) want(ok bool, format string, args ...any) {
	if !ok {
		x.wrong = append(x.wrong, fmt.Sprintf(format, args...))
	}
}

func (x *proof) status(t *inspect.Target, tracer int) error {
	s, err := t.Status()
	if err != nil {
		return err
	}
	p, r := x.p, x.p.rights
	gains := tracer != 0 && !r.noNewPrivs && gainsByFile(t)
	for _, id := range []struct {
		name, file string
		is, own    [4]uint32
		planned    *uint32
	}{{"Uid", "uid_map", s.UIDs, x.own.UIDs, p.ids.uid}, {"Gid", "gid_map", s.GIDs, x.own.GIDs, p.ids.gid}} {
		want := id.own
		if id.planned != nil {
			// The map is the kernel's, and is written once.
			m, err := t.IDMap(id.file)
			if err != nil {
				return err
			}
			outside, ok := m.Outside(*id.planned)
			x.want(ok, "%s %d is not in its %s", id.name, *id.planned, id.file)
			want = [4]uint32{outside, outside, outside, outside}
		}
		if gains {
			want[1], want[2], want[3] = id.is[1], id.is[2], id.is[3]
		}
		x.want(id.is == want, "%s is %d, not %d", id.name, id.is, want)
	}
	x.groups(s.Groups)
	permitted := p.permitted(tracer == 0)
	if gains {
		permitted = r.bounding
	}
	for _, set := range []struct {
		name   string
		is, at uint64
	}{
		{"CapBnd", s.Bounding, r.bounding},
		{"CapPrm", s.Permitted, permitted},
		{"CapEff", s.Effective, s.Permitted},
		{"CapInh", s.Inheritable, p.kept},
		{"CapAmb", s.Ambient, p.kept},
	} {
		x.want(set.is&^set.at == 0, "%s is %016x, more than %016x", set.name, set.is, set.at)
	}
	x.want(s.NoNewPrivs || !r.noNewPrivs, "no_new_privs is not set")
	if s.Filters >= 0 {
		filters := max(x.own.Filters, 0) + len(r.filters)
		x.want(s.Filters == filters, "it has %s, not %d", words.Count(s.Filters, "seccomp filter", "seccomp filters"), filters)
	}
	x.want(s.PPID == os.Getpid(), "its parent is %d, not %d", s.PPID, os.Getpid())
	x.want(tracer == 0 || s.Tracer == tracer, "it is traced by %d, not by %d", s.Tracer, tracer)
	return nil
}

// groups are none, or as many of our own as we have no right to drop.
func (x *proof) groups(groups []uint32) {
	for _, g := range groups {
		x.want(!x.p.dropsGroups() && slices.Contains(x.own.Groups, g), "it has the supplementary group %d", g)
	}
}

// gainsByFile says that the program that was executed gives other ids or
// capabilities than the process had: a set-user-ID or set-group-ID program, or
// one with file capabilities (execve(2), capabilities(7)).
func gainsByFile(t *inspect.Target) bool {
	exe, err := t.Open("exe", unix.O_PATH)
	if err != nil {
		return false
	}
	defer exe.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(exe.Fd()), &st); err != nil {
		return false
	}
	n, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()), "security.capability", nil)
	return st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 || err == nil && n > 0
}

// session looks at what proc_pid_stat(5) calls session and tty_nr.
func (x *proof) session(t *inspect.Target) error {
	text, err := t.ReadFile("stat")
	if err != nil {
		return err
	}
	st, err := proc.ParseStat(text)
	if err != nil {
		return err
	}
	x.want(st.Session == t.PID, "its session is %d, not its own", st.Session)
	x.want(uint64(st.Terminal) == x.terminal, "its terminal is %#x, not %#x", st.Terminal, x.terminal)
	return nil
}

func (x *proof) namespaces(t *inspect.Target) error {
	for _, typ := range inspect.Types {
		if len(x.inodes[typ]) == 0 {
			continue
		}
		file, id, err := t.OpenNamespace(typ)
		if err != nil {
			return err
		}
		file.Close()
		x.want(slices.Contains(x.inodes[typ], id.Inode), "it is in %s, not %s:%d", id, typ, x.inodes[typ])
	}
	return nil
}

// cgroups looks whether it is in all groups of the target that it was to be in.
func (x *proof) cgroups(t *inspect.Target) error {
	if len(x.p.memberships) == 0 {
		return nil
	}
	text, err := t.ReadFile("cgroup")
	if err != nil {
		return err
	}
	is, err := cgroupfs.ParseMemberships(text)
	if err != nil {
		return err
	}
	for _, m := range x.p.memberships {
		in := slices.ContainsFunc(is, func(o cgroupfs.Membership) bool { return o.Hierarchy == m.Hierarchy && o.Path == m.Path })
		x.want(in, "it is not in the target's cgroup %s", m.Path)
	}
	return nil
}

// label looks whether it has the target's. Before its execve it has ours yet.
func (x *proof) label(t *inspect.Target, tracer int) error {
	l := x.p.rights.label
	if l == nil || tracer == 0 {
		return nil
	}
	text, err := t.ReadFile(l.file)
	if err != nil {
		return err
	}
	is := shownLabel(string(text))
	x.want(is == l.shown, "its label is %q, not %q", is, l.shown)
	return nil
}
