package inspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// resolve pins a target for the test.
func resolve(t *testing.T, word string) *Target {
	t.Helper()
	target, err := Resolve(t.Context(), word)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

// opens checks that a target leads to that namespace.
func opens(t *testing.T, target *Target, want ID) {
	t.Helper()
	file, id, err := target.OpenNamespace(want.Type)
	if err != nil {
		t.Errorf("%s: opening %s: %v", target.Word, want, err)
		return
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || id != want || st.Ino != want.Inode {
		t.Errorf("%s: opened %s (inode %d), %v; want %s", target.Word, id, st.Ino, err, want)
	}
}

func TestResolveProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts", "net")})
	for _, word := range []string{strconv.Itoa(p.PID), "pid:" + strconv.Itoa(p.PID)} {
		target := resolve(t, word)
		if target.PID != p.PID || target.PIDFD() < 0 || !target.Alive() || target.StartTicks == 0 {
			t.Errorf("%s: %+v", word, target)
		}
		for _, typ := range []Type{UTS, Net, Mnt} {
			opens(t, target, ID{typ, p.NS(typ.String())})
		}
		target.Close()
	}
}

func TestResolveThread(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts"), Mode: testkit.ThreadElsewhere, Apart: []string{"net"}})
	thread := resolve(t, strconv.Itoa(p.PID)+"/"+strconv.Itoa(p.Thread))
	opens(t, thread, held(t, p, Net))
	opens(t, resolve(t, strconv.Itoa(p.PID)), ID{Net, p.NS("net")})
	if _, err := Resolve(t.Context(), strconv.Itoa(p.PID)+"/4194304"); !errors.Is(err, ErrGone) {
		t.Errorf("a thread that is not there: %v", err)
	}
	// Its own number is no process's, alone or before a slash, though /proc
	// has such a directory.
	for _, word := range []string{strconv.Itoa(p.Thread), strconv.Itoa(p.Thread) + "/" + strconv.Itoa(p.Thread)} {
		_, err := Resolve(t.Context(), word)
		if want := strconv.Itoa(p.PID) + "/" + strconv.Itoa(p.Thread); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a thread by %s: %v; want an error that says %s", word, err, want)
		}
	}
	if want := "thread " + strconv.Itoa(p.Thread) + " of process " + strconv.Itoa(p.PID); thread.Name() != want {
		t.Errorf("it is called %q, want %q", thread.Name(), want)
	}
	p.Kill()
	if _, _, err := thread.OpenNamespace(Net); !errors.Is(err, ErrGone) || thread.Alive() {
		t.Errorf("a dead thread's: %v, alive %v", err, thread.Alive())
	}
}

// TestResolveThreadOfADeadLeader: what is left of the process is in its threads.
func TestResolveThreadOfADeadLeader(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("ipc"), Mode: testkit.DeadLeader})
	leader := resolve(t, strconv.Itoa(p.PID))
	if _, _, err := leader.OpenNamespace(UTS); !errors.Is(err, unix.ENOENT) || !leader.Alive() {
		t.Errorf("the leader's: %v, alive %v", err, leader.Alive())
	}
	opens(t, leader, ID{User, p.NS("user")})
	opens(t, resolve(t, strconv.Itoa(p.PID)+"/"+strconv.Itoa(p.Thread)), held(t, p, UTS))
}

