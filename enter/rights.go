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
	noNewPrivs bool
	label      *label
	filters    [][]byte // of seccomp(2), the oldest first
	unfiltered error    // why they are missing although the target has some
}

// label is the target's label of a security module, and where it is written to
// take effect at the next execve.
type label struct {
	path, text string
}

// chooseRights limits a command that is the target's own code to the rights of
// the process whose mount namespace it is, whoever else is named: that process
// had the files written that are run. mnt is nil if a namespace is named.
func (p *Plan) chooseRights(mnt *inspect.Target) error {
	i := p.index(inspect.Mnt)
	if i < 0 || p.options.Privileged {
		return nil
	}
	join := p.Joins[i]
	if mnt == nil {
		var err error
		if mnt, err = resident(join.ID); err != nil {
			return fmt.Errorf("looking for a process in %s, whose rights the command is to have: %w", join.ID, err)
		}
		if mnt != nil {
			defer mnt.Close()
		}
	}
	if err := p.checkHome(join, mnt); err != nil || mnt == nil {
		return err
	}
	status, err := mnt.Status()
	if err != nil {
		return explainOpen("the status", mnt, err)
	}
	p.rights = &rights{of: mnt.Name(), bounding: status.Bounding, noNewPrivs: status.NoNewPrivs, label: labelOf(mnt)}
	if status.Seccomp != 0 && !p.options.NoSeccomp {
		p.rights.filters, p.rights.unfiltered = filtersOf(mnt)
	}
	return nil
}

// filtersOf reads the target's seccomp filters.
func filtersOf(t *inspect.Target) ([][]byte, error) {
	if t.PIDFD() < 0 {
		return nil, fmt.Errorf("its PID is another in our PID namespace: %w", errors.ErrUnsupported)
	}
	tid := t.PID
	if t.TID != 0 {
		tid = t.TID
	}
	return linux.SeccompFilters(tid, t.Alive)
}

// filtered says that the command is under seccomp filters of the target.
func (p *Plan) filtered() bool { return p.rights != nil && len(p.rights.filters) > 0 }

// Unfiltered says why the command will run without the seccomp filters that the
// target has; nil if it will have them, if there are none, or if they were not
// to be had. Only root may read a process's filters: for others it is EACCES.
func (p *Plan) Unfiltered() error {
	if p.rights == nil || p.rights.unfiltered == nil {
		return nil
	}
	return p.rights.explainUnfiltered()
}

func (r *rights) explainUnfiltered() error {
	why := ""
	switch err := r.unfiltered; {
	case errors.Is(err, unix.EACCES):
		why = "it takes CAP_SYS_ADMIN, in the initial user namespace and without a filter of our own"
	case errors.Is(err, unix.EPERM):
		why = "something traces it already, such as a debugger, or ptrace(2) is forbidden (kernel.yama.ptrace_scope)"
	case errors.Is(err, unix.ETIMEDOUT):
		why = "it does not stop to have them read: it is frozen, or in uninterruptible sleep"
	case errors.Is(err, unix.EINVAL):
		why = "this kernel is built without CONFIG_CHECKPOINT_RESTORE"
	case errors.Is(err, unix.EMEDIUMTYPE):
		why = "they are not of classic BPF"
	}
	return explained("reading the seccomp filters of "+r.of+", without which the command runs", r.unfiltered, why)
}

// resident is a process in the namespace, nil if there is none.
func resident(id inspect.ID) (*inspect.Target, error) {
	s, err := inspect.Scan(context.Background(), inspect.Options{})
	if err != nil {
		return nil, err
	}
	t, err := s.Pin(id, inspect.Options{})
	switch {
	case errors.Is(err, inspect.ErrNotFound):
		return nil, nil
	case err == nil && t.PID == 0:
		return nil, t.Close()
	}
	return t, err
}

// checkHome refuses to run code of another user namespace in ours. A process
// has whatever bounding set it likes in one of its own (user_namespaces(7)), and
// the same set is worth everything here. mnt is nil if no process is known.
func (p *Plan) checkHome(join Join, mnt *inspect.Target) error {
	var own unix.Stat_t
	err := unix.Stat("/proc/thread-self/ns/user", &own)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // a kernel without user namespaces
	case err != nil:
		return fmt.Errorf("looking at our own user namespace: %w", err)
	}
	var home inspect.ID
	if mnt == nil {
		o, err := ownerOf(join.file)
		if err != nil {
			return nil //nolint:nilerr // it is one above ours: joining will be refused
		}
		home = o.id
	} else {
		file, id, err := mnt.OpenNamespace(inspect.User)
		if err != nil {
			return explainOpen("the user namespace", mnt, err)
		}
		file.Close()
		home = id
	}
	joined := slices.ContainsFunc(p.Joins, func(j Join) bool { return j.ID == home })
	if home.Inode == own.Ino || joined {
		return nil
	}
	return &Error{text: fmt.Sprintf("joining %s of %s without %s: its programs have rights only in that user namespace, and would have ours: join it too (-U, or --user with the same target), or give them our rights with --privileged",
		join.ID, join.From, home)}
}

// labelOf reads the label that AppArmor or SELinux gave the process; nil if
// there is none. AppArmor's reads "docker-default (enforce)" and is set by
// writing "exec docker-default"; SELinux's is a context, set as it is
// (Documentation/userspace-api/lsm.rst, apparmor_parser(8)).
func labelOf(t *inspect.Target) *label {
	text, err := t.ReadFile("attr/apparmor/current")
	path := "/proc/self/attr/apparmor/exec"
	if err != nil {
		// Before Linux 5.1, or another module's.
		if text, err = t.ReadFile("attr/current"); err != nil {
			return nil // EINVAL: no module has labels
		}
		path = "/proc/self/attr/exec"
	}
	return parseLabel(path, string(text))
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
	if r != nil && r.label != nil {
		p.WriteFile(r.label.path, r.label.text)
	}
}

// explain makes the error of a step of before one that says why; nil if it is
// none of those.
func (r *rights) explain(step *launcher.StepError) error {
	if r == nil || r.label == nil || !strings.HasSuffix(step.Step, r.label.path) {
		return nil
	}
	why := "the policy does not let nsx start it so"
	name, apparmor := strings.CutPrefix(r.label.text, "exec ")
	switch {
	case strings.HasPrefix(step.Step, "open "):
		why = "nsx has to write its label there before it joins anything"
	case apparmor && step.Errno == unix.ENOENT:
		why = "AppArmor has no such profile, or none that nsx can see from its policy namespace"
	case apparmor && step.Errno == unix.EACCES:
		if own, err := os.ReadFile("/proc/self/attr/apparmor/current"); err == nil {
			why = fmt.Sprintf("nsx itself is confined by %q, which needs the rule: change_profile -> %q", strings.TrimRight(string(own), "\x00\n"), name)
		}
	}
	return explained(fmt.Sprintf("taking on the label of %s (%s)", r.of, step.Step), step.Errno,
		why+"; with --privileged the command keeps nsx's label")
}

// steps gives up what is beyond the rights. A root's execve takes what is
// inheritable past the bounding set (capabilities(7)): so that is emptied too.
func (r *rights) steps(p *launcher.Program) {
	if r == nil {
		return
	}
	p.BoundingSet(r.bounding)
	p.AmbientSet(0)
	p.ClearInheritable()
	if r.noNewPrivs {
		p.NoNewPrivileges()
	}
	for _, filter := range r.filters {
		p.Seccomp(filter)
	}
}
