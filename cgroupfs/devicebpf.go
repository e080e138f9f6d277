package cgroupfs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// DeviceProgram is a BPF program that rules devices in a v2 group and in all
// that are below it. Whatever is done with a device must pass every program.
type DeviceProgram struct {
	// Group is where it is attached: empty for a group above what is mounted.
	Group string `json:"group"`
	// ID is the kernel's number of the program.
	ID uint32 `json:"id"`
	// Name is empty if it has none.
	Name string `json:"name"`
	// Rules are those of nsx's own programs, "deny all but c 1:3 rwm". What
	// programs of others allow cannot be read.
	Rules string `json:"rules,omitempty"`

	own  bool // nsx's by its name and, where that can be seen, its instructions
	list *deviceList
}

// String is "program sd_devices (id 50) of /system.slice/web.service", with the
// rules that are known.
func (p DeviceProgram) String() string {
	name := cmp.Or(p.Name, "(no name)")
	text := fmt.Sprintf("program %s (id %d) of %s", name, p.ID, cmp.Or(p.Group, "a group above, which is not mounted here"))
	if p.Rules != "" {
		text += ": " + p.Rules
	}
	return text
}

// DevicePrograms lists the programs that rule devices in the group, those of the
// groups above it first. It takes CAP_NET_ADMIN and, where there are any,
// CAP_SYS_ADMIN, in the initial user namespace.
func (g *Group) DevicePrograms() ([]DeviceProgram, error) {
	list := []DeviceProgram{}
	h := g.fs.v2()
	if h == nil || !h.has(g.path, "") {
		return list, nil
	}
	list, err := h.devicesInEffect(g.path)
	if err != nil {
		return nil, g.fs.explainBPF("read the device programs of "+g.path, h, g.path, err)
	}
	return list, nil
}

// devicesInEffect asks for the programs of a group and of those above.
func (h *Hierarchy) devicesInEffect(group string) ([]DeviceProgram, error) {
	list := []DeviceProgram{}
	all, err := h.programIDs(group, unix.BPF_F_QUERY_EFFECTIVE)
	if err != nil || len(all) == 0 {
		return list, err
	}
	for _, at := range slices.Backward(ancestors(group)) {
		if !isBelow(at, h.MountRoot) {
			continue
		}
		here, err := h.devicePrograms(at)
		if err != nil {
			return nil, err
		}
		list = append(list, here...)
	}
	var outside []DeviceProgram
	for _, id := range all {
		if slices.ContainsFunc(list, func(p DeviceProgram) bool { return p.ID == id }) {
			continue
		}
		if p, err := describeProgram("", id); err == nil {
			outside = append(outside, p)
		} else if !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
	}
	return append(outside, list...), nil
}

// devicePrograms asks for the programs that are attached to a group itself.
func (h *Hierarchy) devicePrograms(group string) ([]DeviceProgram, error) {
	ids, err := h.programIDs(group, 0)
	if err != nil {
		return nil, err
	}
	var list []DeviceProgram
	for _, id := range ids {
		p, err := describeProgram(group, id)
		switch {
		case errors.Is(err, unix.ENOENT): // detached meanwhile
		case err != nil:
			return nil, err
		default:
			list = append(list, p)
		}
	}
	return list, nil
}