// TestResolveInit: process 1 can be pinned by everybody, but its namespaces
// may be refused even to root.
func TestResolveInit(t *testing.T) {
	testkit.CheckLeaks(t)
	target := resolve(t, "init")
	if target.PID != 1 || !target.Alive() || target.Name() != "process 1" {
		t.Errorf("%+v", target)
	}
	for _, typ := range Types {
		direct, want := unix.Open("/proc/1/ns/"+typ.String(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if want == nil {
			unix.Close(direct)
		}
		file, id, err := target.OpenNamespace(typ)
		if err == nil {
			file.Close()
		}
		if !errors.Is(err, want) || (err == nil) != (id.Type == typ && id.Inode != 0) {
			t.Errorf("%s: %s, %v; the kernel says %v", typ, id, err, want)
		}
		if os.Geteuid() != 0 && !errors.Is(err, unix.EACCES) {
			t.Errorf("%s: %v; want EACCES", typ, err)
		}
	}
}

func TestResolveSelf(t *testing.T) {
	testkit.CheckLeaks(t)
	if target := resolve(t, "self"); target.PID != os.Getpid() {
		t.Errorf("self is %d, want %d", target.PID, os.Getpid())
	}
}

// Whatever holds a namespace leads to it by its inode number.
func TestResolveNamespace(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, c := range []struct {
		mode  testkit.Mode
		types []string
		root  bool // only root can open it
	}{
		{testkit.Plain, nil, false},
		{testkit.ThreadElsewhere, []string{"net"}, false},
		{testkit.FDHolder, []string{"net", "uts", "ipc"}, false},
		{testkit.BindHolder, []string{"net"}, false},
		{testkit.SocketHolder, []string{"net"}, true},
		{testkit.PIDForChildrenDead, []string{"pid"}, false},
	} {
		name := string(c.mode)
		if name == "" {
			name = "plain"
		}
		t.Run(name, func(t *testing.T) {
			if c.root {
				testkit.RequireRoot(t)
			}
			p := startIn(t, testkit.Config{New: withUser("uts"), Mode: c.mode, Apart: c.types})
			ids := []ID{{UTS, p.NS("uts")}}
			if c.types != nil {
				ids = nil
			}
			for _, name := range c.types {
				typ, err := ParseType(name)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, held(t, p, typ))
			}
			for _, id := range ids {
				for _, word := range []string{id.String(), id.Type.String() + ":" + strconv.FormatUint(id.Inode, 10), strconv.FormatUint(id.Inode, 10)} {
					target := resolve(t, word)
					if target.ID != id || target.PID != 0 || !target.Alive() {
						t.Errorf("%s: %+v", word, target)
					}
					opens(t, target, id)
					target.Close()
				}
			}
		})
	}
}

// TestResolveUserNamespaceOfNobody: a user namespace that only its child keeps.
func TestResolveUserNamespaceOfNobody(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user")
	unshare := testkit.RequireProgram(t, "unshare")
	// It executes itself, so that nobody stays in the namespace between.
	pid, _ := startProgram(t, unshare, "-Ur", unshare, "-Ur", "sh", "-c", "echo; exec sleep 30")
	inner, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	fd, err := linux.NSParent(int(inner.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	inode, err := inodeOf(fd)
	unix.Close(fd)
	if own, _ := testkit.OwnNS("user"); err != nil || inode == own {
		t.Fatalf("there is no namespace between: %d, %v", inode, err)
	}
	id := ID{User, inode}
	namespace(t, scan(t, Options{Relations: true}), id)
	target := resolve(t, id.String())
	opens(t, target, id)
	if target.PID != 0 || target.Name() != id.String() {
		t.Errorf("%+v", target)
	}
}

func TestResolveNamespaceOfNobody(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, word := range []string{"net:[4294967290]", "4294967290"} {
		if _, err := Resolve(t.Context(), word); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestResolveFile(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("net")})
	target := resolve(t, p.Path("ns", "net"))
	opens(t, target, ID{Net, p.NS("net")})
	if _, _, err := target.OpenNamespace(UTS); err == nil {
		t.Error("a network namespace was opened as a UTS namespace")
	}
	if _, err := target.Open("root", unix.O_PATH); err == nil {
		t.Error("a namespace has a root directory")
	}

	dir := t.TempDir()
	for _, link := range [][2]string{{p.Path("ns", "net"), "link"}, {"nothing", "dangling"}, {"loop", "loop"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	opens(t, resolve(t, filepath.Join(dir, "link")), ID{Net, p.NS("net")})
	if err := os.MkdirAll(filepath.Join(dir, "run/netns"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run/netns/undone"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"/etc/passwd":              "a regular file",
		filepath.Join(dir, "fifo"): "a FIFO", // and does not block
		dir:                        "a directory",
		"/dev/null":                "a device",
		"/proc/self/stat":          "a regular file",
		dir + "/nothing":           "no such file",
		dir + "/dangling":          "no such file",
		dir + "/loop":              "symbolic links",
		dir + "/socket":            "a socket",
		dir + "/run/netns/undone":  "bind mount was undone",
		dir + "/\x00":              "invalid argument",
		".":                        "a directory",
		p.Path("ns"):               "a directory",
		p.Path("ns", "nothing"):    "no such file",
	} {
		if _, err := Resolve(t.Context(), path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want an error that says %q", path, err, says)
		}
	}
}

// TestResolveNetns has ip-netns(8)'s file, on a thread whose mounts nobody else
// sees.
func TestResolveNetns(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	p := startIn(t, testkit.Config{New: []string{"net"}})
	for _, dir := range []string{"run", "var/run"} {
		root := t.TempDir()
		file := filepath.Join(root, dir, "netns/blue")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		apartFromMachine(t, func() error {
			if err := unix.Mount(p.Path("ns", "net"), file, "", unix.MS_BIND, ""); err != nil {
				return err
			}
			for _, word := range []string{"netns:blue", "blue", file} {
				target, err := at(root).Resolve(t.Context(), word)
				if err != nil {
					return err
				}
				opens(t, target, ID{Net, p.NS("net")})
				target.Close()
			}
			return nil
		})
	}
}

// TestResolveCgroup: the oldest process of a group stands for it.
func TestResolveCgroup(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	group := "/nsx-test-target-" + strconv.Itoa(os.Getpid())
	dir := testkit.RequireCgroup2(t) + group
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the fixtures' end
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	word := "cgroup:" + group
	if _, err := Resolve(t.Context(), word); !errors.Is(err, ErrGone) {
		t.Errorf("an empty group: %v", err)
	}
	oldest := startIn(t, testkit.Config{New: []string{"uts"}})
	time.Sleep(20 * time.Millisecond) // start times are counted in hundredths of a second
	second := startIn(t, testkit.Config{})
	for _, p := range []*testkit.Proc{second, oldest} { // not in the order in which they came
		if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(p.PID)), 0); err != nil {
			t.Fatal(err)
		}
	}
	target := resolve(t, word)
	if target.PID != oldest.PID || target.Word != word || target.PIDFD() < 0 {
		t.Errorf("%+v, want process %d", target, oldest.PID)
	}
	opens(t, target, ID{UTS, oldest.NS("uts")})
	oldest.Kill()
	if target := resolve(t, word); target.PID != second.PID {
		t.Errorf("%+v, want process %d", target, second.PID)
	}
}

func TestResolveInATree(t *testing.T) {
	testkit.CheckLeaks(t)
	root := filepath.Dir(testkit.ProcTree(t,
		testkit.FakeProcess{PID: 5, Cgroup: "0::/dead\n", State: 'Z'},
		testkit.FakeProcess{PID: 7, Cgroup: "0::/two\n", StartTicks: 900},
		testkit.FakeProcess{PID: 8, Cgroup: "0::/two\n", StartTicks: 800, NS: map[string]uint64{"net": 4026532999}},
		testkit.FakeProcess{PID: 9, Extra: map[string]string{"stat": "9 (garbage) S\n"}},
		testkit.FakeProcess{PID: os.Getpid(), Cgroup: "0::/own\n"},
	))
	// As a copy of a /proc has it, and by chance with our number.
	if err := os.Symlink(strconv.Itoa(os.Getpid()), filepath.Join(root, "proc/self")); err != nil {
		t.Fatal(err)
	}
	for word, pid := range map[string]int{"7": 7, "cgroup:/two": 8, "self": os.Getpid()} {
		target, err := at(root).Resolve(t.Context(), word)
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if target.PID != pid || target.PIDFD() >= 0 || target.StartTicks == 0 {
			t.Errorf("%s: %+v", word, target)
		}
		if _, _, err := target.OpenNamespace(Net); !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: %v", word, err)
		}
		target.Close()
	}
	for word, says := range map[string]string{
		"6":                "no process 6",
		"7/8":              "no thread 8",
		"9":                "pinning process 9",
		"cgroup:/dead":     "no living process",
		"cgroup:/own":      "no living process but this one",
		"net:[4026532999]": "no way to open it",
		"netns:blue":       "no network namespace \"blue\"",
	} {
		if target, err := at(root).Resolve(t.Context(), word); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v; want an error that says %q", word, target, err, says)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, word := range []string{"cgroup:/two", "net:[4026532999]"} {
		if _, err := at(root).Resolve(canceled, word); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", word, err)
		}
		if _, err := at(t.TempDir()).Resolve(t.Context(), word); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s without a /proc: %v", word, err)
		}
	}
}

// TestResolveWithoutPIDFD: where there are no pidfds, the directory pins. What
// else may go wrong is not passed over.
func TestResolveWithoutPIDFD(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts")})
	for errno, want := range map[unix.Errno]error{
		unix.ENOSYS: nil,
		unix.EPERM:  nil, // an old seccomp profile of containers
		unix.ESRCH:  ErrGone,
		unix.EMFILE: unix.EMFILE,
		unix.EINVAL: ErrGone, // as Linux 6.1 says of a process that is being reaped
		unix.ENFILE: unix.ENFILE,
	} {
		withoutPIDFD(t, errno, func() {
			target, err := Resolve(t.Context(), strconv.Itoa(p.PID))
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s: %v, want %v", unix.ErrnoName(errno), err, want)
			}
			if err != nil {
				return
			}
			defer target.Close()
			if target.PIDFD() != -1 || !target.Alive() {
				t.Errorf("%s: %+v", unix.ErrnoName(errno), target)
			}
			opens(t, target, ID{UTS, p.NS("uts")})
		})
	}
}

