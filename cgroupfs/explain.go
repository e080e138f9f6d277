package cgroupfs

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// The functions here and in explain*.go turn an errno of the kernel into its
// cause. They look at the machine as it is now, after the refusal: when the
// state has changed in between they may find nothing, and say only what the
// errno says.

// explainNoGroup is for a group that is nowhere.
func (fs *FS) explainNoGroup(op, group string) error {
	e := &Error{Op: op, Group: group, Err: unix.ENOENT, Cause: "no hierarchy has a group " + group, Next: "make it", Remedy: &Remedy{Verb: VerbCreate, Group: group}}
	if only := fs.only(); only != nil {
		e.Cause = fmt.Sprintf("%s has no group %s", only, group)
		e.Next, e.Remedy.Only = "make it there", only.shortName()
		if others := fs.whole.with(group); len(others) > 0 {
			e.Cause += fmt.Sprintf(", though %s has", others[0])
		}
	}
	for _, end := range []string{"remove ", "kill ", "freeze ", "thaw "} {
		if strings.HasPrefix(op, end) { // who wants it to end has no use for a new one
			e.Next, e.Remedy = "", nil
		}
	}
	if units, _ := fs.units(context.Background(), path.Base(group)); IsUnit(path.Base(group)) && len(units) > 0 {
		e.Next, e.Remedy = "did you mean "+units[0]+"?", nil
		return e
	}
	if h := fs.v2(); h != nil {
		if _, _, ok := h.place(group); !ok { // it cannot be made from here either
			not := h.notShown(group)
			e.Cause, e.Next, e.Remedy = e.Cause+", and "+not.Cause, not.Next, nil
			return e
		}
	}
	up := path.Dir(group)
	for up != "/" && len(fs.with(up)) == 0 {
		up = path.Dir(up)
	}
	for _, h := range fs.with(up) {
		names, _ := h.list(up, true)
		if name := closest(path.Base(group), names); name != "" && path.Dir(group) == up {
			also := "did you mean " + path.Join(up, name) + "?"
			if e.Next != "" {
				also += " If not, " + e.Next
			}
			e.Next = also
			return e
		}
	}
	if tops := fs.Tops(); len(tops) > 0 && !slices.ContainsFunc(tops, func(g *Group) bool { return isBelow(group, g.path) }) {
		e.Cause = "only " + tops[0].path + " and what is below it is mounted here"
		e.Next, e.Remedy = "name a group there", nil
		return e
	}
	for _, h := range fs.hierarchies {
		if h.Problem != "" {
			e.Cause += " that can be looked at: " + h.Problem
			e.Next, e.Remedy = "run in the cgroup namespace of the mount, such as the host's", nil
			break
		}
	}
	return e
}

// common explains the errnos that mean the same everywhere.
func (fs *FS) common(e *Error, h *Hierarchy, group, file string) bool {
	switch e.errno() {
	case unix.EROFS:
		e.Cause = h.Mount + " is mounted read-only"
		e.Next = "remount it (mount -o remount,rw " + h.Mount + "), or run where it is writable (outside of the container)"
	case unix.EACCES, unix.EPERM:
		e.Cause = ownership(path.Join(h.Dir(group), file))
		e.Reason = ErrNotDelegated
		switch {
		case os.Geteuid() == 0:
			e.Reason = ErrPermission
			e.Next = "this is root, without the right: in a user namespace or a container that lacks it, or a security module forbids it; run outside of that"
		case h.Version == 1:
			e.Next = "run as that user or as root, or have the group's directory and files given to you (chown)"
		default:
			e.Next = "run as that user or as root, or have the group delegated to you: its directory, cgroup.procs, cgroup.threads and cgroup.subtree_control"
		}
	case unix.ENODEV, unix.ENOENT:
		if h.has(group, "") {
			return false
		}
		e.Cause = fmt.Sprintf("the group is gone: %s was removed", h.Dir(group))
		if others := fs.with(group); len(others) > 0 {
			e.Cause = fmt.Sprintf("the group exists in %s, but not in %s", others[0], h)
			e.Next, e.Remedy = "make it there too", &Remedy{Verb: VerbCreate, Group: group, Controllers: []string{h.firstController()}}
		}
	default:
		return false
	}
	return true
}

func (h *Hierarchy) firstController() string {
	if len(h.Controllers) == 0 {
		return "freezer"
	}
	return h.Controllers[0]
}

// ownership says whose a file is and who asks.
func ownership(name string) string {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return fmt.Sprintf("%s cannot be looked at by uid %d", name, os.Geteuid())
	}
	return fmt.Sprintf("%s belongs to uid %d, mode %04o, and this is uid %d", name, st.Uid, st.Mode&0o7777, os.Geteuid())
}