func (h *Hierarchy) programIDs(group string, flags uint32) ([]uint32, error) {
	dir, err := h.openat(group, "", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	for ids := make([]uint32, 64); ; ids = make([]uint32, 2*len(ids)) {
		n, err := linux.BPFProgQuery(int(dir.Fd()), unix.BPF_CGROUP_DEVICE, flags, ids)
		switch {
		case err == nil:
			return ids[:n], nil
		case !errors.Is(err, unix.ENOSPC):
			return nil, &bpfError{"BPF_PROG_QUERY", err, false, []int{unix.CAP_NET_ADMIN}}
		}
	}
}

func describeProgram(group string, id uint32) (DeviceProgram, error) {
	d := DeviceProgram{Group: group, ID: id}
	fd, err := openProgram(id)
	if err != nil {
		return d, err
	}
	defer unix.Close(fd)
	p, err := linux.BPFProgInfo(fd, nil)
	if err == nil && p.Name == deviceProgramName && p.Size > 0 {
		p, err = linux.BPFProgInfo(fd, make([]linux.BPFInsn, p.Size))
	}
	if err != nil {
		return d, &bpfError{"BPF_OBJ_GET_INFO_BY_FD", err, false, nil}
	}
	d.Name = p.Name
	if list, ok := decompile(p.Insns); ok && p.Name == deviceProgramName {
		d.own, d.list, d.Rules = true, &list, list.String()
	}
	d.own = d.own || p.Name == deviceProgramName && p.Insns == nil
	return d, nil
}

func openProgram(id uint32) (int, error) {
	fd, err := linux.BPFProgByID(id)
	if err != nil {
		return -1, &bpfError{"BPF_PROG_GET_FD_BY_ID", err, false, []int{unix.CAP_SYS_ADMIN}}
	}
	return fd, nil
}

// putDevices makes a list the group's, in the place of the programs of ours that
// are attached to it already: of one, without a moment in between. The programs
// of others stay as they are.
func (h *Hierarchy) putDevices(group string, list deviceList, replaced []uint32) error {
	dir, err := h.openat(group, "", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	var old []int
	for _, id := range replaced {
		fd, err := openProgram(id)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		old = append(old, fd)
	}
	fail := func(call string, err error) error {
		return &bpfError{call, err, true, []int{unix.CAP_NET_ADMIN}}
	}
	if list.restricts() {
		program, err := loadDevices(list)
		if err != nil {
			return &bpfError{"BPF_PROG_LOAD", err, true, []int{unix.CAP_BPF, unix.CAP_NET_ADMIN}}
		}
		defer unix.Close(program)
		flags, place := uint32(unix.BPF_F_ALLOW_MULTI), 0
		if len(old) > 0 {
			// Linux 5.6, as is openat2(2).
			flags, place, old = flags|unix.BPF_F_REPLACE, old[0], old[1:]
		}
		if err := linux.BPFProgAttach(int(dir.Fd()), program, unix.BPF_CGROUP_DEVICE, flags, place); err != nil {
			return fail("BPF_PROG_ATTACH", err)
		}
	}
	for _, fd := range old {
		if err := linux.BPFProgDetach(int(dir.Fd()), fd, unix.BPF_CGROUP_DEVICE); err != nil {
			return fail("BPF_PROG_DETACH", err)
		}
	}
	return nil
}

// loadDevices loads a list's program. Before 5.11 programs are locked memory of
// the user's, and what systemd has loaded counts too: EPERM says so.
func loadDevices(list deviceList) (int, error) {
	insns := list.compile()
	fd, err := linux.BPFProgLoad(unix.BPF_PROG_TYPE_CGROUP_DEVICE, deviceProgramName, insns)
	var old unix.Rlimit
	if !errors.Is(err, unix.EPERM) || unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old) != nil {
		return fd, err
	}
	more := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &more) == nil {
		fd, err = linux.BPFProgLoad(unix.BPF_PROG_TYPE_CGROUP_DEVICE, deviceProgramName, insns)
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	}
	return fd, err
}

// bpfError is a refusal of bpf(2).
type bpfError struct {
	call  string
	err   error
	write bool // something was to be changed
	needs []int
}

func (e *bpfError) Error() string { return "bpf(" + e.call + "): " + e.err.Error() }
func (e *bpfError) Unwrap() error { return e.err }