// withoutPIDFD runs f on a thread for which pidfd_open(2) fails.
func withoutPIDFD(t *testing.T, errno unix.Errno, f func()) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PIDFD_OPEN, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	done := make(chan error)
	linux.OnThread(func() {
		done <- func() error {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return os.NewSyscallError("prctl", err)
			}
			program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
			_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
			if errno != 0 {
				return os.NewSyscallError("seccomp", errno)
			}
			f()
			return nil
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestResolveNobody(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{})
	p.Kill()
	dead := strconv.Itoa(p.PID)
	for _, word := range []string{"4194304", dead, dead + "/" + dead, "netns:nsx-test-none", "nsx-test-none", "cgroup:/nsx-test-none"} {
		if _, err := Resolve(t.Context(), word); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestDeadTarget: whatever is asked of a process that has died is refused.
func TestDeadTarget(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts")})
	target := resolve(t, strconv.Itoa(p.PID))
	if env, err := target.Environ(t.Context()); err != nil || len(env) == 0 {
		t.Errorf("%q, %v", env, err)
	}
	if got := scan(t, Options{}).Process(p.PID).StartTicks; got != target.StartTicks {
		t.Errorf("started at %d, a scan says %d", target.StartTicks, got)
	}
	p.Kill()
	for _, typ := range Types {
		if _, id, err := target.OpenNamespace(typ); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %s, %v", typ, id, err)
		}
	}
	if env, err := target.Environ(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("%q, %v", env, err)
	}
	if dir, err := target.Open("root", unix.O_PATH); !errors.Is(err, ErrGone) {
		t.Errorf("%v, %v", dir, err)
	}
	if target.Alive() {
		t.Error("it is alive")
	}
	for range 2 { // a second Close does nothing
		if err := target.Close(); err != nil || target.PIDFD() != -1 {
			t.Errorf("closed: %v, %+v", err, target)
		}
	}
}

func TestResolveZombie(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts"), Mode: testkit.Zombie})
	target := resolve(t, strconv.Itoa(p.PID))
	if _, _, err := target.OpenNamespace(UTS); !errors.Is(err, unix.ENOENT) || !target.Alive() {
		t.Errorf("a zombie's UTS namespace: %v, alive %v", err, target.Alive())
	}
	if !target.Exiting() || resolve(t, "self").Exiting() {
		t.Error("the zombie is not said to be exiting, or we are")
	}
}

// startTalking starts a program that writes a line when it is ready, which is returned,
// and may wait for the end of its input. It ends with us, or when the caller sees to it.
func startTalking(t *testing.T, cmd *exec.Cmd) (in io.WriteCloser, line string) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("%s: %q, %v", cmd.Path, line, err)
	}
	return in, strings.TrimSpace(line)
}