// explainMkdir is for a group that cannot be made.
func (fs *FS) explainMkdir(s Step, err error) error {
	e := &Error{Op: "create " + s.group, Group: s.group, File: s.Path, Err: bare(err)}
	parent := path.Dir(s.group)
	switch {
	case e.errno() == unix.EAGAIN:
		s.h.treeBound(e, parent)
	case e.errno() == unix.ENOMEM:
		s.h.memoryBound(e, parent)
	case fs.common(e, s.h, parent, ""):
	case e.errno() == unix.EINVAL:
		e.Cause = "the kernel does not take that name"
	}
	return e
}

// memoryBound finds the limit on memory that has no room for a child's own.
func (h *Hierarchy) memoryBound(e *Error, parent string) {
	usage, limit := "memory.current", "memory.max"
	if h.Version == 1 {
		usage, limit = "memory.usage_in_bytes", "memory.limit_in_bytes"
	}
	var tightest, used, most int64
	at := ""
	for _, group := range ancestors(parent) {
		f := files{h: h, group: group}
		u, ok := f.number(usage).Get()
		m, limited := f.limit(limit).Get()
		if ok && limited && (at == "" || m-u < tightest) {
			at, used, most, tightest = group, u, m, m-u
		}
	}
	if at == "" {
		return
	}
	e.Cause = fmt.Sprintf("what the kernel needs for a new group counts in those above it: %s uses %s of at most %s", at, keys.FormatSize(used), keys.FormatSize(most))
	e.raise("raise that limit", at, "memory.max", "…")
}

// treeBound finds which ancestor's cgroup.max.* forbids a child of parent.
func (h *Hierarchy) treeBound(e *Error, parent string) {
	for depth, at := range ancestors(parent) {
		text, _ := h.read(at, "cgroup.max.depth")
		if most, err := strconv.Atoi(text); err == nil && depth+1 > most {
			file := path.Join(h.Dir(at), "cgroup.max.depth")
			e.Cause = fmt.Sprintf("%s is %d, and the group would be %d below it", file, most, depth+1)
			e.raise("raise it", at, "cgroup.max.depth", "max")
			return
		}
		text, _ = h.read(at, "cgroup.max.descendants")
		most, err := strconv.Atoi(text)
		stat, _ := h.read(at, "cgroup.stat")
		if have := flatKeyed(stat)["nr_descendants"]; err == nil && have >= int64(most) {
			file := path.Join(h.Dir(at), "cgroup.max.descendants")
			e.Cause = fmt.Sprintf("%s is %d, and %s below it already", file, most, words.Count(have, "group is", "groups are"))
			e.raise("raise it", at, "cgroup.max.descendants", "max")
			return
		}
	}
	e.Cause, e.Next = "a limit on the depth or number of groups was reached", "see cgroup.max.depth and cgroup.max.descendants of the groups above"
}

// raise says which setting would help.
func (e *Error) raise(next, group, key, value string) {
	e.Next, e.Remedy = next, &Remedy{Verb: VerbSet, Group: group, Settings: []keys.Setting{{Key: key, Value: value}}}
}

// explainNoFile is for a control file that a group does not have.
func (fs *FS) explainNoFile(e *Error, h *Hierarchy, group, file string) {
	controller := keys.Controller(file)
	if controller == "blkio" && h.Version == 2 {
		controller = "io"
	}
	names, _ := h.list(group, false)
	offered, _ := h.read(group, "cgroup.controllers")
	enabled := slices.Contains(strings.Fields(offered), controller)
	switch {
	case group == "/":
		e.Reason, e.Cause = ErrUnsupported, "the root of a hierarchy has no such file: it holds the whole machine and cannot be limited"
		e.Next = "limit a group below it"
	case h.Version == 2 && slices.Contains(h.Controllers, controller) && !enabled:
		e.Reason, e.Cause = ErrNotEnabled, h.notEnabled(group, controller)
		e.Next, e.Remedy = "enable it", &Remedy{Verb: VerbCreate, Group: group, Controllers: []string{controller}}
	default:
		e.Reason, e.Cause = ErrUnsupported, fmt.Sprintf("%s has no file of that name", h)
		if strings.HasPrefix(file, "memory.memsw.") || strings.HasPrefix(file, "memory.swap.") {
			e.Cause += "; swap is not counted (kernel without CONFIG_SWAP, or swapaccount=0)"
		}
		if name := closest(file, names); name != "" {
			e.Next = "did you mean " + name + "?"
		}
	}
}

// notEnabled names the topmost group that does not pass a controller on.
func (h *Hierarchy) notEnabled(group, controller string) string {
	list := ancestors(group)[1:]
	slices.Reverse(list)
	for _, at := range list {
		text, err := h.read(at, "cgroup.subtree_control")
		if err == nil && !slices.Contains(strings.Fields(text), controller) {
			return fmt.Sprintf("%s is not enabled for the children of %s (its cgroup.subtree_control is %s)", controller, at, words.Quote(text))
		}
	}
	return controller + " is not enabled for it"
}

// closest is the name most like the given one, if one is like it at all.
func closest(word string, names []string) string {
	best, least := "", max(min(len(word)/4, 3), 1)+1
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
