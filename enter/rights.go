package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// rights is what a command that is the target's own code may do at the most.
type rights struct {
	of         string
	bounding   uint64
	permitted  uint64
	noNewPrivs bool
	label      *label
	filters    [][]byte // of seccomp(2), the oldest first
}

// label is the target's label of a security module, and where it is written to
// take effect at the next execve.
type label struct {
	path, text string
}

// chooseRights limits a command that is the target's own code to the rights of
// the process whose mount namespace or root it is, whoever else is named: that
// process had the files written that are run. of is the process if only its root
// is entered; mnt is nil if a namespace is named.
func (p *Plan) chooseRights(ctx context.Context, of, mnt *inspect.Target) error {
	if !p.Untrusted() {
		return nil
	}
	if err := p.refuseUnsafe(); err != nil {
		return err
	}
	if mnt == nil && !p.WillJoin(inspect.Mnt) {
		mnt = of
	}
	if mnt == nil {
		join := p.Joins[p.index(inspect.Mnt)]
		var err error
		if mnt, err = resident(ctx, join.ID); err != nil {
			return fmt.Errorf("looking for a process in %s, whose rights the command is to have: %w", join.ID, err)
		}
		if mnt == nil {
			return refused(ErrUnsafe, fmt.Sprintf("entering %s of %s", join.ID, join.From), unix.ESRCH, "no process is in it, whose rights its programs could be given")
		}
		defer mnt.Close()
	}
	if p.index(inspect.PID) < 0 {
		// In our PID namespace its programs would see, signal and trace our
		// processes.
		if err := p.add(Request{inspect.PID, mnt}); err != nil {
			return err
		}
		if i := p.index(inspect.PID); i >= 0 {
			p.Joins[i].added = true
		}
		p.sortJoins()
	}
	if p.options.NoFork && p.WillJoin(inspect.PID) {
		return refused(ErrUnsafe, "the command is the target's own code", unix.EPERM, "without a fork it would be in our PID namespace, where it sees and signals processes that are not the target's")
	}
	if mnt.PIDFD() < 0 {
		return refused(ErrUnsafe, "entering "+mnt.Name(), unix.ESRCH, "the /proc here is another PID namespace's than ours, so that the command cannot be looked at from outside before it runs: mount a /proc of ours")
	}
	if err := p.takeRights(ctx, mnt); err != nil {
		return err
	}
	return p.checkHome(mnt)
}

// takeRights reads what the command takes over from the target. That is before
// checkHome: nobody comes back from a child user namespace, so what was read of a
// process that is still in its user namespace is worth what it is worth there.
func (p *Plan) takeRights(ctx context.Context, t *inspect.Target) error {
	status, err := t.Status()
	if err != nil {
		return explainOpen("the status", t, err)
	}
	own, err := ownBounding(ctx)
	if err != nil {
		return err
	}
	if p.WillJoin(inspect.User) {
		own = launcher.AllCapabilities()
	}
	r := &rights{of: t.Name(), bounding: status.Bounding & own, permitted: status.Permitted, noNewPrivs: status.NoNewPrivs}
	p.rights = r
	if err := p.takeIDs(t, status); err != nil {
		return err
	}
	if err := p.withoutNetwork(t); err != nil {
		return err
	}
	if r.label, err = labelOf(t); err != nil {
		return &Error{What: "reading the security label of " + t.Name() + ", which the command is to have", Err: err, Reason: ErrLabel}
	}
	// Before the filters, which a container that v1 has frozen does not stop for.
	if err := p.takeGroups(t); err != nil {
		return err
	}
	if status.Seccomp != 0 && !p.options.NoSeccomp {
		if r.filters, err = filtersOf(ctx, t); err != nil {
			return explainFilters(t, err)
		}
	}
	return p.takeEnvironment(ctx, t, status)
}

// takeIDs makes the target's user and group those of the command, if no others
// are asked for, as docker exec does: its files and environment may be that user's,
// and would choose what runs as another one.
func (p *Plan) takeIDs(t *inspect.Target, s inspect.Status) error {
	if o := &p.options; o.KeepCredentials || o.UID != nil {
		return nil
	}
	for _, id := range []struct {
		file      string
		of        uint32
		to, asked **uint32
	}{{"uid_map", s.UID, &p.ids.uid, &p.options.UID}, {"gid_map", s.GID, &p.ids.gid, &p.options.GID}} {
		if *id.asked != nil {
			continue
		}
		if !p.WillJoin(inspect.User) {
			*id.to = new(id.of)
			continue
		}
		m, err := t.IDMap(id.file)
		if err != nil {
			return explainOpen("the id maps", t, err)
		}
		if inside, ok := m.Inside(id.of); ok {
			*id.to = new(inside)
		}
	}
	return nil
}

