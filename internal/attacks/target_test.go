package attacks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// dockerCaps are docker's default capabilities.
const (
	dockerCaps = 0x00000000a80425fb
	ptraceCap  = 1 << unix.CAP_SYS_PTRACE
)

// filter answers some system calls itself and lets all others pass.
type filter struct {
	Calls  []uint32
	Answer uint32
	// Request is one of ioctl(2), which is answered too; 0: none.
	Request uint32
}

func (f filter) program() []unix.SockFilter {
	p := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for _, nr := range f.Calls {
		p = append(p,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: f.Answer})
	}
	if f.Request != 0 {
		p = append(p,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_IOCTL, Jf: 3},
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 24}, // the lower half of seccomp_data.args[1]
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: f.Request, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: f.Answer})
	}
	return append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

// playBox becomes its words behind "--" with no more than the given capabilities,
// and is told what else by the words before it.
func playBox(args []string) int {
	for i, word := range args {
		var err error
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "proc": // a new one, for the PID namespace
			if err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err == nil {
				err = unix.Mount("proc", "/proc", "proc", 0, "")
			}
		case "masked": // as the runtimes do
			err = maskProc()
		case "root": // with a /proc of its own
			if err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err == nil {
				err = unix.Chroot(value)
			}
			if err == nil {
				err = unix.Chdir("/")
			}
			if err == nil {
				err = unix.Mount("proc", "/proc", "proc", 0, "")
			}
		case "chroot":
			if err = unix.Chroot(value); err == nil {
				err = unix.Chdir("/")
			}
		case "uid":
			n, _ := strconv.Atoi(value)
			if err = unix.Setgroups(nil); err == nil {
				err = unix.Setresgid(n, n, n)
			}
			if err == nil {
				err = unix.Setresuid(n, n, n)
			}
		case "caps":
			var bounding uint64
			if bounding, err = strconv.ParseUint(value, 16, 64); err == nil {
				err = reduce(bounding)
			}
		case "capless":
			err = setCaps(0)
		case "nnp":
			err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		case "--":
			err = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
			if err == nil {
				err = unix.Exec(args[i+1], args[i+1:], os.Environ())
			}
		default:
			err = unix.EINVAL
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "box: %s: %v\n", word, err)
			return 1
		}
	}
	return 1
}

// maskProc does to /proc what runc does by default, as far as the tests ask.
func maskProc() error {
	if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	return unix.Mount("/dev/null", "/proc/timer_list", "", unix.MS_BIND, "")
}

// reduce takes all but the given capabilities from the thread.
func reduce(keep uint64) error {
	for n := range 64 {
		if keep>>n&1 == 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil && err != unix.EINVAL {
				return err
			}
		}
	}
	return setCaps(keep)
}

func setCaps(set uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all [2]unix.CapUserData
	if err := unix.Capget(&header, &all[0]); err != nil {
		return err
	}
	for i := range all {
		keep := all[i].Permitted & uint32(set>>(32*i))
		all[i] = unix.CapUserData{Effective: keep, Permitted: keep}
	}
	return unix.Capset(&header, &all[0])
}

// playFiltered puts filters on itself, as often as a second argument says, and waits.
func playFiltered(args []string) int {
	var filters []filter
	if err := json.Unmarshal([]byte(args[0]), &filters); err != nil {
		fmt.Fprintln(os.Stderr, "filtered:", err)
		return 1
	}
	if len(args) > 1 {
		n, _ := strconv.Atoi(args[1])
		filters = slices.Repeat(filters, n)
	}
	// All else that is to be said, before a filter can swallow it.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	programs := make([]unix.SockFprog, len(filters))
	for i, f := range filters {
		p := f.program()
		programs[i] = unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	}
	for i := range programs {
		_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&programs[i])))
		if errno == unix.EACCES { // an ordinary user
			_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
			_, _, errno = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&programs[i])))
		}
		if errno != 0 {
			fmt.Fprintln(os.Stderr, "filtered: seccomp:", errno)
			return 1
		}
	}
	for { // by one call that no filter of the tests answers
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// place is a kind of target.
type place struct {
	name  string
	flags uintptr  // of its namespaces
	words []string // to be put before the program
	maps  bool     // uid 0 is 100000
}

// The kinds: of an ordinary user, a rootful container, one that may trace, one
// whose root is nobody outside.
func ordinary() place {
	return place{name: "of an ordinary user", words: []string{
		"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-Urm",
	}}
}

const boxed = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

func rootful(caps uint64, more ...string) place {
	words := append([]string{program("box"), "proc"}, more...)
	return place{name: "rootful", flags: boxed, words: append(words, fmt.Sprintf("caps=%x", caps), "--")}
}

func mapped(caps uint64) place {
	p := rootful(caps)
	p.name, p.maps = "with a user namespace", true
	p.flags |= unix.CLONE_NEWUSER
	return p
}

// requireTargets skips the test unless all kinds can be made here.
func requireTargets(t testing.TB) {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt", "pid", "uts", "ipc", "user")
	testkit.RequireProgram(t, "setpriv")
	testkit.RequireProgram(t, "unshare")
}

// command is a program in the place.
func (p place) command(words ...string) *exec.Cmd {
	cmd := started(p.flags, append(append([]string{}, p.words...), words...)...)
	if p.maps {
		ids := []syscall.SysProcIDMap{{HostID: 100000, Size: 65536}}
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = ids, ids
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
		cmd.SysProcAttr.Credential = &syscall.Credential{}
	}
	return cmd
}

// start starts a program in the place, and waits until it says that it is ready,
// or is under as many filters as asked.
func (p place) start(t testing.TB, words ...string) (pid int) {
	t.Helper()
	cmd := p.command(words...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q: %q, %v", words, line, err)
	}
	return cmd.Process.Pid
}

// filtered starts a target under filters.
func (p place) filtered(t testing.TB, filters ...filter) (pid int) {
	t.Helper()
	spec, err := json.Marshal(filters)
	if err != nil {
		t.Fatal(err)
	}
	cmd := p.command(program("filtered"), string(spec))
	launch(t, cmd)
	testkit.WaitFor(t, tooLong, "the filters", func() bool {
		f := factsOf(cmd.Process.Pid)
		if f == nil || cmd.ProcessState != nil {
			t.Fatal("the target has ended")
		}
		return f.filters == len(filters) && (len(filters) > 0 || isPart(cmd.Process.Pid))
	})
	return cmd.Process.Pid
}

// idle starts a target that does nothing.
func (p place) idle(t testing.TB) (pid int) { return p.idleAt(t, program("idle")) }

// idleAt is idle for one that is elsewhere in the target's root.
func (p place) idleAt(t testing.TB, path string) (pid int) {
	t.Helper()
	cmd := p.command(path)
	launch(t, cmd)
	testkit.WaitFor(t, tooLong, "the target", func() bool { return isIdle(cmd.Process.Pid) })
	return cmd.Process.Pid
}

func isPart(pid int) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.HasPrefix(string(text), program("filtered"))
}
