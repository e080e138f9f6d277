package testkit

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// InitNS is namespaces like those of a machine's first process.
var InitNS = map[string]uint64{
	"cgroup": 4026531835, "ipc": 4026531839, "mnt": 4026531832, "net": 4026531833,
	"pid": 4026531836, "time": 4026531834, "user": 4026531837, "uts": 4026531838,
}

// FakeProcess describes one process of a fake /proc. The zero value of each
// field but PID is something plausible.
type FakeProcess struct {
	PID, PPID  int
	Comm       string            // default "fake"
	Cmdline    []string          // default: Comm; empty and not nil: none, as of a kernel thread
	State      byte              // default 'S'; 'Z' leaves out what a zombie does not have
	UID        int               // also the group
	StartTicks uint64            // default: 100 × PID
	Flags      uint64            // PF_* flags in stat; 0x00200000 is PF_KTHREAD
	NS         map[string]uint64 // overrides InitNS; 0 leaves the link out
	ForKids    map[string]uint64 // pid and time for children, default as NS; 0 leaves the link out
	NSPIDs     []int             // the NSpid line, default PID
	Cgroup     string            // content of cgroup, default "0::/\n"
	Mountinfo  string            // default: only / and /proc
	Threads    []FakeThread      // besides the first one
	Extra      map[string]string // more keys as for Tree, below /proc/PID; they win
}

// FakeThread is a thread of a FakeProcess.
type FakeThread struct {
	TID  int
	Comm string            // default: the process's
	NS   map[string]uint64 // overrides the process's
}

// ProcTree writes a /proc with the given processes and returns it. Its parent
// directory is a root as for nsx's --root. To add to it, use FakeProcess.Extra.
func ProcTree(t testing.TB, processes ...FakeProcess) string {
	t.Helper()
	files := map[string]string{
		"proc/stat":                  "cpu  1 2 3 4 5 6 7 8 9 0\nbtime 1700000000\n",
		"proc/uptime":                "100000.00 100000.00\n",
		"proc/sys/kernel/osrelease":  "6.18.0-fake\n",
		"proc/sys/kernel/hostname":   "fake\n",
		"proc/sys/kernel/pid_max":    "32768\n",
		"proc/mounts -> self/mounts": "",
	}
	for _, p := range processes {
		for name, content := range p.Files() {
			files["proc/"+name] = content
		}
	}
	return filepath.Join(Tree(t, files), "proc")
}

// Files is the process as keys and values for Tree, each below "PID/".
func (p FakeProcess) Files() map[string]string {
	p.fill()
	files := p.threadFiles(p.PID, p.Comm, p.NS)
	if p.State != 'Z' {
		files["mountinfo"] = p.Mountinfo
		files["fd/"] = ""
		files["root -> /"] = ""
		files["cwd -> /"] = ""
		if len(p.Cmdline) > 0 {
			files["exe -> /usr/bin/fake"] = ""
		}
	}
	threads := append([]FakeThread{{TID: p.PID}}, p.Threads...)
	for _, th := range threads {
		ns := maps.Clone(p.NS)
		maps.Copy(ns, th.NS)
		if th.Comm == "" {
			th.Comm = p.Comm
		}
		for name, content := range p.threadFiles(th.TID, th.Comm, ns) {
			files[fmt.Sprintf("task/%d/%s", th.TID, name)] = content
		}
	}
	for key, content := range p.Extra {
		delete(files, baseKey(files, key))
		files[key] = content
	}
	all := make(map[string]string, len(files))
	for name, content := range files {
		all[fmt.Sprintf("%d/%s", p.PID, name)] = content
	}
	return all
}

// baseKey finds the key in files that names the same path.
func baseKey(files map[string]string, key string) string {
	path := func(key string) string {
		name, _, _ := strings.Cut(key, " ")
		return strings.TrimSuffix(name, "/")
	}
	for other := range files {
		if path(other) == path(key) {
			return other
		}
	}
	return key
}

func (p *FakeProcess) fill() {
	if p.Comm == "" {
		p.Comm = "fake"
	}
	if p.Cmdline == nil && p.State != 'Z' {
		p.Cmdline = []string{p.Comm}
	}
	if p.State == 0 {
		p.State = 'S'
	}
	if p.StartTicks == 0 {
		p.StartTicks = 100 * uint64(p.PID)
	}
	if p.NSPIDs == nil {
		p.NSPIDs = []int{p.PID}
	}
	if p.Cgroup == "" {
		p.Cgroup = "0::/\n"
	}
	if p.Mountinfo == "" {
		p.Mountinfo = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n" +
			"21 20 0:20 / /proc rw,nosuid,nodev,noexec shared:2 - proc proc rw\n"
	}
	ns := maps.Clone(InitNS)
	maps.Copy(ns, p.NS)
	p.NS = ns
}

