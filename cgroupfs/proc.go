package cgroupfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is what has to be known of a process, or thread, before it is moved
// or killed.
type process struct {
	pid     int
	comm    string
	state   byte // 'Z' and 'X' are dead
	flags   uint64
	kernel  bool // a kernel thread
	started uint64
}

// pfKthread is PF_KTHREAD of include/linux/sched.h.
const pfKthread = 0x00200000

func (fs *FS) process(pid int) (process, error) {
	number, err := fs.numberOf(pid)
	if err != nil {
		return process{}, err
	}
	text, err := fs.readProc(number, "stat")
	if err != nil {
		return process{}, err
	}
	return parseStat(pid, string(text))
}

// parseStat reads proc_pid_stat(5): "PID (COMM) STATE PPID …".
func parseStat(pid int, text string) (process, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	bad := fmt.Errorf("/proc/%d/stat: malformed", pid)
	if open < 0 || end < open {
		return process{}, bad
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 20 {
		return process{}, bad
	}
	p := process{pid: pid, comm: text[open+1 : end], state: fields[0][0]}
	flags, err1 := strconv.ParseUint(fields[6], 10, 64)
	started, err2 := strconv.ParseUint(fields[19], 10, 64)
	if err1 != nil || err2 != nil {
		return process{}, bad
	}
	p.flags, p.kernel, p.started = flags, flags&pfKthread != 0, started
	return p, nil
}

func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// String is "5151 (sleep)", the name made safe to show.
func (p process) String() string {
	name := strconv.Quote(p.comm)
	return fmt.Sprintf("%d (%s)", p.pid, name[1:len(name)-1])
}

// noProcess tells the errors of a process that is gone from those of reading.
func noProcess(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// threads lists the live threads of a process, none if it is gone, or if /proc
// has other numbers for them than the kernel takes.
func (fs *FS) threads(pid int) ([]int, error) {
	if fs.otherPIDs {
		return nil, nil
	}
	entries, err := os.ReadDir(fs.procPath(strconv.Itoa(pid), "task"))
	if noProcess(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []int
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := fs.process(tid)
		if err == nil && !p.dead() {
			list = append(list, tid)
		} else if err != nil && !noProcess(err) {
			return nil, err
		}
	}
	return list, nil
}

// threadGroup is the process that a thread belongs to; /proc/TID exists for
// every thread, though it is not listed.
func (fs *FS) threadGroup(tid int) (int, error) {
	number, err := fs.numberOf(tid)
	if err != nil {
		return 0, err
	}
	text, err := fs.readProc(number, "status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Tgid:"); ok {
			return strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no Tgid", tid)
}

// name is a process for a message, as far as it can be read.
func (fs *FS) name(pid int) string {
	p, err := fs.process(pid)
	if err != nil {
		return strconv.Itoa(pid)
	}
	return p.String()
}

// names is some processes for a message.
func (fs *FS) names(pids []int) string {
	const most = 5
	var words []string
	for _, pid := range pids[:min(len(pids), most)] {
		words = append(words, fs.name(pid))
	}
	if len(pids) > most {
		words = append(words, fmt.Sprintf("%d more", len(pids)-most))
	}
	return strings.Join(words, ", ")
}

// memberOf is the group of a process, or thread, in a hierarchy.
func (fs *FS) memberOf(pid int, h *Hierarchy) (Membership, bool) {
	list, err := fs.Memberships(pid)
	if err != nil {
		return Membership{}, false
	}
	i := slices.IndexFunc(list, func(m Membership) bool { return h.Holds(m) })
	if i < 0 {
		return Membership{}, false
	}
	return list[i], true
}