// withoutNetwork takes away the capabilities over a network namespace that is not
// the target's own.
func (p *Plan) withoutNetwork(t *inspect.Target) error {
	file, id, err := t.OpenNamespace(inspect.Net)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return explainOpen("the network namespace", t, err)
	}
	defer file.Close()
	same := false
	if i := p.index(inspect.Net); i >= 0 {
		same = p.Joins[i].ID == id
	} else if own, err := ownNamespace(inspect.Net); err == nil {
		theirs, err := file.Stat()
		same = err == nil && os.SameFile(own, theirs)
	}
	if !same {
		for _, c := range []int{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_BROADCAST} {
			p.rights.bounding &^= 1 << c
		}
	}
	return nil
}

// ownBounding is our own bounding set.
func ownBounding(ctx context.Context) (uint64, error) {
	self, err := inspect.Resolve(ctx, "self")
	if err != nil {
		return 0, err
	}
	defer self.Close()
	s, err := self.Status()
	return s.Bounding, err
}

// filtersOf reads the target's seccomp filters.
func filtersOf(ctx context.Context, t *inspect.Target) ([][]byte, error) {
	tid := t.PID
	if t.TID != 0 {
		tid = t.TID
	}
	return linux.SeccompFilters(ctx, tid, t.Alive)
}

// filtered says that the command is under seccomp filters of the target.
func (p *Plan) filtered() bool { return p.rights != nil && len(p.rights.filters) > 0 }

// explainFilters says why the filters of a target cannot be read. The command does
// not run without them: a target that lets itself be traced or frozen would
// otherwise choose that it does.
func explainFilters(t *inspect.Target, err error) error {
	why := ""
	switch {
	case errors.Is(err, unix.EACCES):
		why = "it takes CAP_SYS_ADMIN, in the initial user namespace and without a filter of our own"
	case errors.Is(err, unix.EPERM):
		why = "something traces it already, such as a debugger, or ptrace(2) is forbidden (kernel.yama.ptrace_scope)"
	case errors.Is(err, unix.ETIMEDOUT):
		why = "it does not stop to have them read: it is in uninterruptible sleep"
		if by, thaw := frozenBy(t); by != "" {
			why = by + " is frozen, and it does not stop to have them read: thaw it (" + thaw + ")"
		}
	case errors.Is(err, unix.EINVAL):
		why = "this kernel is built without CONFIG_CHECKPOINT_RESTORE, or the target is in strict mode"
	case errors.Is(err, unix.EMEDIUMTYPE):
		why = "they are not of classic BPF"
	case errors.Is(err, unix.ESRCH):
		return exited("reading the seccomp filters of "+t.Name(), err)
	}
	return &Error{What: "reading the seccomp filters of " + t.Name() + ", under which the command has to run", Err: err, Why: why, Reason: ErrUntraceable}
}

// resident is a process in the namespace, nil if there is none.
func resident(ctx context.Context, id inspect.ID) (*inspect.Target, error) {
	s, err := inspect.Scan(ctx, inspect.Options{})
	if err != nil {
		return nil, err
	}
	t, err := inspect.Machine{}.Pin(ctx, s, id)
	switch {
	case errors.Is(err, inspect.ErrGone):
		return nil, nil
	case err == nil && t.PID == 0:
		return nil, t.Close()
	}
	return t, err
}

// checkHome looks whether the target is still in the namespaces that were opened,
// and refuses to run code of another user namespace in ours: a process has
// whatever bounding set it likes in one of its own (user_namespaces(7)), and the
// same set is worth everything here.
func (p *Plan) checkHome(t *inspect.Target) error {
	home, file, err := p.homeOf(t)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	i := p.index(inspect.Mnt)
	if i < 0 {
		return nil
	}
	join := p.Joins[i]
	now, id, err := t.OpenNamespace(inspect.Mnt)
	if err != nil {
		return explainOpen("the mount namespace", t, err)
	}
	now.Close()
	if id != join.ID {
		return ErrMoved
	}
	// unshare(2) switches the mount namespace before the credentials, with an RCU
	// grace period in between (ksys_unshare in kernel/fork.c). So the mount
	// namespace has to belong to that user namespace or to one above it.
	owner, err := ownerOf(join.file)
	if err != nil {
		return nil //nolint:nilerr // EPERM: it is one above ours, and joining will be refused
	}
	return ownedFromAbove(owner.id, home, file)
}

