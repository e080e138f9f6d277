package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Mode is the state that a fixture is brought into before Start returns.
type Mode string

// The modes. Those that leave a namespace for another one, or keep one alive,
// take its types from Config.Apart.
const (
	// Plain waits, with all its threads in the same namespaces.
	Plain Mode = ""
	// ThreadElsewhere has one thread, not the leader, in new namespaces
	// (default net). Proc.Thread is that thread.
	ThreadElsewhere Mode = "thread-elsewhere"
	// DeadLeader's first thread has exited while others run on: the process
	// is a zombie without namespace links, yet Proc.Thread lives, in
	// namespaces of its own (default uts).
	DeadLeader Mode = "dead-leader"
	// Zombie has exited and its parent does not reap it.
	Zombie Mode = "zombie"
	// Stopped was sent SIGSTOP.
	Stopped Mode = "stopped"
	// Chrooted has its root at Config.Dir.
	Chrooted Mode = "chrooted"
	// PIDForChildrenEmpty called unshare(CLONE_NEWPID) and has no child yet:
	// its ns/pid_for_children cannot be read on Linux 6.18, and is there on 7.2.
	PIDForChildrenEmpty Mode = "pid-for-children-empty"
	// PIDForChildrenDead did so too, and its first child, the init of that
	// PID namespace, is dead: the link resolves, but nobody can enter.
	PIDForChildrenDead Mode = "pid-for-children-dead"
	// PIDForChildrenAlive did so too, and that init, Proc.Child, lives.
	PIDForChildrenAlive Mode = "pid-for-children-alive"
	// TimeForChildren called unshare(CLONE_NEWTIME): its children would be in
	// another time namespace than itself.
	TimeForChildren Mode = "time-for-children"
	// FDHolder has descriptors open on namespaces (default net) without any
	// process: Proc.Held and Proc.HeldFD.
	FDHolder Mode = "fd-holder"
	// BindHolder has such namespaces (default net) bind-mounted, in a mount
	// namespace of its own: Proc.Held and Proc.HeldPath.
	BindHolder Mode = "bind-holder"
	// SocketHolder has a socket in a network namespace without any process.
	// Proc.Held has the namespace, Proc.HeldFD the socket.
	SocketHolder Mode = "socket-holder"
	// Undumpable is at work, on its first thread, and has itself shut off from
	// those without CAP_SYS_PTRACE, its own user too (PR_SET_DUMPABLE). SIGUSR1
	// opens it, and lets it rest.
	Undumpable Mode = "undumpable"
	// Stuck waits in the kernel, in state D, in a way that makes everybody wait
	// who reads its cmdline, environ or maps. It needs /dev/fuse, and a kernel
	// that [RequireStuck] finds fit.
	Stuck Mode = "stuck"
	// DeadDir has Dir/dead, whose file system does not answer who looks for a
	// name. It needs root, /dev/fuse and a mount namespace of its own.
	DeadDir Mode = "dead-dir"
	// Flipping has descriptors from 100 on that are now a network namespace and
	// now a FIFO without a writer, and never rests.
	Flipping Mode = "flipping"
	// HugeArgs has a command line and an environment of [HugeArgsSize] bytes.
	HugeArgs Mode = "huge-args"
)

// Config describes a fixture. The zero value is a paused process in the
// namespaces of the test.
type Config struct {
	// New is the types of the namespaces to create for it. With "user" the
	// caller becomes root in there: ids 0 to 65535 are mapped to themselves if
	// the caller has them, otherwise 0 to the caller's own id.
	New []string
	// Depth is how many times New is created, each inside the one before;
	// 0 means once. Proc.Levels has a process of every level.
	Depth int
	// Mode is the state it is brought into, on the innermost level.
	Mode Mode
	// Apart is the types of the namespaces that Mode's thread moves to, or
	// that its descriptor or bind mount keeps.
	Apart []string
	// Comm is its name as in /proc/PID/comm: any bytes, 15 at most are kept.
	Comm string
	// Args is its whole argv, argv[0] included.
	Args []string
	// UID makes it run as that ordinary user, group of the same number. With
	// "user" in New it is that user who creates the namespaces and owns them,
	// without it they are the caller's.
	UID int
	// Dir is Chrooted's root, where BindHolder, Stuck and DeadDir mount something, and
	// where Flipping's FIFO is; default: a temporary directory.
	Dir string
}

// Proc is a running fixture.
type Proc struct {
	// PID is the process in the state that was asked for.
	PID int
	// Levels is PID and the fixtures around it, outermost first: a parent that
	// keeps a zombie, the outer levels of Config.Depth.
	Levels []int
	// Thread is the thread that is elsewhere, 0 if there is none.
	Thread int
	// Child is PIDForChildrenAlive's child.
	Child int
	// Held is the inode numbers of the namespaces that only Thread, a
	// descriptor, a mount or a socket keeps, or that are for children only.
	Held map[string]uint64
	// HeldFD and HeldPath say where: a descriptor of PID, a mount point.
	HeldFD   map[string]int
	HeldPath map[string]string

	t    testing.TB
	h    *helper
	kill sync.Once
}

