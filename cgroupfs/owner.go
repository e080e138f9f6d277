package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/identity"
	"nsx/internal/proc"
)

// Owner is who a group belongs to. Somebody else's is changed only by force:
// its owner would undo it, or come to harm.
type Owner struct {
	// Kind is "root", "self", "user", "systemd", "docker", "podman", "containerd",
	// "nerdctl", "cri-o", "kubernetes", "lxc" and so on, "container" for one whose
	// runtime is not known; or empty if nobody is known to own the group.
	Kind string `json:"kind"`
	// Name is the unit, the container's id, the user's number or the like; empty for
	// a group of the runtime itself.
	Name string `json:"name,omitempty"`
	// Path is the owner's own group: this one, or one above.
	Path string `json:"path,omitempty"`
	// Command is the owner's own way to limit it, or empty; CommandFor has others.
	Command string `json:"command,omitempty"`

	namespace string // containerd's
	user      bool   // a unit of a user's manager
}

// String is for messages: "systemd unit nginx.service".
func (o Owner) String() string {
	switch o.Kind {
	case "":
		return "nobody known"
	case "root":
		return "the root of the hierarchy, which holds the whole machine"
	case "self":
		return "the caller's own group, or one above it"
	case "systemd":
		return "systemd unit " + o.Name
	case "user":
		return "the systemd of user " + o.Name
	case "kubernetes":
		if strings.HasPrefix(o.Name, "kubepods") {
			return "kubernetes"
		}
		return "kubernetes pod " + o.Name
	case "machine":
		return "machine " + o.Name
	case "libvirt":
		return "libvirt domain " + o.Name
	case "container":
		return "container " + o.Name
	}
	if o.Name == "" {
		return o.Kind
	}
	return o.Kind + " container " + o.Name
}

// Owner looks at the path, at what systemd has delegated, and at where the caller
// itself is.
func (g *Group) Owner() Owner {
	if g.path == "/" {
		return Owner{Kind: "root"}
	}
	c, ok := identity.Innermost(g.path)
	if ok && c.Runtime != identity.Systemd {
		return newOwner(c)
	}
	if ok {
		if o, ok := g.unitOwner(c); ok {
			return o
		}
	}
	if o, ok := g.supervisors(); ok {
		return o
	}
	if g.holdsCaller() {
		return Owner{Kind: "self", Path: g.path}
	}
	return g.otherUser()
}

func newOwner(c identity.Claim) Owner {
	o := Owner{Kind: string(c.Runtime), Name: c.Name, Path: c.Path, namespace: c.Namespace}
	o.user = strings.Contains(c.Path, "/user@") && !strings.HasPrefix(c.Name, "user@")
	o.Command = o.CommandFor(VerbSet)
	return o
}

// unitOwner is for the innermost systemd unit in the path. What lies below a
// service or scope is its own only if systemd delegated it; what somebody
// made below a slice is that somebody's.
func (g *Group) unitOwner(c identity.Claim) (Owner, bool) {
	if c.Path != g.path && (identity.IsSlice(c.Name) || g.fs.delegated(c.Path)) {
		return Owner{}, false
	}
	return newOwner(c), true
}

// supervisors is the owner of a group in which a runtime keeps those who look after its
// containers, without any name that tells of which: libpod_parent/conmon, of podman
// with its cgroupfs manager.
func (g *Group) supervisors() (Owner, bool) {
	for _, at := range ancestors(g.path)[1:] {
		if path.Base(at) == "libpod_parent" {
			return Owner{Kind: string(identity.Podman), Path: g.path}, true
		}
	}
	return Owner{}, false
}

// otherUser is the owner of what a user has made below his own systemd.
func (g *Group) otherUser() Owner {
	for _, at := range ancestors(g.path) {
		uid, ok := strings.CutPrefix(path.Base(at), "user@")
		uid, ok2 := strings.CutSuffix(uid, ".service")
		if ok && ok2 && uid != strconv.Itoa(os.Geteuid()) {
			return Owner{Kind: "user", Name: uid, Path: at}
		}
	}
	return Owner{}
}

// delegated says whether a unit has Delegate=yes. The system's manager leaves a
// mark on its group (cg_set_xattr in systemd's src/core/cgroup.c): an attribute
// "1" in user. or, set by root on older kernels, trusted. A user's manager leaves
// none; there the group belongs to the user anyway, and so does the manager.
func (fs *FS) delegated(group string) bool {
	uid := os.Geteuid()
	own := uid != 0 && strings.Contains(group, fmt.Sprintf("/user@%d.service/", uid))
	for _, h := range fs.all().with(group) {
		for _, name := range []string{"user.delegate", "trusted.delegate"} {
			value := make([]byte, 8)
			n, err := unix.Getxattr(h.Dir(group), name, value)
			if err == nil && string(value[:n]) == "1" {
				return true
			}
		}
		var st unix.Stat_t
		if own && unix.Stat(h.Dir(group), &st) == nil && int(st.Uid) == uid {
			return true
		}
	}
	return false
}

