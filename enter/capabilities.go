package enter

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/linux"
)

// withoutDevices takes CAP_MKNOD away, which is harmless only below a group that
// says which devices may be opened.
func (r *rights) withoutDevices() { r.bounding &^= 1 << unix.CAP_MKNOD }

// dropsGroups says that we have the right to drop our supplementary groups.
func (p *Plan) dropsGroups() bool { return linux.HasCapability(unix.CAP_SETGID) }

// asRoot says that the command's user is root of its user namespace, whom execve(2)
// gives capabilities.
func (p *Plan) asRoot() bool {
	if p.ids.uid != nil {
		return *p.ids.uid == 0
	}
	return unix.Geteuid() == 0
}

// permitted is the permitted set of the command or, before it is executed, of the
// process that will be it.
func (p *Plan) permitted(before bool) uint64 {
	r := p.rights
	if !p.asRoot() {
		return p.kept
	}
	set := r.bounding
	if before || r.noNewPrivs {
		set &= p.ours()
	}
	if r.noNewPrivs {
		// Under no_new_privs execve(2) adds nothing (cap_bprm_creds_from_file in
		// security/commoncap.c): what the target has dropped it cannot have again.
		set &= r.permitted
	}
	return set
}

// ours is the permitted capabilities that we have where the command will be.
func (p *Plan) ours() uint64 {
	if p.WillJoin(inspect.User) {
		return launcher.AllCapabilities() // user_namespaces(7)
	}
	return linux.PermittedCapabilities()
}

// chooseCaps chooses the capabilities that KeepCaps keeps. In a user namespace
// that is joined or made one has all of them (user_namespaces(7)).
func (p *Plan) chooseCaps() {
	if !p.options.KeepCaps {
		return
	}
	p.kept = linux.PermittedCapabilities()
	if p.WillJoin(inspect.User) || p.options.Unshare.has(inspect.User) {
		p.kept = launcher.AllCapabilities()
	}
	if r := p.rights; r != nil {
		p.kept &= r.bounding
		if r.noNewPrivs {
			p.kept &= r.permitted // it can have no others again
		}
	}
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