// Start starts a fixture and waits until it is in its state. It is killed and
// reaped at the end of the test. The test fails if the fixture cannot be made:
// ask the gates ([RequireNS], …) first.
func Start(t testing.TB, c Config) *Proc {
	t.Helper()
	if c.Dir == "" && (c.Mode == Chrooted || c.Mode == BindHolder || c.Mode == Stuck || c.Mode == DeadDir || c.Mode == Flipping) {
		c.Dir = t.TempDir()
		// A fixture with another uid has to get in.
		if err := openUp(c.Dir); err != nil {
			t.Fatalf("testkit: %v", err)
		}
	}
	p, err := start(c)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	return p
}

// TryStart is Start for those who want the error, such as a benchmark program;
// call Kill in the end.
func TryStart(c Config) (*Proc, error) { return start(c) }

// order is what a fixture is told.
type order struct {
	Stages []stage // levels still to be started inside it
	Config Config
	Comm   []byte // Config.Comm: JSON strings hold no raw bytes
	// Unmapped says that the process's new user namespace has no id map yet:
	// it tells its PID, waits for the map, and executes itself once more,
	// which makes it root in there. Its orders then come again.
	Unmapped bool
}

// stage is one process of a chain, each the parent of the next.
type stage struct {
	New []string
	UID int
}

// report is what a fixture answers.
type report struct {
	Error         string
	PID           int
	Levels        []int
	Thread, Child int
	Held          map[string]uint64
	HeldFD        map[string]int
	HeldPath      map[string]string
}

func start(c Config) (*Proc, error) {
	stages := c.stages()
	h, rep, err := startStage(order{Stages: stages, Config: c, Comm: []byte(c.Comm)}, false)
	if err != nil {
		return nil, fmt.Errorf("fixture %+v: %w", c, err)
	}
	p := &Proc{
		PID: rep.PID, Levels: rep.Levels, Thread: rep.Thread, Child: rep.Child,
		Held: rep.Held, HeldFD: rep.HeldFD, HeldPath: rep.HeldPath, h: h,
	}
	if c.Mode == Stopped {
		if err := p.stop(); err != nil {
			p.Kill()
			return nil, err
		}
	}
	return p, nil
}

// stages is the chain of processes that the configuration needs.
func (c Config) stages() []stage {
	types := slices.Clone(c.New)
	if (c.Mode == BindHolder || c.Mode == Stuck || c.Mode == DeadDir) && !slices.Contains(types, "mnt") {
		types = append(types, "mnt")
	}
	var chain []stage
	uid := c.UID
	if uid != 0 && slices.Contains(types, "user") {
		chain = append(chain, stage{UID: uid}) // first become the owner
		uid = 0
	}
	for range max(c.Depth, 1) {
		chain = append(chain, stage{New: types})
	}
	chain[len(chain)-1].UID = uid
	return chain
}

// startStage starts the first stage of o, which starts the rest.
func startStage(o order, leave bool) (*helper, *report, error) {
	first := o.Stages[0]
	o.Stages = o.Stages[1:]
	attr, err := first.attr()
	if err != nil {
		return nil, nil, err
	}
	l := launch{role: "fixture", attr: attr, spec: o, leave: leave}
	if len(o.Stages) == 0 {
		l.args = o.Config.Args
	}
	// Go's fork writes the map to the /proc/PID of clone's answer, which is
	// the wrong one if we are in a PID namespace that /proc is not of.
	if pid, err := ownPID(); err == nil && pid != os.Getpid() && attr.UidMappings != nil {
		o.Unmapped = true
		l.spec, l.attr.UidMappings, l.attr.GidMappings = o, nil, nil
	}
	h, err := l.start()
	if err != nil {
		return nil, nil, err
	}
	var rep report
	if o.Unmapped {
		o.Unmapped = false
		if err := h.mapUsers(o); err != nil {
			err = h.explain(err)
			h.kill(0)
			return nil, nil, err
		}
	}
	if err := h.answer(&rep, readyTimeout); err == nil && rep.Error != "" {
		h.kill(0)
		return nil, nil, errors.New(rep.Error)
	} else if err != nil {
		h.kill(0)
		return nil, nil, err
	}
	return h, &rep, nil
}

// attr is the stage as Go's fork wants it.
func (s stage) attr() (syscall.SysProcAttr, error) {
	var attr syscall.SysProcAttr
	flags, err := CloneFlags(s.New...)
	if err != nil {
		return attr, err
	}
	attr.Cloneflags = flags
	if flags&unix.CLONE_NEWUSER != 0 {
		m := userMap()
		attr.UidMappings, attr.GidMappings = m.uids, m.gids
		attr.GidMappingsEnableSetgroups = m.setgroups
	}
	if s.UID != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(s.UID), Gid: uint32(s.UID), NoSetGroups: os.Geteuid() != 0}
	}
	return attr, nil
}

type idMaps struct {
	uids, gids []syscall.SysProcIDMap
	setgroups  bool
}