// holdsCaller says whether the caller is in the group or below it. What cannot be
// found out counts as yes.
func (g *Group) holdsCaller() bool {
	list, err := g.fs.Memberships(0)
	if err != nil {
		return !proc.Gone(err) // a captured tree has no caller
	}
	for _, m := range list {
		if !m.Deleted && isBelow(m.Path, g.path) {
			return true
		}
	}
	return false
}

// thawing says how to let a frozen group go on: as its owner does, who has frozen it
// most likely, or by Thaw.
func (fs *FS) thawing(e *Error, next, group string) {
	o := (&Group{fs: fs, path: group}).Owner()
	e.Reason, e.Next, e.Remedy = ErrFrozen, next, &Remedy{Verb: VerbThaw, Group: group}
	if e.Command = o.CommandFor(VerbThaw); e.Command != "" {
		e.Owner, e.Remedy.Forced = o, true
		e.Next += " (" + e.Command + "), or force it"
	}
}

// guard refuses to change somebody else's group.
func (g *Group) guard(op string, v Verb) error {
	if g.force {
		return nil
	}
	if o := g.Owner(); o.Kind != "" {
		return refusal(op, g.path, v, o)
	}
	return nil
}

// noteForced says what becomes of limits that are set by force.
func (g *Group) noteForced(p *Plan) {
	if !g.force {
		return
	}
	if note := g.Owner().Undoes(VerbSet); note != "" {
		p.Notes = append(p.Notes, note)
	}
}

// noteBelow says whom the limits bind as well. They are the group's own, so that it is
// no refusal.
func (g *Group) noteBelow(ctx context.Context, p *Plan) {
	if g.Owner().Kind != "" { // it is forced, and noted
		return
	}
	found := errors.New("found")
	for _, h := range g.in() {
		if !slices.ContainsFunc(p.Steps, func(s Step) bool { return s.h == h && s.group == g.path && !s.Mkdir }) {
			continue
		}
		err := h.descend(ctx, g.path, func(s *spot) error {
			below := &Group{fs: g.fs, path: s.Path()}
			o := below.Owner()
			if o.Kind == "" {
				return nil
			}
			p.Notes = append(p.Notes, fmt.Sprintf("this binds %s below it too, which belongs to %s", below.path, o))
			return found
		})
		if errors.Is(err, found) {
			return
		}
	}
}

func refusal(op, group string, v Verb, o Owner) *Error {
	e := &Error{
		Op: op, Group: group, Err: unix.EPERM, Reason: ErrOwned, Owner: o, Command: o.CommandFor(v),
		Cause: "it belongs to " + o.String(),
	}
	switch {
	case o.Kind == "root":
		e.Cause, e.Next = "it is "+o.String(), "make a group below it"
	case o.Kind == "self":
		e.Cause = "it is " + o.String()
	case e.Command != "":
		e.Next = "use " + e.Command
	}
	return e
}

// guardEnable refuses to enable controllers in a group on the way that is
// somebody else's: systemd would take them away again, and with them the limits of
// all below. If it is forced, or systemd has the root, the note says so.
func (g *Group) guardEnable(op, at, controller string) (note string, err error) {
	if at == "/" {
		if len(g.fs.all().with("/init.scope")) > 0 {
			note = fmt.Sprintf("systemd may take %s away from the root at its next daemon-reload, and the limits below with it; systemd-run --scope -p Delegate=yes lasts", controller)
		}
		return note, nil
	}
	o := (&Group{fs: g.fs, path: at}).Owner()
	// A delegated unit enables controllers in its own group, but not where another
	// systemd, a user's, does: in his slices, and right below it.
	own := o.Kind == "systemd" && !identity.IsSlice(o.Name) && !strings.HasPrefix(o.Name, "user@") && g.fs.delegated(at)
	if at == g.path || o.Kind == "" || o.Kind == "self" || own {
		return "", nil
	}
	if g.force {
		return o.Undoes(VerbCreate), nil
	}
	return "", refusal(fmt.Sprintf("%s: enable %s for the children of %s", op, controller, at), at, VerbCreate, o)
}

// guardLeaving refuses to take a process out of somebody else's group, whose
// limits it would escape. A process of the caller's own unit or container is his.
func (g *Group) guardLeaving(op, from string) error {
	if g.force || from == g.path {
		return nil
	}
	o := (&Group{fs: g.fs, path: from}).Owner()
	switch o.Kind {
	case "", "root", "self":
		return nil
	}
	if (&Group{fs: g.fs, path: o.Path}).holdsCaller() {
		return nil
	}
	e := refusal(op, g.path, VerbLeave, o)
	e.Cause = fmt.Sprintf("it is in %s, which belongs to %s, and would leave its limits", from, o)
	return e
}
