package cgroupfs

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/words"
)

// explainAttach is for a process or thread that a group does not take; file is
// the one written to.
func (fs *FS) explainAttach(h *Hierarchy, group, file string, pid int, err error) error {
	e := &Error{
		Op: fmt.Sprintf("attach %s to %s", fs.name(pid), group), Group: group, File: path.Join(h.Dir(group), file), Err: bare(err),
	}
	subtree, _ := h.read(group, "cgroup.subtree_control")
	switch {
	case e.errno() == unix.ESRCH:
		e.Cause = "the process is gone"
	case e.errno() == unix.ENOSPC:
		e.Cause = fmt.Sprintf("the v1 cpuset is empty: cpus %s, mems %s", words.Quote(oneLine(h, group, "cpuset.cpus")), words.Quote(oneLine(h, group, "cpuset.mems")))
		cpus, _ := h.nearest(group, "cpuset.cpus")
		mems, _ := h.nearest(group, "cpuset.mems")
		e.Reason, e.Next = ErrValue, "set both first, as the group above has them"
		e.Remedy = &Remedy{Verb: VerbSet, Group: group, Settings: []keys.Setting{{Key: "cpuset.cpus", Value: cpus}, {Key: "cpuset.mems", Value: mems}}}
	case e.errno() == unix.EBUSY && subtree != "":
		e.Cause = fmt.Sprintf("a v2 group has either processes or children with controllers, and %s are enabled for its children", strings.ReplaceAll(subtree, " ", ", "))
		e.Next = "attach to a child of it" + h.suggestChild(group)
	case e.errno() == unix.EOPNOTSUPP:
		e.Reason, e.Cause = ErrThread, h.typeChain(group)
		e.Next = "a \"domain invalid\" group has to be made threaded first (cgroup.type); into a threaded one go only threads of one process, and only within its threaded domain"
	case e.errno() == unix.EINVAL:
		fs.explainEinval(e, h, group, pid)
	case e.errno() == unix.EACCES || e.errno() == unix.EPERM || e.errno() == unix.ENOENT && h.has(group, ""):
		fs.explainDelegation(e, h, group, file, pid)
	default:
		fs.common(e, h, group, file)
	}
	return e
}

func (h *Hierarchy) suggestChild(group string) string {
	names, _ := h.list(group, true)
	if len(names) == 0 {
		return ""
	}
	return ", such as " + path.Join(group, names[0])
}

// explainEinval: kernel threads bound to a CPU, and realtime tasks where the
// group has no share of realtime (cpu_cgroup_can_attach).
func (fs *FS) explainEinval(e *Error, h *Hierarchy, group string, pid int) {
	p, err := fs.process(pid)
	runtime := oneLine(h, group, "cpu.rt_runtime_us")
	switch {
	case err == nil && p.KernelThread():
		e.Reason, e.Cause = ErrUnsupported, "it is a kernel thread, and the kernel does not let this one be moved"
	case runtime == "0" && len(fs.realtime(pid)) > 0:
		e.Cause = fmt.Sprintf("threads %v have a realtime policy, and the group's cpu.rt_runtime_us is 0", fs.realtime(pid))
		e.raise("take the policy away (chrt -o -p 0 PID), or give it some", group, "cpu.rt_runtime_us", "…")
	default:
		e.Cause = "the kernel does not take it"
	}
}

// realtime lists the threads of a process with policy FIFO or RR.
func (fs *FS) realtime(pid int) []int {
	var list []int
	tids, _ := fs.threads(pid)
	for _, tid := range tids {
		attr, err := unix.SchedGetAttr(tid, 0)
		if err == nil && (attr.Policy == unix.SCHED_FIFO || attr.Policy == unix.SCHED_RR) {
			list = append(list, tid)
		}
	}
	return list
}

// explainDelegation: on v2 the mover needs to write to the cgroup.procs of the
// nearest group above both places; on v1 the process must be the mover's.
func (fs *FS) explainDelegation(e *Error, h *Hierarchy, group, file string, pid int) {
	from, ok := fs.memberOf(pid, h)
	target := path.Join(h.Dir(group), file)
	switch {
	case unix.Access(target, unix.W_OK) != nil || h.Version == 1 && e.errno() == unix.EPERM:
		fs.common(e, h, group, file)
	case h.Version == 1:
		e.Reason, e.Cause = ErrPermission, ownership(fs.procPath(fmt.Sprint(pid)))+"; on v1 only one's own processes can be moved"
		e.Next = "run as that user or as root"
	case ok:
		common := path.Join(h.Dir(commonAncestor(from.Path, group)), "cgroup.procs")
		e.Cause = fmt.Sprintf("the process is in %s, and moving it takes the right to write to the nearest group above both: %s", from.Path, ownership(common))
		e.Reason = ErrNotDelegated
		e.Next, e.Remedy = "run as root, or start it inside in the first place", &Remedy{Verb: VerbStart, Group: group}
		if e.errno() == unix.ENOENT {
			e.Reason = ErrOutside
			e.Cause = fmt.Sprintf("the process is in %s, and the mount option nsdelegate lets nothing cross the border of a cgroup namespace", from.Path)
		}
	}
}

func commonAncestor(a, b string) string {
	for !isBelow(b, a) {
		a = path.Dir(a)
	}
	return a
}