// startProgram starts a program that writes a line when it is ready, and ends
// it with the test.
func startProgram(t *testing.T, path string, args ...string) (pid int, stdin io.Writer) {
	t.Helper()
	cmd := exec.Command(path, args...)
	in, _ := startTalking(t, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, in
}

// A target whose process has died answers for nobody else, not even when its
// PID is used again.
func TestTargetIsNotReused(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "pid", "mnt")
	testkit.RequireProgram(t, "nsenter")
	// A PID namespace of its own, whose next PID can be chosen.
	p := testkit.Start(t, testkit.Config{New: []string{"pid", "mnt"}})
	nsenter := func(args ...string) *exec.Cmd {
		return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(p.PID), "-p", "-m", "--"}, args...)...)
	}
	if out, err := nsenter("mount", "-t", "proc", "proc", "/proc").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const again = 300
	// start starts a process with that PID, and returns what ends it.
	start := func() (end func()) {
		set := nsenter("sh", "-c", "echo "+strconv.Itoa(again-1)+" > /proc/sys/kernel/ns_last_pid")
		if out, err := set.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := nsenter("sh", "-c", "echo $$; exec sleep 30")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var line [16]byte
		n, _ := out.Read(line[:])
		if got := strings.TrimSpace(string(line[:n])); got != strconv.Itoa(again) {
			t.Fatalf("the process is %q, want %d", got, again)
		}
		return func() {
			_ = nsenter("kill", "-KILL", strconv.Itoa(again)).Run()
			_ = cmd.Wait() // nsenter has reaped it
		}
	}
	root := filepath.Join("/proc", strconv.Itoa(p.PID), "root")
	endFirst := start()
	target, err := at(root).Resolve(t.Context(), strconv.Itoa(again))
	if err != nil {
		endFirst()
		t.Fatal(err)
	}
	defer target.Close()
	if target.PIDFD() >= 0 {
		t.Error("a pidfd of our own PID namespace for a process of another")
	}
	opens(t, target, ID{PID, p.NS("pid")})
	endFirst()
	defer start()()
	if file, id, err := target.OpenNamespace(PID); !errors.Is(err, ErrGone) {
		t.Errorf("got %v, %s, %v of the process that has the PID now", file, id, err)
	}
	if target.Alive() {
		t.Error("the dead process is alive")
	}
}

