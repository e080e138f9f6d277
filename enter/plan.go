package enter

import (
	"os"
	"slices"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// Plan says which namespaces will be joined, in which order, and which will
// not and why.
type Plan struct {
	Joins   []Join
	Skipped []Skip

	options Options
	of      *process
	root    *os.File    // to become the root directory, nil: it stays
	rootOf  string      // whose it is, for people
	dir     *os.File    // to become the working directory
	between credentials // who makes a new user namespace, in the joined one
	ids     credentials
	rights  *rights            // nil: ours
	kept    uint64             // capabilities, of KeepCaps
	covers  []cover            // of MountSys
	inside  *cgroupfs.Entrance // the target's cgroups, to start in; nil: ours
	env     []string           // to be added to the command's
	// Of a command that is the target's code: its environment, nil for ours; the
	// cgroups that it has to be in.
	environ     []string
	newEnv      bool // that is a new one
	memberships []cgroupfs.Membership
	notes       []string
}

// Notes says what the command will not have although it was to be expected, a
// sentence each.
func (p *Plan) Notes() []string { return p.notes }

// process is what is kept of Options.Process.
type process struct {
	name   string
	pid    int
	status inspect.Status
}

// Join is a namespace that will be joined.
type Join struct {
	ID   inspect.ID
	From string // what the user named: "process 5151"
	file *os.File
	// pid is the process it is of and pidfd pins it; nil for a namespace file
	// or a thread.
	pid   int
	pidfd *os.File
	// added says that nobody has asked for it, but the target's own code must not
	// be outside of it.
	added bool
}

// Skip is a namespace that was requested and need not be joined.
type Skip struct {
	ID     inspect.ID
	From   string
	Reason string
}

// order is the order of joining one by one. The mount namespace comes last,
// since whatever is opened after it is the target's.
var order = [inspect.TypeLen]int{
	inspect.User: 0, inspect.Time: 1, inspect.PID: 2, inspect.Cgroup: 3,
	inspect.IPC: 4, inspect.UTS: 5, inspect.Net: 6, inspect.Mnt: 7,
}

// StartIn is Options.Cgroup for a plan that is made already: who makes a group for
// the command does that last, when there is least left to fail.
func (p *Plan) StartIn(group *cgroupfs.Entrance) { p.options.Cgroup = group }

func (p *Plan) sortJoins() {
	slices.SortFunc(p.Joins, func(a, b Join) int { return order[a.ID.Type] - order[b.ID.Type] })
}

// WillJoin says whether a namespace of type t will be joined.
func (p *Plan) WillJoin(t inspect.Type) bool { return p.index(t) >= 0 }

// index is where in Joins the namespace of a type is, -1 if it is not joined.
func (p *Plan) index(t inspect.Type) int {
	return slices.IndexFunc(p.Joins, func(j Join) bool { return j.ID.Type == t })
}

// Untrusted says that the command is the target's own code with the target's
// rights, which must not get hold of anything of ours.
func (p *Plan) Untrusted() bool {
	return (p.WillJoin(inspect.Mnt) || p.options.TargetRoot) && !p.options.Privileged
}

// Close closes what the plan holds open. It may be called again.
func (p *Plan) Close() error {
	for _, j := range p.Joins {
		j.close()
	}
	p.root.Close()
	p.dir.Close()
	if p.inside != nil {
		p.inside.Close()
	}
	return nil
}

func (j Join) close() {
	j.file.Close()
	j.pidfd.Close() // nil is no harm
}

// entrance is the cgroups that the command starts in, nil if they are ours.
func (p *Plan) entrance() *cgroupfs.Entrance {
	if p.options.Cgroup != nil {
		return p.options.Cgroup
	}
	return p.inside
}

// credentials are who the command will be; nil: it stays who we are.
type credentials struct {
	uid, gid *uint32
	// dropGroups leaves the supplementary groups behind, which are ours and
	// mean nothing in another user namespace; mayDeny says that the kernel may
	// refuse that (setgroups "deny" in user_namespaces(7)).
	dropGroups, mayDeny bool
	uids, gids          inspect.IDMap // of the joined user namespace, if known
}

// any says that there are steps.
func (i credentials) any() bool { return i.dropGroups || i.gid != nil || i.uid != nil }

// cover is a file of /etc/netns/NAME and the one that it stands for.
type cover struct {
	from, to string
	missing  bool // there is nothing to cover
}

// rights is what a command that is the target's own code may do at the most.
type rights struct {
	of         string
	bounding   uint64
	permitted  uint64
	noNewPrivs bool
	label      *label
	filters    [][]byte // of seccomp(2), the oldest first
}

// label is the target's label of a security module, as the file of /proc/PID that has
// it shows it, and what is written where to take effect at the next execve.
type label struct {
	file, shown string
	path, text  string
}

// filtered says that the command is under seccomp filters of the target.
func (p *Plan) filtered() bool { return p.rights != nil && len(p.rights.filters) > 0 }

// forks says that the command has to be a child of the helper: setns(2) into a
// PID namespace, and unshare(2) of one or of a time namespace, is for children
// only.
func (p *Plan) forks() bool {
	n := p.options.Unshare
	return (p.WillJoin(inspect.PID) || n.has(inspect.PID) || n.has(inspect.Time)) && !p.options.NoFork
}