// userMap is the map that a new user namespace of ours gets: everything to
// itself if we are a root with 65536 ids, else root to us.
func userMap() idMaps {
	size := 65536
	if os.Geteuid() != 0 || !ownsIDs("/proc/self/uid_map", size) || !ownsIDs("/proc/self/gid_map", size) {
		size = 1
	}
	return idMaps{
		uids: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: size}},
		gids: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: size}},
		// user_namespaces(7): without CAP_SETGID gid_map may be written only
		// after setgroups was denied.
		setgroups: size > 1,
	}
}

// mapUsers writes the id maps of a helper that has none, and sends its orders.
func (h *helper) mapUsers(o order) error {
	var rep report
	if err := h.answer(&rep, readyTimeout); err != nil {
		return err
	}
	if err := userMap().write(rep.PID); err != nil {
		return err
	}
	return json.NewEncoder(h.control).Encode(o)
}

// write gives the maps to the user namespace of a process.
func (m idMaps) write(pid int) error {
	setgroups := "allow"
	if !m.setgroups {
		setgroups = "deny"
	}
	line := func(ids []syscall.SysProcIDMap) string {
		return fmt.Sprintf("%d %d %d\n", ids[0].ContainerID, ids[0].HostID, ids[0].Size)
	}
	for _, w := range [][2]string{{"setgroups", setgroups}, {"gid_map", line(m.gids)}, {"uid_map", line(m.uids)}} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, w[0]), []byte(w[1]), 0); err != nil {
			return fmt.Errorf("%w (value %q)", err, w[1])
		}
	}
	return nil
}

// ownsIDs says that the ids below n are all in the given map, in one line.
func ownsIDs(path string, n int) bool {
	data, err := os.ReadFile(path)
	fields := bytes.Fields(data)
	if err != nil || len(fields) < 3 || string(fields[0]) != "0" {
		return false
	}
	size, err := strconv.ParseUint(string(fields[2]), 10, 64)
	return err == nil && size >= uint64(n)
}

// Kill ends the fixture and all that belongs to it, and reaps it. A second
// call does nothing.
func (p *Proc) Kill() {
	p.kill.Do(func() {
		grace := time.Duration(0)
		if len(p.Levels) > 1 || p.Child != 0 {
			grace = 3 * time.Second
		}
		p.h.kill(grace)
	})
}

// TIDs is the process's threads, its first one first.
func (p *Proc) TIDs() []int {
	entries, err := os.ReadDir(p.path("task"))
	if err != nil {
		p.fatal(err)
	}
	var tids []int
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids
}

// NS is the inode number of the process's namespace as the kernel shows it.
// Besides the eight types it takes "pid_for_children" and "time_for_children".
func (p *Proc) NS(name string) uint64 {
	inode, err := ReadNS(p.path("ns", name))
	if err != nil {
		p.fatal(err)
	}
	return inode
}

// AllNS is NS for all eight types.
func (p *Proc) AllNS() map[string]uint64 {
	all := make(map[string]uint64)
	for _, name := range AllNS {
		all[name] = p.NS(name)
	}
	return all
}

// ThreadNS is NS for one thread of the process.
func (p *Proc) ThreadNS(tid int, name string) uint64 {
	inode, err := ReadNS(p.path("task", strconv.Itoa(tid), "ns", name))
	if err != nil {
		p.fatal(err)
	}
	return inode
}

// State is the letter in /proc/PID/stat.
func (p *Proc) State() byte {
	state, err := stateOf(p.path("stat"))
	if err != nil {
		p.fatal(err)
	}
	return state
}

// Path is a file of the process: p.Path("ns", "net") is /proc/PID/ns/net.
func (p *Proc) Path(elem ...string) string { return p.path(elem...) }

func (p *Proc) path(elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(p.PID)}, elem...)...)
}

func (p *Proc) fatal(err error) {
	if p.t == nil {
		panic(err)
	}
	p.t.Helper()
	p.t.Fatalf("testkit: %v", err)
}

// stop stops the process and waits until it has stopped.
func (p *Proc) stop() error {
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		return os.NewSyscallError("kill", err)
	}
	return waitState(p.path("stat"), 'T')
}

// waitState waits until the process of a stat file is in the given state.
func waitState(stat string, want byte) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		state, err := stateOf(stat)
		if err != nil || state == want {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: in state %c, not %c, after 5 s", stat, state, want)
		}
	}
}

// stateOf reads the third field of a stat file; the second is in brackets and
// may contain brackets itself.
func stateOf(stat string) (byte, error) {
	data, err := os.ReadFile(stat)
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(data, ')')
	if i < 0 || i+2 >= len(data) {
		return 0, fmt.Errorf("%s: malformed: %q", stat, data)
	}
	return data[i+2], nil
}

// openUp lets everybody into dir and the temporary directories around it.
func openUp(dir string) error {
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o777)
}

// merge adds b to a, which may be nil.
func merge[M ~map[K]V, K comparable, V any](a, b M) M {
	if a == nil {
		a = make(M)
	}
	maps.Copy(a, b)
	return a
}