// explainBPF says why a device program cannot be read or attached.
func (fs *FS) explainBPF(op string, h *Hierarchy, group string, err error) *Error {
	e := &Error{Op: op, Group: group, File: h.Dir(group), Err: bare(err)}
	b, ok := errors.AsType[*bpfError](err)
	if !ok {
		fs.common(e, h, group, "")
		return e
	}
	e.Op += ": bpf(" + b.call + ")"
	switch errno := e.errno(); {
	case errno == unix.EPERM:
		fs.explainNoBPF(e, b, h, group)
	case errno == unix.EBADF:
		e.Cause = "it is no directory of a live cgroup, and what BPF programs are attached is in no file"
	case errno == unix.ENOENT:
		e.Cause = "the program was replaced meanwhile by somebody else"
		e.Next = "do it again"
	case errno == unix.E2BIG && b.call == "BPF_PROG_ATTACH":
		e.Cause = "64 programs are attached to the group, the most that the kernel takes"
	case errno == unix.E2BIG:
		e.Cause = "these are more rules than the kernel takes in one program"
	case errno == unix.EINVAL || errno == unix.ENOSYS || errno == unix.EOPNOTSUPP:
		e.Cause = "this kernel cannot rule devices by BPF: it lacks CONFIG_BPF_SYSCALL or CONFIG_CGROUP_BPF"
	}
	return e
}

// explainNoBPF finds what stands behind EPERM.
func (fs *FS) explainNoBPF(e *Error, b *bpfError, h *Hierarchy, group string) {
	names := map[int]string{unix.CAP_BPF: "CAP_BPF", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN"}
	var missing []string
	for _, c := range b.needs {
		if !linux.HasCapability(c) && !linux.HasCapability(unix.CAP_SYS_ADMIN) {
			missing = append(missing, names[c])
		}
	}
	where := "run where root has it, outside of the container"
	if os.Geteuid() != 0 {
		where = "run as root"
	}
	switch {
	case len(missing) > 0:
		e.Cause = "it takes " + strings.Join(missing, " and ") + ", which this process lacks"
		if !slices.Contains(missing, "CAP_SYS_ADMIN") {
			e.Cause += " (or CAP_SYS_ADMIN)"
		}
		e.Next = where
	case !linux.InInitialUserNamespace():
		link, _ := os.Readlink("/proc/self/ns/user")
		e.Cause = "capabilities count for it in the initial user namespace only, and this process is in another one (" + link + ")"
		e.Next = "run on the host"
	case b.call == "BPF_PROG_ATTACH":
		e.Cause = "a program that tolerates no other is attached to the group or above it"
		if list, err := h.devicesInEffect(group); err == nil {
			for _, p := range list {
				e.Cause += ": " + p.String()
			}
		}
		e.Next = "have its owner attach it with BPF_F_ALLOW_MULTI"
	default:
		e.Cause = "nothing of this process's capabilities is missing, so a seccomp filter or a security module forbids it"
	}
}

// deviceState is what nsx's own programs say about a group, and who else does.
type deviceState struct {
	own    []DeviceProgram // attached to the group itself
	above  deviceList      // what the groups above allow
	list   deviceList      // what the group allows, being within that
	rest   []deviceRule    // denied besides
	others []DeviceProgram
	hidden []DeviceProgram // of ours, which the kernel does not show
}

// devices reads the state of a group; of one that does not exist, as it will be
// once it is made.
func (h *Hierarchy) devices(group string) (deviceState, error) {
	s := deviceState{above: allowAll, list: allowAll}
	at := group
	for !h.has(at, "") && at != h.MountRoot && at != "/" {
		at = path.Dir(at)
	}
	programs, err := h.devicesInEffect(at)
	if err != nil {
		return s, err
	}
	for _, p := range programs {
		if !p.own {
			s.others = append(s.others, p)
			continue
		}
		if p.Group == group {
			s.own = append(s.own, p)
		}
		if p.list == nil {
			s.hidden = append(s.hidden, p)
			continue
		}
		var rest []deviceRule
		s.list, rest = p.list.within(s.list)
		s.rest = append(s.rest, rest...)
		if p.Group != group {
			s.above = s.list
		}
	}
	return s, nil
}

// ids are the numbers of programs.
func ids(programs []DeviceProgram) []uint32 {
	list := make([]uint32, len(programs))
	for i, p := range programs {
		list[i] = p.ID
	}
	return list
}

// togetherOf is what programs of ours allow together.
func togetherOf(own []DeviceProgram) deviceList {
	list := allowAll
	for _, p := range own {
		if p.list != nil {
			list, _ = p.list.within(list)
		}
	}
	return list
}
