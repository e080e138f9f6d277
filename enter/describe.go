package enter

import (
	"fmt"
	"strings"

	"nsx/inspect"
	"nsx/internal/words"
)

// String is the plan for people, one step a line, in the order in which it is
// carried out.
func (p *Plan) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, s := range p.Skipped {
		line("skip %s of %s: %s", s.ID, s.From, s.Reason)
	}
	if in := p.entrance(); in != nil && in.String() != "" {
		line("start in the cgroups %s", in)
	}
	if p.Untrusted() {
		line("take a new session keyring")
		line("drop the supplementary groups")
	}
	if pidfd, _ := p.oneProcess(); pidfd != nil && !p.Untrusted() {
		line("join at once, by pidfd:")
	}
	for _, j := range p.Joins {
		line("join %s of %s", j.ID, j.From)
	}
	if p.root != nil {
		line("change the root directory to %s", p.rootOf)
	}
	switch {
	case p.options.TargetDir:
		line("change the working directory to that of %s", p.of.name)
	case p.options.Dir != "":
		line("change the working directory to %s", p.options.Dir)
	}
	if p.options.DirInside != "" {
		line("change the working directory to %s, looked up inside", p.options.DirInside)
	}
	p.options.Unshare.describe(line)
	if p.forks() && !p.Untrusted() {
		line("fork, to be in the PID or time namespace")
	}
	if p.options.MountProc {
		line("mount a new /proc, in a mount namespace of its own")
	}
	if p.options.MountSys {
		line("mount a new /sys, in a mount namespace of its own")
	}
	for _, c := range p.covers {
		if c.missing {
			line("skip %s: there is no %s to cover", c.from, c.to)
		} else {
			line("cover %s by %s", c.to, c.from)
		}
	}
	if p.rights != nil {
		line("take the rights of %s: %s", p.rights.of, p.rights)
	}
	if p.ids.dropGroups && !p.Untrusted() {
		line("drop the supplementary groups")
	}
	if p.ids.uid != nil && p.ids.gid != nil {
		line("become uid %d, gid %d", *p.ids.uid, *p.ids.gid)
	} else if p.ids.uid != nil {
		line("become uid %d", *p.ids.uid)
	} else if p.ids.gid != nil {
		line("become gid %d", *p.ids.gid)
	}
	if p.options.KeepCaps {
		line("keep the capabilities %016x", p.kept)
	}
	if p.newEnv {
		line("take a new environment: %s's is another user's", p.rights.of)
	} else if p.environ != nil {
		line("take the environment of %s", p.rights.of)
	}
	if p.Untrusted() {
		line("fork, and look from outside that all of this is so before the command runs")
	}
	return b.String()
}

// describe says which namespaces are made, and how.
func (n *Unshare) describe(line func(format string, args ...any)) {
	if n == nil {
		return
	}
	for _, t := range inspect.Types {
		switch path := n.Bind[t]; {
		case !n.has(t):
		case path != "":
			line("make a new %s namespace, kept by %s", t, path)
		default:
			line("make a new %s namespace", t)
		}
	}
	for _, m := range []struct {
		kind string
		ids  inspect.IDMap
	}{{"users", n.UIDs}, {"groups", n.GIDs}} {
		if len(m.ids) > 0 {
			line("map %s %s", m.kind, m.ids)
		}
	}
	if n.Owner != nil {
		line("make uid %d, gid %d the owner of the user namespace", n.Owner.UID, n.Owner.GID)
	}
	if n.Setgroups != "" {
		line("%s setgroups", n.Setgroups)
	}
	if n.Monotonic != nil {
		line("set the monotonic clock %d s off", *n.Monotonic)
	}
	if n.Boottime != nil {
		line("set the boottime clock %d s off", *n.Boottime)
	}
	if n.MountProc != "" {
		line("mount a new /proc at %s", n.MountProc)
	}
	if n.MountBinfmt != "" {
		line("mount binfmt_misc at %s", n.MountBinfmt)
	}
	for _, interpreter := range n.Interpreters {
		line("register the interpreter %s", interpreter)
	}
}

// String is the rights for people.
func (r *rights) String() string {
	text := fmt.Sprintf("capabilities %016x", r.bounding)
	if r.noNewPrivs {
		text += ", no_new_privs"
	}
	if r.label != nil {
		text += ", label " + r.label.text
	}
	switch n := len(r.filters); {
	case n == 1:
		text += ", 1 seccomp filter"
	case n > 1:
		text += ", " + words.Count(n, "seccomp filter", "seccomp filters")
	}
	return text
}

// String is the plan and the command, one step a line.
func (c *Cmd) String() string {
	var text strings.Builder
	text.WriteString(c.plan.String())
	for _, v := range c.plan.env {
		text.WriteString("set " + v + "\n")
	}
	return text.String() + "run " + strings.Join(c.attr(nil).Argv, " ") + "\n"
}
