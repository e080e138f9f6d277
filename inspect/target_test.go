package inspect

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// resolve pins a target for the test.
func resolve(t *testing.T, word string) *Target {
	t.Helper()
	target, err := Resolve(t.Context(), word, Options{})
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
	if _, err := Resolve(t.Context(), strconv.Itoa(p.PID)+"/4194304", Options{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a thread that is not there: %v", err)
	}
	// Its own number is no process's.
	_, err := Resolve(t.Context(), strconv.Itoa(p.Thread), Options{})
	if want := strconv.Itoa(p.PID) + "/" + strconv.Itoa(p.Thread); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a thread by its number: %v; want an error that says %s", err, want)
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

func TestResolveNamespaceOfNobody(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, word := range []string{"net:[4294967290]", "4294967290"} {
		if _, err := Resolve(t.Context(), word, Options{}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), word) {
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
	} {
		if _, err := Resolve(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want an error that says %q", path, err, says)
		}
	}
}

func TestResolveNobody(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, word := range []string{"4194304", "netns:nsx-test-none", "nsx-test-none", "cgroup:/nsx-test-none"} {
		if _, err := Resolve(t.Context(), word, Options{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", word, err)
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
	target, err := Resolve(t.Context(), strconv.Itoa(again), Options{Root: root})
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
	if file, id, err := target.OpenNamespace(PID); !IsGone(err) {
		t.Errorf("got %v, %s, %v of the process that has the PID now", file, id, err)
	}
	if target.Alive() {
		t.Error("the dead process is alive")
	}
}

func TestResolveUnderOtherProc(t *testing.T) {
	testkit.CheckLeaks(t)
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(t.Context(), "self", Options{Root: root}); !errors.Is(err, ErrNotFound) {
		t.Errorf("self in a /proc without us: %v", err)
	}
}

// Pin takes the leader, unless that has moved on.
func TestPin(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("uts"), Mode: testkit.FDHolder, Apart: []string{"net"}})
	s := scan(t, Options{Relations: true, Holders: true})
	led, bare := ID{UTS, p.NS("uts")}, held(t, p, Net)
	target, err := s.Pin(led, Options{})
	if err != nil || target.PID != p.PID {
		t.Fatalf("%+v, %v", target, err)
	}
	opens(t, target, led)
	target.Close()
	if target, err = s.Pin(bare, Options{}); err != nil || target.PID != 0 {
		t.Fatalf("%+v, %v", target, err)
	}
	opens(t, target, bare)
	target.Close()
	p.Kill()
	if _, err := s.Pin(led, Options{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a namespace that is gone: %v", err)
	}
	if _, err := s.Pin(ID{Net, 1}, Options{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a namespace that never was: %v", err)
	}
}