// threadFiles is what a process and each of its threads have.
func (p FakeProcess) threadFiles(tid int, comm string, ns map[string]uint64) map[string]string {
	var cmdline strings.Builder
	for _, arg := range p.Cmdline {
		cmdline.WriteString(arg + "\x00")
	}
	files := map[string]string{
		"comm":      comm + "\n",
		"cmdline":   cmdline.String(),
		"cgroup":    p.Cgroup,
		"stat":      p.stat(tid, comm),
		"status":    p.status(tid, comm),
		"uid_map":   "         0          0 4294967295\n",
		"gid_map":   "         0          0 4294967295\n",
		"setgroups": "allow\n",
		"ns/":       "",
	}
	links := maps.Clone(ns)
	for _, name := range []string{"pid", "time"} {
		links[name+"_for_children"] = ns[name]
		if inode, ok := p.ForKids[name]; ok {
			links[name+"_for_children"] = inode
		}
	}
	for name, inode := range links {
		// A zombie has only the two that do not hang on its nsproxy.
		if inode == 0 || p.State == 'Z' && name != "user" && name != "pid" {
			continue
		}
		kind := strings.TrimSuffix(name, "_for_children")
		files[fmt.Sprintf("ns/%s -> %s:[%d]", name, kind, inode)] = ""
	}
	return files
}

// stat is the line of proc_pid_stat(5), field by field.
func (p FakeProcess) stat(tid int, comm string) string {
	fields := make([]string, 53)
	for i := range fields {
		fields[i] = "0"
	}
	set := func(number int, value any) { fields[number] = fmt.Sprint(value) }
	set(1, tid)
	set(2, "("+comm+")")
	set(3, string(p.State))
	set(4, p.PPID)
	set(5, p.PID) // pgrp
	set(6, p.PID) // session
	set(8, -1)    // tpgid
	set(9, p.Flags)
	set(18, 20) // priority
	set(20, 1+len(p.Threads))
	set(22, p.StartTicks)
	set(23, 1<<20) // vsize
	set(24, 100)   // rss
	set(38, 17)    // exit_signal
	return strings.Join(fields[1:], " ") + "\n"
}

var stateWords = map[byte]string{
	'R': "running", 'S': "sleeping", 'D': "disk sleep", 'T': "stopped",
	't': "tracing stop", 'X': "dead", 'Z': "zombie", 'I': "idle",
}

// status is the file of proc_pid_status(5), the lines that a reader may want.
func (p FakeProcess) status(tid int, comm string) string {
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(comm) // as the kernel does
	pids := make([]string, len(p.NSPIDs))
	for i, pid := range p.NSPIDs {
		pids[i] = strconv.Itoa(pid)
	}
	lines := []string{
		"Name:\t" + escaped,
		"Umask:\t0022",
		fmt.Sprintf("State:\t%c (%s)", p.State, stateWords[p.State]),
		fmt.Sprintf("Tgid:\t%d", p.PID),
		"Ngid:\t0",
		fmt.Sprintf("Pid:\t%d", tid),
		fmt.Sprintf("PPid:\t%d", p.PPID),
		"TracerPid:\t0",
		fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d", p.UID, p.UID, p.UID, p.UID),
		fmt.Sprintf("Gid:\t%d\t%d\t%d\t%d", p.UID, p.UID, p.UID, p.UID),
		"FDSize:\t64",
		"Groups:\t ",
		"NStgid:\t" + strings.Join(pids, "\t"),
		"NSpid:\t" + strings.Join(pids, "\t"),
		"NSpgid:\t" + strings.Join(pids, "\t"),
		"NSsid:\t" + strings.Join(pids, "\t"),
		fmt.Sprintf("Kthread:\t%d", p.Flags>>21&1),
		fmt.Sprintf("Threads:\t%d", 1+len(p.Threads)),
	}
	for _, set := range []string{"Inh", "Prm", "Eff", "Bnd", "Amb"} {
		lines = append(lines, "Cap"+set+":\t0000000000000000")
	}
	lines = append(lines, "NoNewPrivs:\t0", "Seccomp:\t0")
	return strings.Join(slices.Concat(lines, []string{""}), "\n")
}
