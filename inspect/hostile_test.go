package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// A captured tree is data of somebody else's. Nothing of it may show a file
// outside of it, block, or fill the memory.
func TestHostileTree(t *testing.T) {
	testkit.CheckLeaks(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("a\x00secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A whole process, outside.
	other := testkit.ProcTree(t, testkit.FakeProcess{PID: 30, Comm: "secret", NS: map[string]uint64{"net": 4026539999}})
	up := strings.Repeat("../", 20)
	proc := testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1},
		testkit.FakeProcess{PID: 2, Extra: map[string]string{"cmdline -> " + secret: ""}},
		testkit.FakeProcess{PID: 3, Extra: map[string]string{"cmdline -> " + up + secret[1:]: ""}},
		testkit.FakeProcess{PID: 4, Extra: map[string]string{"stat -> /dev/zero": ""}},
		testkit.FakeProcess{PID: 5, Extra: map[string]string{"cgroup -> /dev/zero": ""}},
		testkit.FakeProcess{PID: 6, Extra: map[string]string{"status -> /dev/zero": ""}},
		testkit.FakeProcess{PID: 7, Extra: map[string]string{"status (fifo)": ""}},
		testkit.FakeProcess{PID: 8, Extra: map[string]string{"ns/net -> net:[77]": ""}},
		testkit.FakeProcess{PID: 9},
		testkit.FakeProcess{PID: 10, Extra: map[string]string{"status": "Uid:\t1\t2\t3\t4\t5\nCpus_allowed_list:\t0-4000000000\n"}},
	)
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(proc, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(filepath.Join(other, "30"), "30")
	if err := os.RemoveAll(filepath.Join(proc, "8/ns")); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(other, "30/ns"), "8/ns")
	if err := os.Truncate(filepath.Join(proc, "9/cmdline"), 20<<30); err != nil { // sparse
		t.Fatal(err)
	}
	root := filepath.Dir(proc)
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	passwd := filepath.Join(root, "etc/passwd")
	for _, make := range []func() error{
		func() error { return unix.Mkfifo(passwd, 0o644) },
		func() error { return os.Symlink("/dev/zero", passwd) },
		func() error { return os.Symlink("/etc/passwd", passwd) },
		func() error { return os.WriteFile(passwd, nil, 0o644) },
	} {
		_ = os.Remove(passwd)
		if err := make(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s := scanAt(t, root, Options{Details: AllDetails, Cgroups: true, Relations: true, Holders: true})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		for i := range s.Processes {
			p := &s.Processes[i]
			if p.Comm == "secret" || slices.Contains(p.Cmdline, "secret") || p.NS[Net] == 4026539999 || p.User == "root" {
				t.Errorf("it shows what lies outside: %+v", p)
			}
			size := 0
			for _, arg := range p.Cmdline {
				size += len(arg)
			}
			if size > maxCmdline {
				t.Errorf("PID %d: a command line of %d bytes", p.PID, size)
			}
		}
		var got []string
		for _, u := range s.Unreadable {
			got = append(got, u.What)
		}
		if want := []string{"cmdline", "cmdline", "namespaces", "cgroup", "status", "status", "namespaces", "namespaces"}; !slices.Equal(got, want) {
			t.Errorf("unreadable: %+v", s.Unreadable)
		}
	}

	// The proc itself, and the files of ip netns, lie inside too.
	elsewhere := t.TempDir()
	if err := os.Symlink(other, filepath.Join(elsewhere, "proc")); err != nil {
		t.Fatal(err)
	}
	if s, err := at(elsewhere).Scan(t.Context(), Options{}); err == nil {
		t.Errorf("its proc leads out: %+v", s.Processes)
	}
	testkit.RequireNS(t, withUser("net")...)
	p := startIn(t, testkit.Config{New: withUser("net")})
	if err := os.MkdirAll(filepath.Join(root, "run/netns"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.Path("ns/net"), filepath.Join(root, "run/netns/blue")); err != nil {
		t.Fatal(err)
	}
	if target, err := at(root).Resolve(t.Context(), "netns:blue"); err == nil {
		target.Close()
		t.Error("netns:blue leads out")
	}
}

// TestHugeCommandLines: a process can make its own as long as it likes.
func TestHugeCommandLines(t *testing.T) {
	testkit.CheckLeaks(t)
	var pids []int
	for range 3 {
		pids = append(pids, startIn(t, testkit.Config{Mode: testkit.HugeArgs}).PID)
	}
	for _, most := range []int{0, 4096} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := scan(t, Options{Details: AllDetails, MaxCmdline: most})
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 48<<20 {
			t.Errorf("at most %d: %d bytes were needed", most, grown)
		}
		for _, pid := range pids {
			p := s.Process(pid)
			if !p.CmdlineCut || len(p.Cmdline) < 100 || p.Cmdline[0] != "A=1234567890123" {
				t.Errorf("at most %d: cut %v, %d arguments", most, p.CmdlineCut, len(p.Cmdline))
			}
		}
		if own := s.Process(os.Getpid()); own.CmdlineCut || !slices.Equal(own.Cmdline, os.Args) {
			t.Errorf("our own: %+v", own)
		}
	}
	target := resolve(t, strconv.Itoa(pids[0]))
	if _, err := target.Environ(t.Context()); !errors.Is(err, unix.EFBIG) {
		t.Errorf("an environment without an end: %v", err)
	}
}

func TestCostOfCommandLines(t *testing.T) {
	for _, c := range []struct {
		text    string
		most    int
		n, cost int
	}{
		{"", 10, 0, 0},
		{"abc\x00", 3, 3, 3},
		{"abc\x00", 100, 4, 20},
		{"a\x00b\x00", 20, 3, 19},
		{strings.Repeat("\x00", 1000), 100, 5, 85},
	} {
		if n, cost := costOf([]byte(c.text), c.most); n != c.n || cost != c.cost {
			t.Errorf("%.10q, %d: %d, %d", c.text, c.most, n, cost)
		}
	}
}