// sameNumberEnv is set for TestSameNumberInTwoPIDNamespaces's second half.
const sameNumberEnv = "NSX_TEST_SAME_NUMBER"

// TestSameNumberInTwoPIDNamespaces has a process that is 400 in its own PID
// namespace and 400 in the one of its /proc. The numbers of others still mean
// different processes, so that pidfd_open must not be asked.
func TestSameNumberInTwoPIDNamespaces(t *testing.T) {
	if os.Getenv(sameNumberEnv) != "" {
		if self, err := (Machine{}).self(); err != nil || self != os.Getpid() || self != 400 {
			t.Fatalf("other numbers: %d and %d, %v", self, os.Getpid(), err)
		}
		if target := resolve(t, "self"); target.PIDFD() != -1 || target.PID != 400 {
			t.Errorf("%+v", target)
		}
		return
	}
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "mnt", "pid")
	nsenter := testkit.RequireProgram(t, "nsenter")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, testkit.Config{New: []string{"pid", "mnt"}, Depth: 2})
	outer, inner := "/proc/"+strconv.Itoa(p.Levels[0])+"/ns/", "/proc/"+strconv.Itoa(p.Levels[1])+"/ns/"
	run := func(args ...string) string {
		cmd := exec.Command(nsenter, args...)
		cmd.Env = append(os.Environ(), sameNumberEnv+"=1")
		out, err := cmd.CombinedOutput()
		return string(out) + fmt.Sprint(err)
	}
	if out := run("--pid="+outer+"pid", "--mount="+outer+"mnt", "mount", "-t", "proc", "proc", "/proc"); out != "<nil>" {
		t.Fatal(out)
	}
	out := ""
	for range 10 { // until no thread of the fixture takes the number
		if out := run("--pid="+outer+"pid", "sh", "-c", "echo 398 > /proc/sys/kernel/ns_last_pid"); out != "<nil>" {
			t.Fatal(out)
		}
		// The shell is 399 in the outer namespace; its child 400 in both.
		out = run("--pid="+inner+"pid", "--mount="+outer+"mnt", "sh", "-c",
			`echo 399 > /proc/sys/kernel/ns_last_pid && "$0" -test.run='^TestSameNumberInTwoPIDNamespaces$' -test.v; exit $?`, program)
		if !strings.Contains(out, "other numbers") {
			break
		}
	}
	if !strings.Contains(out, "--- PASS: TestSameNumber") || !strings.HasSuffix(out, "<nil>") {
		t.Error(out)
	}
}

