package enter

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// Caller is who a command is before it is in a new user namespace, and what
// there is to be mapped: the Outside of Unshare's maps are these ids.
type Caller struct {
	UID, GID   uint32
	UIDs, GIDs inspect.IDMap // nil: not known
	// Joined says that it is not us: a user namespace is joined first.
	Joined bool
}

// CallerOf is who makes new namespaces after those of the requests are joined.
func CallerOf(ctx context.Context, requests []Request) (Caller, error) {
	c := Caller{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	var p Plan
	defer p.Close()
	var user *inspect.Target
	for _, r := range requests {
		if r.Type == inspect.User {
			user = r.Target
		}
	}
	if user != nil {
		if err := p.add(Request{inspect.User, user}); err != nil {
			return c, err
		}
	}
	if !p.WillJoin(inspect.User) {
		var err error
		if c.UIDs, err = inspect.OwnIDMap("uid_map"); err == nil {
			c.GIDs, err = inspect.OwnIDMap("gid_map")
		}
		if errors.Is(err, os.ErrNotExist) { // a kernel without user namespaces
			err = nil
		}
		return c, err
	}
	if user.PID == 0 {
		user = nil
	}
	if err := p.chooseInside(user); err != nil {
		return c, err
	}
	c.Joined, c.UIDs, c.GIDs = true, p.ids.uids, p.ids.gids
	if p.ids.uid != nil {
		c.UID = *p.ids.uid
	}
	if p.ids.gid != nil {
		c.GID = *p.ids.gid
	}
	return c, nil
}

// betweenSteps become who may make a user namespace in the one that was joined:
// its owner's ids have to exist there (create_user_ns in kernel/user_namespace.c).
func (p *Plan) betweenSteps(prog *launcher.Program) {
	if !p.between.any() {
		return
	}
	p.between.steps(prog)
	if unix.Geteuid() != 0 {
		// A change of ids gives /proc/PID to root, and we have to write in it.
		prog.Prctl("prctl(PR_SET_DUMPABLE)", unix.PR_SET_DUMPABLE, launcher.Int(1))
	}
}

// userNS is the file of the user namespace that is joined, nil if none is.
func (p *Plan) userNS() *os.File {
	if i := p.index(inspect.User); i >= 0 {
		return p.Joins[i].file
	}
	return nil
}

// writeMapsWithin writes the id maps from within the user namespace that was
// joined, by another helper: only its processes and the new one's may
// (proc_uid_map_write in kernel/user_namespace.c).
func (n *Unshare) writeMapsWithin(ctx context.Context, userns *os.File, pid int) error {
	prog := &launcher.Program{}
	prog.Setns("joining the user namespace to write the id maps", prog.File(userns), unix.CLONE_NEWUSER)
	dir := fmt.Sprintf("/proc/%d/", pid)
	if n.Setgroups != "" {
		_, write := prog.WriteFile(dir+"setgroups", n.Setgroups)
		write.Explain(onErrno(unix.EPERM, setgroupsDenied, nil))
	}
	for _, m := range []struct {
		file string
		ids  inspect.IDMap
	}{{"gid_map", n.GIDs}, {"uid_map", n.UIDs}} {
		if len(m.ids) > 0 {
			_, write := prog.WriteFile(dir+m.file, mapText(m.ids))
			write.Explain(because(func(unix.Errno) (string, error) {
				return "the ids must not overlap, and those outside must exist in the user namespace that was joined", nil
			}))
		}
	}
	prog.Exit(0)
	process, err := launcher.Start(ctx, prog, launcher.Attr{Argv: []string{"nsx"}, Way: launcher.Memfd})
	if err != nil {
		return err
	}
	_, err = process.Wait()
	return err
}
