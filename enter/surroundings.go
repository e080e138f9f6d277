package enter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// environTimeout is how long a target's environment may take to be read: it is
// read from the process's memory, which others can block.
const environTimeout = time.Second

// takeEnvironment takes the target's environment for a command that is its code,
// with the terminal's type, which is ours.
func (p *Plan) takeEnvironment(t *inspect.Target) error {
	if p.options.OwnEnv {
		return nil
	}
	type result struct {
		environ []string
		err     error
	}
	done := make(chan result, 1)
	go func() {
		environ, err := t.Environ()
		done <- result{environ, err}
	}()
	var got result
	select {
	case got = <-done:
	case <-time.After(environTimeout):
		got.err = unix.ETIMEDOUT
	}
	if got.err != nil && t.Exiting() {
		return explained("reading the environment of "+t.Name(), unix.ESRCH, "it has exited")
	}
	if got.err != nil {
		return explained("reading the environment of "+t.Name()+", which the command is to have", got.err, "--own-env gives it ours")
	}
	p.environ = slices.DeleteFunc(got.environ, func(v string) bool { return strings.HasPrefix(v, "TERM=") })
	if term, ok := os.LookupEnv("TERM"); ok {
		p.environ = append(p.environ, "TERM="+term)
	}
	return nil
}

// takeGroups opens the target's cgroups for a command that is its code: they hold
// its devices and limits. Who stays outside must not make device files.
func (p *Plan) takeGroups(t *inspect.Target) error {
	theirs, fs, err := p.groupsOf(t)
	if err != nil {
		return err
	}
	if p.options.OwnCgroup {
		p.rights.withoutDevices()
		// This one is not about accounting.
		theirs = slices.DeleteFunc(theirs, func(m cgroupfs.Membership) bool { return !slices.Contains(m.Controllers, "devices") })
	}
	if err = unmounted(fs, theirs); err == nil {
		p.inside, err = fs.OpenOf(theirs)
	}
	switch {
	case err == nil:
		p.memberships = theirs
		return nil
	case unix.Geteuid() != 0 && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
		p.rights.withoutDevices()
		p.notes = append(p.notes, "the command stays in our own cgroups, without the limits of "+t.Name()+": "+err.Error())
		return nil
	case p.options.OwnCgroup:
		return err
	}
	return &Error{err.Error() + "; --own-cgroup leaves the command in our own cgroups", err}
}

// withoutDevices takes CAP_MKNOD away, which is harmless only below a group that
// says which devices may be opened.
func (r *rights) withoutDevices() { r.bounding &^= 1 << unix.CAP_MKNOD }

// groupsOf reads which cgroups the target is in.
func (p *Plan) groupsOf(t *inspect.Target) ([]cgroupfs.Membership, *cgroupfs.FS, error) {
	text, err := t.ReadFile("cgroup")
	if errors.Is(err, unix.ENOENT) && t.Alive() {
		text, err = nil, nil // a kernel without cgroups
	}
	if err != nil {
		return nil, nil, explainOpen("the cgroups", t, err)
	}
	theirs, err := cgroupfs.ParseMemberships(text)
	if err != nil {
		return nil, nil, err
	}
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	return theirs, fs, err
}

// unmounted refuses memberships in hierarchies that are not to be seen here, and
// in which we are elsewhere.
func unmounted(fs *cgroupfs.FS, theirs []cgroupfs.Membership) error {
	own, err := fs.Memberships(0)
	if err != nil {
		return err
	}
	for _, m := range theirs {
		same := slices.ContainsFunc(own, func(o cgroupfs.Membership) bool { return o.Hierarchy == m.Hierarchy && o.Path == m.Path })
		seen := slices.ContainsFunc(fs.Hierarchies(), func(h cgroupfs.Hierarchy) bool { return h.Holds(m) })
		if !same && !seen {
			return &Error{fmt.Sprintf("joining the cgroup %s of the hierarchy %d (%s): it is not mounted here", m.Path, m.Hierarchy, strings.Join(m.Controllers, ",")), unix.ENOENT}
		}
	}
	return nil
}