func TestResolveUnderOtherProc(t *testing.T) {
	testkit.CheckLeaks(t)
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := at(root).Resolve(t.Context(), "self"); !errors.Is(err, ErrGone) {
		t.Errorf("self in a /proc without us: %v", err)
	}
}

// The number of a process group outlives its leader.
func TestPIDFDOfReapedLeader(t *testing.T) {
	if fd, err := openPIDFD(testkit.ReapedLeader(t)); !errors.Is(err, unix.ESRCH) {
		t.Errorf("%d, %v", fd, err)
	}
}

// TestZeroTarget: it has nothing, touches nobody's descriptors and says so.
func TestZeroTarget(t *testing.T) {
	testkit.CheckLeaks(t) // which needs the standard streams too
	var target Target
	if f, id, err := target.OpenNamespace(0); err == nil {
		t.Errorf("a namespace: %v, %s", f, id)
	}
	if f, id, err := target.OpenNamespace(Net); err == nil {
		t.Errorf("a network namespace: %v, %s", f, id)
	}
	if _, err := target.ReadFile("status"); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("a file: %v", err)
	}
	if env, err := target.Environ(t.Context()); err == nil {
		t.Errorf("an environment: %v", env)
	}
	if target.PIDFD() != -1 || target.Name() != "no target" || target.Exiting() {
		t.Errorf("pidfd %d of %s", target.PIDFD(), target.Name())
	}
	if err := target.Close(); err != nil {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(0, unix.F_GETFD, 0); err != nil {
		t.Errorf("standard input: %v", err)
	}
}

// TestEnvironOfTheStuck: an environment that cannot be read is waited for a second,
// or as long as the caller likes.
func TestEnvironOfTheStuck(t *testing.T) {
	testkit.CheckLeaks(t)
	p := testkit.RequireStuck(t, testkit.Config{})
	defer p.Kill() // before the leak check: the readers left behind then end
	target := resolve(t, strconv.Itoa(p.PID))
	if env, err := target.Environ(t.Context()); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("%v, %v", env, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if env, err := target.Environ(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > environTimeout/2 {
		t.Errorf("after %v: %v, %v", time.Since(start), env, err)
	}
	target.Close() // what reads has a descriptor of its own
	cancel()
	if env, err := resolve(t, "self").Environ(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", env, err)
	}
}
