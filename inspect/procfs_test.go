package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// boot is testkit.InitNS, the namespaces of a fake process by default.
var boot = func() (set NSSet) {
	for _, t := range Types {
		set[t] = testkit.InitNS[t.String()]
	}
	return set
}()

// scanTree scans a fake /proc.
func scanTree(t *testing.T, o Options, processes ...testkit.FakeProcess) *Snapshot {
	t.Helper()
	return scanAt(t, filepath.Dir(testkit.ProcTree(t, processes...)), o)
}

func TestScanOfATree(t *testing.T) {
	testkit.CheckLeaks(t)
	s := scanTree(t, Options{Details: AllDetails, Cgroups: true, ForChildren: true},
		testkit.FakeProcess{PID: 1, Comm: "init", Cmdline: []string{"/sbin/init", "--x"}},
		testkit.FakeProcess{PID: 2, Comm: "kthreadd", Cmdline: []string{}, Flags: 0x00200000},
		testkit.FakeProcess{
			PID: 10, PPID: 1, Comm: "a) b\n(\x1b", UID: 65534, NS: map[string]uint64{"net": 77}, NSPIDs: []int{10, 3},
			Cgroup: "4:memory:/demo\n0::/x\n", ForKids: map[string]uint64{"pid": 78, "time": 79},
		},
		testkit.FakeProcess{PID: 11, PPID: 10, State: 'Z'},
		testkit.FakeProcess{PID: 12, PPID: 1, State: 'T', ForKids: map[string]uint64{"pid": 0}},
	)
	if !s.Complete || len(s.Unreadable) > 0 || s.Hidden != "" || s.Host != "fake" || s.Kernel != "6.18.0-fake" || s.ScannedAt.IsZero() {
		t.Errorf("%+v", s)
	}
	uid := func(n uint32) *uint32 { return &n }
	net := boot
	net[Net] = 77
	root := s.Processes[0].Cgroups
	if len(root) != 1 || root[0].Path != "/" {
		t.Errorf("cgroups of PID 1: %+v", root)
	}
	demo := s.Processes[2].Cgroups
	if len(demo) != 2 || demo[0].Path != "/demo" || demo[1].Path != "/x" {
		t.Errorf("cgroups of PID 10: %+v", demo)
	}
	for i := range s.Processes {
		s.Processes[i].Cgroups = nil
	}
	want := []Process{
		{PID: 1, StartTicks: 100, UID: uid(0), User: "0", Comm: "init", Cmdline: []string{"/sbin/init", "--x"}, State: 'S', NumThreads: 1, NS: boot, NSPIDs: []int{1}},
		{PID: 2, StartTicks: 200, UID: uid(0), User: "0", Comm: "kthreadd", Cmdline: []string{}, State: 'S', KernelThread: true, NumThreads: 1, NS: boot, NSPIDs: []int{2}},
		{
			PID: 10, PPID: 1, StartTicks: 1000, UID: uid(65534), User: "65534", Comm: "a) b\n(\x1b", Cmdline: []string{"a) b\n(\x1b"}, State: 'S',
			NumThreads: 1, NS: net, PIDForChildren: 78, TimeForChildren: 79, NSPIDs: []int{10, 3},
		},
		{PID: 11, PPID: 10, StartTicks: 1100, UID: uid(0), User: "0", Comm: "fake", Cmdline: []string{}, State: 'Z', NumThreads: 1, NS: NSSet{User: boot[User], PID: boot[PID]}, NSPIDs: []int{11}},
		{PID: 12, PPID: 1, StartTicks: 1200, UID: uid(0), User: "0", Comm: "fake", Cmdline: []string{"fake"}, State: 'T', NumThreads: 1, NS: boot, NSPIDs: []int{12}},
	}
	for i := range want {
		if !reflect.DeepEqual(s.Processes[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", s.Processes[i], want[i])
		}
	}
	if n := s.Namespace(ID{PID, boot[PID]}); !slices.Equal(n.PIDs, []int{1, 2, 10, 11, 12}) || n.Leader.PID != 1 || n.Leader.Cmdline[0] != "/sbin/init" {
		t.Errorf("%+v", n)
	}
	if n := s.Namespace(ID{Net, boot[Net]}); !slices.Equal(n.PIDs, []int{1, 2, 12}) || !n.IsInitial() {
		t.Errorf("%+v", n)
	}
	if n := s.Namespace(ID{Net, 77}); n.NProcs != 1 || n.IsInitial() || n.Leader.PID != 10 || n.Leader.User != "65534" {
		t.Errorf("%+v", n)
	}
}

func TestScanReadsNoDetailsUnasked(t *testing.T) {
	tree := []testkit.FakeProcess{{PID: 1}, {PID: 7, PPID: 1}}
	if p := scanTree(t, Options{}, tree...).Process(1); p.UID != nil || p.Cmdline != nil || p.Cgroups != nil || p.NSPIDs != nil || p.User != "" {
		t.Errorf("%+v", p)
	}
	s := scanTree(t, Options{Details: LeaderDetails}, tree...)
	if p := s.Process(1); p.UID == nil || p.Cmdline == nil {
		t.Errorf("the leader: %+v", p)
	}
	if p := s.Process(7); p.UID != nil || p.Cmdline != nil {
		t.Errorf("another process: %+v", p)
	}
}

func TestScanNamesUsers(t *testing.T) {
	proc := testkit.ProcTree(t, testkit.FakeProcess{PID: 1, UID: 1000}, testkit.FakeProcess{PID: 2, UID: 1001})
	root := filepath.Dir(proc)
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("web:x:1000:1000::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := at(root).Scan(t.Context(), Options{Details: AllDetails})
	if err != nil || s.Processes[0].User != "web" || s.Processes[1].User != "1001" {
		t.Errorf("%+v, %v", s.Processes, err)
	}
}

func TestScanOfThreads(t *testing.T) {
	elsewhere := map[string]uint64{"net": 77}
	threads := []testkit.FakeThread{{TID: 11}, {TID: 12, Comm: "worker", NS: elsewhere}}
	tree := []testkit.FakeProcess{{PID: 10, Threads: threads}}
	s := scanTree(t, Options{}, tree...)
	net := boot
	net[Net] = 77
	worker := Thread{TID: 12, Comm: "worker", State: 'S', NS: net}
	if got := s.Process(10).Threads; !reflect.DeepEqual(got, []Thread{worker}) {
		t.Errorf("%+v", got)
	}
	if n := s.Namespace(ID{Net, 77}); n == nil || n.NProcs != 0 || !reflect.DeepEqual(n.HeldBy, []Holder{{Kind: HeldByThread, PID: 10, TID: 12}}) {
		t.Errorf("%+v", n)
	}
	s = scanTree(t, Options{Threads: true}, tree...)
	if got := s.Process(10).Threads; !reflect.DeepEqual(got, []Thread{{TID: 11, Comm: "fake", State: 'S', NS: boot}, worker}) {
		t.Errorf("all: %+v", got)
	}
}

// TestScanOfAnOldKernel: no time and no cgroup namespaces. Nothing is missing
// then, and threads are still compared.
func TestScanOfAnOldKernel(t *testing.T) {
	old := map[string]uint64{"time": 0, "cgroup": 0}
	moved := map[string]uint64{"time": 0, "cgroup": 0, "uts": 77}
	s := scanTree(t, Options{},
		testkit.FakeProcess{PID: 1, NS: old},
		testkit.FakeProcess{PID: 5, NS: old, Threads: []testkit.FakeThread{{TID: 6, NS: old}, {TID: 7, NS: moved}}},
	)
	want := boot
	want[Time], want[Cgroup] = 0, 0
	if !s.Complete || s.Processes[0].NS != want || s.Processes[1].NS != want {
		t.Errorf("%+v", s)
	}
	if n := s.Namespace(ID{UTS, 77}); n == nil || len(n.HeldBy) != 1 || n.HeldBy[0].TID != 7 {
		t.Errorf("%+v", n)
	}
	for _, n := range s.Namespaces {
		if n.Type == Time || n.Type == Cgroup {
			t.Errorf("%s is in the list", n.ID())
		}
	}
}

// TestScanOfADeadLeader: its threads run on in namespaces which its own links
// no longer show.
func TestScanOfADeadLeader(t *testing.T) {
	s := scanTree(t, Options{}, testkit.FakeProcess{PID: 10, State: 'Z', Threads: []testkit.FakeThread{{TID: 11}}, Extra: map[string]string{
		"task/11/stat":                       "11 (live) S 1 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 2 0 55",
		"task/11/ns/net -> net:[77]":         "",
		"task/11/ns/mnt -> mnt:[78]":         "",
		"task/11/ns/uts -> uts:[79]":         "",
		"task/11/ns/ipc -> ipc:[80]":         "",
		"task/11/ns/cgroup -> cgroup:[81]":   "",
		"task/11/ns/time -> time:[82]":       "",
		"task/11/ns/user -> user:[99]":       "", // which is the leader's by the rules of the kernel
		"task/11/ns/pid -> pid:[4026531836]": "",
	}})
	p := s.Process(10)
	want := NSSet{Net: 77, Mnt: 78, UTS: 79, IPC: 80, Cgroup: 81, Time: 82, User: boot[User], PID: boot[PID]}
	if len(p.Threads) != 1 || p.Threads[0].NS != want || p.Threads[0].Comm != "live" || p.NS != (NSSet{User: boot[User], PID: boot[PID]}) {
		t.Fatalf("%+v", p)
	}
	if n := s.Namespace(ID{Net, 77}); n == nil || n.NProcs != 0 || !reflect.DeepEqual(n.HeldBy, []Holder{{Kind: HeldByThread, PID: 10, TID: 11}}) {
		t.Errorf("%+v", n)
	}
}

// TestScanOfGarbage: whatever lies in a captured tree, the scan ends, says what
// it could not make sense of, and shows the rest.
func TestScanOfGarbage(t *testing.T) {
	testkit.CheckLeaks(t)
	junk := "\x00\xff\x1b[2J\n" + strings.Repeat("A", 5000)
	huge := strings.Repeat("x", 100_000)
	tree := []testkit.FakeProcess{
		{PID: 1},
		{PID: 100, Extra: map[string]string{"stat": junk}},
		{PID: 101, Extra: map[string]string{"stat": ""}},
		{PID: 102, Extra: map[string]string{"stat (fifo)": ""}},
		{PID: 103, Extra: map[string]string{"stat/": ""}},
		{PID: 104, Extra: map[string]string{"stat -> stat": ""}},
		{PID: 105, Extra: map[string]string{"ns/cgroup -> \x1b[31m": ""}},
		{PID: 106, Extra: map[string]string{"ns/net -> uts:[5]": ""}},
		{PID: 107, Extra: map[string]string{"ns/net": "a file"}},
		{PID: 108, Extra: map[string]string{"ns/net -> net:[" + strings.Repeat("9", 80) + "]": ""}},
		{PID: 109, Extra: map[string]string{"cgroup": junk}},
		{PID: 110, Extra: map[string]string{"cgroup/": ""}},
		{PID: 111, Extra: map[string]string{"cgroup (fifo)": ""}},
		{PID: 112, Extra: map[string]string{"cmdline (fifo)": ""}},
		{PID: 113, Extra: map[string]string{"cmdline/": ""}},
		{PID: 114, Extra: map[string]string{"cmdline": huge}},
		{PID: 115, Extra: map[string]string{"status": junk}},
		{PID: 116, Threads: []testkit.FakeThread{{TID: 5116}}, Extra: map[string]string{"task/5116/ns/net -> junk": ""}},
		{PID: 117, Threads: []testkit.FakeThread{{TID: 5117}}, Extra: map[string]string{"task/junk/": "", "task/0/": "", "task/-1/": "", "task/00/": ""}},
		{PID: 118, Extra: map[string]string{"ns/pid_for_children -> junk": "", "ns/time_for_children": "junk"}},
		{PID: 119, Extra: map[string]string{"cgroup": strings.Repeat("0::/"+strings.Repeat("a", 4000)+"\n", 10)}},
		{PID: 120, NS: map[string]uint64{"cgroup": 0, "ipc": 0, "mnt": 0, "net": 0, "pid": 0, "time": 0, "user": 0, "uts": 0}},
	}
	root := filepath.Dir(testkit.ProcTree(t, tree...))
	for _, odd := range []string{"proc/0", "proc/007", "proc/99999999999", "proc/12x", "proc/-5"} {
		if err := os.Mkdir(filepath.Join(root, odd), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"proc/200": "a file with a number", "proc/self": "junk"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "proc/201"), 0o755); err != nil { // as of one that is gone
		t.Fatal(err)
	}
	s, err := at(root).Scan(t.Context(), Options{Details: AllDetails, Cgroups: true, Relations: true, Binds: true, Holders: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.Complete {
		t.Error("it calls itself complete")
	}
	var got []string
	for _, u := range s.Unreadable {
		got = append(got, fmt.Sprint(u.PID, " ", u.What))
		if len(u.Error) > 500 {
			t.Errorf("PID %d: an error of %d bytes", u.PID, len(u.Error))
		}
	}
	want := []string{
		"100 namespaces", "101 namespaces", "102 namespaces", "103 namespaces", "104 namespaces", "105 namespaces",
		"106 namespaces", "107 namespaces", "108 namespaces", "109 cgroup", "110 cgroup", "111 cgroup", "112 cmdline", "113 cmdline", "116 threads",
		"120 namespaces", "200 namespaces",
	}
	if !slices.Equal(got, want) {
		t.Errorf("unreadable\ngot  %q\nwant %q", got, want)
	}
	for _, p := range tree {
		if noStat := p.PID >= 100 && p.PID <= 104; (s.Process(p.PID) == nil) != noStat {
			t.Errorf("PID %d: %+v", p.PID, s.Process(p.PID))
		}
	}
	if got := s.Process(114).Cmdline; !slices.Equal(got, []string{huge}) {
		t.Errorf("a long command line: %d bytes", len(strings.Join(got, "")))
	}
	if got := s.Process(119).Cgroups; len(got) != 10 {
		t.Errorf("a long cgroup file: %d memberships", len(got))
	}
	if p := s.Process(118); p.PIDForChildren != 0 || p.TimeForChildren != 0 {
		t.Errorf("%+v", p)
	}
	for _, n := range s.Namespaces {
		if n.Inode == 0 {
			t.Errorf("%+v", n)
		}
	}
}

func TestScanOfUnreadableDirectories(t *testing.T) {
	testkit.RequireUser(t)
	testkit.CheckLeaks(t)
	s := scanTree(t, Options{Cgroups: true, Details: AllDetails},
		testkit.FakeProcess{PID: 1},
		testkit.FakeProcess{PID: 2, Extra: map[string]string{"ns/ (unreadable)": ""}},
		testkit.FakeProcess{PID: 3, Extra: map[string]string{"stat (unreadable)": ""}},
		testkit.FakeProcess{PID: 4, Extra: map[string]string{"cgroup (unreadable)": "", "cmdline (unreadable)": ""}},
		testkit.FakeProcess{PID: 5, Threads: []testkit.FakeThread{{TID: 6}}, Extra: map[string]string{"task/ (unreadable)": ""}},
	)
	want := []Unreadable{
		{2, "namespaces", "EACCES"}, {3, "namespaces", "EACCES"}, {4, "cgroup", "EACCES"}, {4, "cmdline", "EACCES"}, {5, "threads", "EACCES"},
	}
	if !slices.Equal(s.Unreadable, want) || s.Complete || s.UnreadableProcesses() != 2 {
		t.Errorf("%+v", s.Unreadable)
	}
	if p := s.Process(2); p == nil || p.NS != (NSSet{}) || p.Comm != "fake" {
		t.Errorf("%+v", p)
	}
}

func TestScanOfNothing(t *testing.T) {
	testkit.CheckLeaks(t)
	empty := testkit.Tree(t, map[string]string{"proc/": "", "file/proc": "no directory"})
	for _, c := range []struct {
		root string
		err  error
		says string
	}{
		{empty, nil, "holds no processes: is a procfs mounted there?"},
		{filepath.Join(empty, "nowhere"), fs.ErrNotExist, "reading the process table"},
		{filepath.Join(empty, "file"), unix.ENOTDIR, "reading the process table"},
	} {
		s, err := at(c.root).Scan(t.Context(), Options{})
		if err == nil || s != nil || !strings.Contains(err.Error(), c.says) || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", c.root, s, err)
		}
	}
}

func TestScanStopsWithItsContext(t *testing.T) {
	testkit.CheckLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, root := range []string{"/", filepath.Dir(testkit.ProcTree(t, testkit.FakeProcess{PID: 1}))} {
		s, err := at(root).Scan(ctx, Options{Relations: true, Details: AllDetails, Holders: true})
		if s != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v", root, s, err)
		}
	}
}

func TestErrorName(t *testing.T) {
	for err, want := range map[error]string{
		unix.EACCES: "EACCES",
		fmt.Errorf("x: %w", &os.PathError{Op: "open", Path: "y", Err: unix.EIO}): "EIO",
		errNoLinks: "no links below ns/",
	} {
		if got := errorName(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
