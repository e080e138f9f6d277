package enter

import (
	"context"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// takeEnvironment takes the target's environment for a command that is its code,
// with the terminal's type, which is ours. A command of another user than the
// target's gets a new one: PATH, LD_PRELOAD and the like choose what is run.
func (p *Plan) takeEnvironment(ctx context.Context, t *inspect.Target, s inspect.Status) error {
	if p.options.OwnEnv {
		return nil
	}
	term, hasTerm := os.LookupEnv("TERM")
	own, err := p.asTarget(t, s)
	if err != nil {
		return err
	}
	if !own {
		p.environ = []string{"PATH=" + launcher.DefaultPath, "HOME=/"}
		if hasTerm {
			p.environ = append(p.environ, "TERM="+term)
		}
		p.newEnv = true
		return nil
	}
	environ, err := t.Environ(ctx)
	if err != nil && t.Exiting() {
		return exited("reading the environment of "+t.Name(), unix.ESRCH)
	}
	if err != nil {
		return &Error{What: "reading the environment of " + t.Name() + ", which the command is to have", Err: err, Reason: ErrEnvironment}
	}
	p.environ = slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, "TERM=") })
	if hasTerm {
		p.environ = append(p.environ, "TERM="+term)
	}
	return nil
}

// asTarget says that the command is of the target's user and group, who are also
// all that the target itself is: a set-user-ID program has somebody else's
// environment.
func (p *Plan) asTarget(t *inspect.Target, s inspect.Status) (bool, error) {
	for _, id := range []struct {
		file string
		own  int
		to   *uint32
		is   [4]uint32
	}{{"uid_map", unix.Geteuid(), p.ids.uid, s.UIDs}, {"gid_map", unix.Getegid(), p.ids.gid, s.GIDs}} {
		want := uint32(id.own)
		if id.to != nil {
			want = *id.to
		}
		if id.to != nil && p.WillJoin(inspect.User) {
			m, err := t.IDMap(id.file)
			if err != nil {
				return false, explainOpen("the id maps", t, err)
			}
			outside, ok := m.Outside(want)
			if !ok {
				return false, nil
			}
			want = outside
		}
		if id.is != [4]uint32{want, want, want, want} {
			return false, nil
		}
	}
	return true, nil
}