// homeOf opens the user namespace that the target is in, which has to be ours or
// joined. The file is nil where the kernel has none.
func (p *Plan) homeOf(t *inspect.Target) (inspect.ID, *os.File, error) {
	own, err := ownNamespace(inspect.User)
	switch {
	case errors.Is(err, unix.ENOENT):
		return inspect.ID{}, nil, nil
	case err != nil:
		return inspect.ID{}, nil, err
	}
	file, home, err := t.OpenNamespace(inspect.User)
	if err != nil {
		return inspect.ID{}, nil, explainOpen("the user namespace", t, err)
	}
	theirs, err := file.Stat()
	i := p.index(inspect.User)
	switch {
	case err != nil:
	case i >= 0 && p.Joins[i].ID == home, i < 0 && os.SameFile(own, theirs):
		return home, file, nil
	case p.asked(inspect.User, t):
		err = ErrMoved
	default:
		err = refused(ErrUserNamespace, fmt.Sprintf("running programs of %s without %s", t.Name(), home), unix.EPERM,
			"they have rights only in that user namespace, and would have ours: join it too")
	}
	file.Close()
	return home, nil, err
}

// asked says that the target's namespace of a type was requested.
func (p *Plan) asked(typ inspect.Type, t *inspect.Target) bool {
	return slices.ContainsFunc(p.Joins, func(j Join) bool { return j.ID.Type == typ && j.From == t.Name() }) ||
		slices.ContainsFunc(p.Skipped, func(s Skip) bool { return s.ID.Type == typ && s.From == t.Name() })
}

// ownedFromAbove says whether a user namespace, the owner, is the one that is
// open as home or one above it.
func ownedFromAbove(owner, home inspect.ID, file *os.File) error {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	for at := home.Inode; err == nil; {
		if at == owner.Inode {
			unix.Close(fd)
			return nil
		}
		var up int
		up, err = linux.NSParent(fd)
		unix.Close(fd)
		if err == nil {
			fd = up
			var st unix.Stat_t
			err = unix.Fstat(fd, &st)
			at = st.Ino
		}
	}
	return ErrMoved
}

// labelOf reads the label that AppArmor or SELinux gave the process; nil if
// there is none. AppArmor's reads "docker-default (enforce)" and is set by
// writing "exec docker-default"; SELinux's is a context, set as it is
// (Documentation/userspace-api/lsm.rst, apparmor_parser(8)).
func labelOf(t *inspect.Target) (*label, error) {
	text, err := t.ReadFile("attr/apparmor/current")
	path := "/proc/self/attr/apparmor/exec"
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		// Before Linux 5.1, or another module's.
		path = "/proc/self/attr/exec"
		text, err = t.ReadFile("attr/current")
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, nil // no module has labels, or the kernel has no modules
	}
	return parseLabel(path, string(text)), err
}

func parseLabel(path, text string) *label {
	text = strings.TrimRight(text, "\x00\n")
	if text == "" || text == "unconfined" || text == "kernel" { // SELinux without a policy
		return nil
	}
	// A profile's name may have blanks and parentheses too.
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") {
		return &label{path, "exec " + text[:i]}
	}
	if strings.Contains(path, "apparmor") {
		return &label{path, "exec " + text}
	}
	return &label{path, text}
}

// before is the steps before a namespace is joined, while /proc is ours.
func (r *rights) before(p *launcher.Program) {
	if r.label == nil {
		return
	}
	open, write := p.WriteFile(r.label.path, r.label.text)
	open.Explain(func(step *launcher.StepError) error {
		return r.withoutLabel(step, "this program has to write its label there before it joins anything")
	})
	write.Explain(func(step *launcher.StepError) error { return r.withoutLabel(step, r.label.explain(step.Errno)) })
}

// withoutLabel is the error of a step of before.
func (r *rights) withoutLabel(step *launcher.StepError, why string) error {
	return &Error{What: fmt.Sprintf("taking on the label of %s (%s)", r.of, step.Step), Err: step.Errno, Why: why, Reason: ErrLabel}
}

// explain says why a label may not be taken on.
func (l *label) explain(errno unix.Errno) string {
	name, apparmor := strings.CutPrefix(l.text, "exec ")
	switch {
	case apparmor && errno == unix.ENOENT:
		return "AppArmor has no such profile, or none that this program can see from its policy namespace"
	case apparmor && errno == unix.EACCES:
		if own, err := os.ReadFile("/proc/self/attr/apparmor/current"); err == nil {
			return fmt.Sprintf("this program itself is confined by %q, which needs the rule: change_profile -> %q", strings.TrimRight(string(own), "\x00\n"), name)
		}
	}
	return "the policy does not let this program start it so"
}
