package inspect

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
	"nsx/internal/testkit"
)

// withUser is the types plus what an ordinary user needs to create them.
func withUser(types ...string) []string {
	if os.Geteuid() != 0 && !slices.Contains(types, "user") {
		types = append(types, "user")
	}
	return types
}

func scan(t testing.TB, o Options) *Snapshot {
	t.Helper()
	return scanAt(t, "", o)
}

// at is the machine with that root, whatever lies there.
func at(root string) Machine { return Machine{root: proc.Root(root)} }

func scanAt(t testing.TB, root string, o Options) *Snapshot {
	t.Helper()
	s, err := at(root).Scan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startIn starts a fixture whose new namespaces are possible here.
func startIn(t *testing.T, c testkit.Config) *testkit.Proc {
	t.Helper()
	if len(c.New) > 0 {
		testkit.RequireNS(t, c.New...)
	}
	return testkit.Start(t, c)
}

// process finds the fixture's process and checks that the scan read the same
// namespaces as the test kit.
func process(t *testing.T, s *Snapshot, p *testkit.Proc) *Process {
	t.Helper()
	got := s.Process(p.PID)
	if got == nil {
		t.Fatalf("process %d is missing", p.PID)
	}
	if got.State == Zombie {
		return got
	}
	for _, typ := range Types {
		checkMember(t, s, ID{typ, p.NS(typ.String())}, got)
	}
	return got
}

// checkMember fails unless the process is in that namespace on both lists.
func checkMember(t *testing.T, s *Snapshot, id ID, p *Process) {
	t.Helper()
	if p.NS[id.Type] != id.Inode {
		t.Errorf("process %d is in %s, want %s", p.PID, p.NS.ID(id.Type), id)
	}
	n := s.Namespace(id)
	if n == nil {
		t.Errorf("%s is missing", id)
	} else if !slices.Contains(n.PIDs, p.PID) || !counts(n) || !slices.IsSorted(n.PIDs) || n.Leader == nil {
		t.Errorf("%s: %d is not among %v", id, p.PID, n.PIDs)
	}
}

// counts says whether the count is of those that were seen, or not known.
func counts(n *Namespace) bool { return !n.NProcs.Known() || int(n.NProcs) == len(n.PIDs) }

// namespace finds a namespace that no process is in.
func namespace(t *testing.T, s *Snapshot, id ID) *Namespace {
	t.Helper()
	n := s.Namespace(id)
	if n == nil {
		t.Fatalf("%s is missing", id)
	}
	if !counts(n) || len(n.PIDs) != 0 || n.Leader != nil {
		t.Errorf("%s has processes: %+v", id, n)
	}
	return n
}

// held is the only namespace of that type that the fixture holds.
func held(t *testing.T, p *testkit.Proc, typ Type) ID {
	t.Helper()
	inode := p.Held[typ.String()]
	if inode == 0 {
		t.Fatalf("the fixture holds %v", p.Held)
	}
	return ID{typ, inode}
}

func TestEveryType(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, typ := range Types {
		t.Run(typ.String(), func(t *testing.T) {
			p := startIn(t, testkit.Config{New: withUser(typ.String())})
			s := scan(t, Options{Relations: true})
			got := process(t, s, p)
			n := s.Namespace(got.NS.ID(typ))
			if !counts(n) || len(n.PIDs) != 1 || n.Leader.PID != p.PID || n.IsInitial() || len(n.HeldBy) != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestProcessFields(t *testing.T) {
	testkit.CheckLeaks(t)
	comm, args := "a)\x1b[1m\n\xff (", []string{"weird\x1bname", "", "two\nlines", "\xff"}
	p := startIn(t, testkit.Config{New: withUser("uts"), Comm: comm, Args: args, Mode: testkit.Stopped}) // so that it stays what it is
	s := scan(t, Options{Details: AllDetails, Cgroups: true})
	got := process(t, s, p)
	if got.Comm != comm || !slices.Equal(got.Cmdline, args) {
		t.Errorf("comm %q, cmdline %q", got.Comm, got.Cmdline)
	}
	if got.PPID != os.Getpid() || got.KernelThread || got.NumThreads != len(p.TIDs()) || got.State.String() != string(rune(p.State())) {
		t.Errorf("%+v", got)
	}
	if got.UID == nil || int(*got.UID) != os.Geteuid() || got.User == "" || !slices.Equal(got.NSPIDs[:1], []int{p.PID}) {
		t.Errorf("uid %v, user %q, PIDs %v", got.UID, got.User, got.NSPIDs)
	}
	text, err := os.ReadFile(p.Path("cgroup"))
	if err != nil || len(got.Cgroups) != strings.Count(string(text), "\n") {
		t.Errorf("cgroups %+v from\n%s", got.Cgroups, text)
	}
	// The leader of its UTS namespace has the same details.
	l := s.Namespace(got.NS.ID(UTS)).Leader
	if !reflect.DeepEqual(*l, Leader{got.PID, got.PPID, got.UID, got.User, got.Comm, got.Cmdline, false}) {
		t.Errorf("leader %+v", l)
	}
	stat, err := os.ReadFile(p.Path("stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	if strconv.FormatUint(got.StartTicks, 10) != fields[20] {
		t.Errorf("start %d, stat %s", got.StartTicks, stat)
	}
}

func TestKernelThreadsAndProcess1(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	s := scan(t, Options{Details: AllDetails})
	kthreadd := s.Process(2)
	if kthreadd == nil || !kthreadd.KernelThread {
		t.Skip("needs the kernel's threads in /proc: this is a container")
	}
	if kthreadd.Comm != "kthreadd" || kthreadd.Cmdline == nil || len(kthreadd.Cmdline) > 0 || kthreadd.PPID != 0 {
		t.Errorf("%+v", kthreadd)
	}
	for _, typ := range Types {
		n := s.Namespace(kthreadd.NS.ID(typ))
		if typ != Mnt && !n.IsInitial() {
			t.Errorf("%s is not initial", n.ID())
		}
		if n.Leader.PID == 2 && slices.ContainsFunc(n.PIDs, func(pid int) bool {
			return !s.Process(pid).KernelThread && s.Process(pid).State != Zombie
		}) {
			t.Errorf("%s is led by a kernel thread", n.ID())
		}
	}
	// Process 1 may be out of even root's reach: then it is in the list, and
	// its refusal too.
	_, err := testkit.ReadNS("/proc/1/ns/net")
	i := slices.IndexFunc(s.Unreadable, func(u Unreadable) bool { return u.PID == 1 && u.What == "namespaces" })
	if first := s.Process(1); first == nil || first.Comm == "" {
		t.Errorf("process 1: %+v", first)
	}
	switch {
	case err == nil && i >= 0:
		t.Errorf("%+v, but its namespaces can be read", s.Unreadable[i])
	case err != nil && (i < 0 || s.Unreadable[i].Error != "EACCES" || s.Complete):
		t.Errorf("%v, but the scan says %+v", err, s.Unreadable)
	}
}

func TestThreadElsewhere(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("ipc"), Mode: testkit.ThreadElsewhere})
	s := scan(t, Options{Relations: true})
	got := process(t, s, p)
	n := namespace(t, s, held(t, p, Net))
	if want := []Holder{{Kind: HeldByThread, PID: p.PID, TID: p.Thread}}; !reflect.DeepEqual(n.HeldBy, want) {
		t.Errorf("held by %+v", n.HeldBy)
	}
	if n.Owner == nil || *n.Owner != p.NS("user") {
		t.Errorf("owner %v: it was not opened through the thread", n.Owner)
	}
	if len(got.Threads) != 1 || got.Threads[0].TID != p.Thread {
		t.Fatalf("threads %+v", got.Threads)
	}
	for _, typ := range Types {
		if want := p.ThreadNS(p.Thread, typ.String()); got.Threads[0].NS[typ] != want {
			t.Errorf("the thread is in %s, want %d", got.Threads[0].NS.ID(typ), want)
		}
	}
	all := scan(t, Options{Threads: true}).Process(p.PID).Threads
	if tids := p.TIDs(); len(all) != len(tids)-1 {
		t.Errorf("%d threads of %v", len(all), tids)
	}
}

func TestDeadLeader(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("ipc"), Mode: testkit.DeadLeader})
	s := scan(t, Options{Relations: true, Details: AllDetails})
	got := s.Process(p.PID)
	if got == nil || got.State != Zombie || got.NumThreads < 2 || got.NS != (NSSet{User: p.NS("user"), PID: p.NS("pid")}) {
		t.Fatalf("%+v", got)
	}
	n := namespace(t, s, held(t, p, UTS))
	if want := []Holder{{Kind: HeldByThread, PID: p.PID, TID: p.Thread}}; !reflect.DeepEqual(n.HeldBy, want) {
		t.Errorf("held by %+v", n.HeldBy)
	}
	if n.Owner == nil {
		t.Error("its owner is not known")
	}
	// The IPC namespace, which its other threads are in, is there as well.
	i := slices.IndexFunc(got.Threads, func(th Thread) bool { return th.TID == p.Thread })
	if i < 0 || s.Namespace(got.Threads[i].NS.ID(IPC)) == nil || got.Threads[i].NS[IPC] != p.ThreadNS(p.Thread, "ipc") {
		t.Errorf("threads %+v", got.Threads)
	}
}

func TestZombie(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("pid"), Mode: testkit.Zombie})
	s := scan(t, Options{Relations: true, Details: AllDetails, Cgroups: true})
	got := s.Process(p.PID)
	if got == nil || got.State != Zombie || got.NS != (NSSet{User: p.NS("user"), PID: p.NS("pid")}) || got.Cmdline == nil || len(got.Cmdline) > 0 {
		t.Fatalf("%+v", got)
	}
	for _, u := range s.Unreadable {
		if u.PID == p.PID {
			t.Errorf("%+v: a zombie hides nothing", u)
		}
	}
	n := s.Namespace(got.NS.ID(PID))
	if !slices.Contains(n.PIDs, p.PID) || n.Leader.PID == p.PID {
		t.Errorf("%+v", n)
	}
}

func TestStopped(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("net"), Mode: testkit.Stopped})
	s := scan(t, Options{Details: AllDetails})
	if got := process(t, s, p); got.State != 'T' || len(got.Cmdline) == 0 {
		t.Errorf("%+v", got)
	}
}

func TestPIDForChildren(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, mode := range []testkit.Mode{testkit.PIDForChildrenEmpty, testkit.PIDForChildrenDead, testkit.PIDForChildrenAlive} {
		t.Run(string(mode), func(t *testing.T) {
			p := startIn(t, testkit.Config{New: withUser("uts"), Mode: mode})
			s := scan(t, Options{Relations: true, ForChildren: true})
			got := process(t, s, p)
			if got.PIDForChildren != p.Held["pid"] {
				t.Errorf("pid_for_children %d, want %d", got.PIDForChildren, p.Held["pid"])
			}
			if mode == testkit.PIDForChildrenEmpty {
				return // it has no name yet
			}
			n := s.Namespace(held(t, p, PID))
			if n == nil {
				t.Fatal("its namespace is missing")
			}
			if want := []Holder{{Kind: HeldByForChildren, PID: p.PID}}; !reflect.DeepEqual(n.HeldBy, want) || slices.Contains(n.PIDs, p.PID) {
				t.Errorf("%+v", n)
			}
			if n.Parent == nil || *n.Parent != p.NS("pid") {
				t.Errorf("parent %v, want %d", n.Parent, p.NS("pid"))
			}
			var want []int
			if mode == testkit.PIDForChildrenAlive {
				want = []int{p.Child}
			}
			if !slices.Equal(n.PIDs, want) || !counts(n) {
				t.Errorf("in it are %v, want %v", n.PIDs, want)
			}
		})
	}
}

func TestTimeForChildren(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, withUser("time")...)
	p := startIn(t, testkit.Config{New: withUser("uts"), Mode: testkit.TimeForChildren})
	s := scan(t, Options{Relations: true, ForChildren: true})
	if got := process(t, s, p); got.TimeForChildren != p.Held["time"] {
		t.Errorf("%+v", got)
	}
	n := namespace(t, s, held(t, p, Time))
	if want := []Holder{{Kind: HeldByForChildren, PID: p.PID}}; !reflect.DeepEqual(n.HeldBy, want) || n.Owner == nil {
		t.Errorf("%+v", n)
	}
}

func TestStuckProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	p := testkit.RequireStuck(t, testkit.Config{New: withUser("uts")})
	defer p.Kill() // before the leak check: the reader left behind then ends
	start := time.Now()
	s := scan(t, Options{Details: AllDetails, Relations: true, Cgroups: true})
	if took := time.Since(start); took > proc.Patience*500*time.Millisecond {
		t.Errorf("it was taken for one that waits for a processor: %v", took)
	}
	// All else is known of it.
	if got := process(t, s, p); got.UID == nil || len(got.NSPIDs) == 0 {
		t.Errorf("%+v", got)
	}
	want := Unreadable{p.PID, "cmdline", "no answer within 500ms"}
	if !slices.Contains(s.Unreadable, want) || s.Complete || s.Process(p.PID).Cmdline != nil {
		t.Errorf("%+v", s.Unreadable)
	}
	if got := s.Process(os.Getpid()); len(got.Cmdline) == 0 {
		t.Errorf("others go without: %+v", got)
	}
}

// TestGivenUpIsNoLeak: the check for leaks waits for the read that a scan has left
// behind, which ends when that process does: here, later than what is about to go
// is waited for.
func TestGivenUpIsNoLeak(t *testing.T) {
	p := testkit.RequireStuck(t, testkit.Config{})
	var killed atomic.Bool
	t.Run("scan", func(t *testing.T) {
		testkit.CheckLeaks(t)
		scan(t, Options{Details: AllDetails})
		time.AfterFunc(5*time.Second, func() { killed.Store(true); p.Kill() })
	})
	if !killed.Load() {
		t.Error("it did not wait")
	}
}

// ask is what the kernel itself says about a namespace file.
func ask(t *testing.T, path string) (parent, owner uint64, id *uint64, uid *uint32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inode := func(fd int, err error) uint64 {
		if err != nil {
			return 0
		}
		up := os.NewFile(uintptr(fd), "ns")
		defer up.Close()
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	fd := int(f.Fd())
	parent, owner = inode(linux.NSParent(fd)), inode(linux.NSUserns(fd))
	if n, err := linux.NSID(fd); err == nil {
		id = &n
	}
	if n, err := linux.NSOwnerUID(fd); err == nil {
		uid = &n
	}
	return parent, owner, id, uid
}

func TestRelationsAgainstTheKernel(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: []string{"user", "pid", "net", "uts", "mnt", "ipc", "cgroup", "time"}, Depth: 3})
	s := scan(t, Options{Relations: true})
	for _, pid := range p.Levels {
		for _, typ := range Types {
			path := fmt.Sprintf("/proc/%d/ns/%s", pid, typ)
			inode, err := testkit.ReadNS(path)
			if err != nil {
				t.Fatal(err)
			}
			n := s.Namespace(ID{typ, inode})
			if n == nil {
				t.Fatalf("%s of %d is missing", typ, pid)
			}
			parent, owner, id, uid := ask(t, path)
			if typ != User {
				_, _, _, uid = ask(t, fmt.Sprintf("/proc/%d/ns/user", pid)) // it made them all
			}
			number := func(n *uint64) uint64 {
				if n == nil {
					return 0
				}
				return *n
			}
			if number(n.Parent) != parent || number(n.Owner) != owner || number(n.KernelID) != number(id) ||
				n.OwnerUID == nil || *n.OwnerUID != *uid {
				t.Errorf("%s: parent %d, owner %d, id %d, uid %v; the kernel says %d, %d, %d, %d", n.ID(),
					number(n.Parent), number(n.Owner), number(n.KernelID), n.OwnerUID, parent, owner, number(id), *uid)
			}
			if (typ == User || typ == PID) != (parent != 0) || owner == 0 {
				t.Errorf("%s: the fixture has parent %d and owner %d", n.ID(), parent, owner)
			}
		}
	}
	// Without being asked, the scan asks nothing.
	if n := scan(t, Options{}).Namespace(ID{User, p.NS("user")}); n.Parent != nil || n.Owner != nil || n.KernelID != nil || n.OwnerUID != nil {
		t.Errorf("%+v", n)
	}
}

// TestOwnerUIDOfAnotherUser: who made the user namespace is its owner.
func TestOwnerUIDOfAnotherUser(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{UID: 65534, New: []string{"user", "net"}})
	s := scan(t, Options{Relations: true, Details: AllDetails})
	for _, typ := range []Type{User, Net} {
		if n := s.Namespace(ID{typ, p.NS(typ.String())}); n.OwnerUID == nil || *n.OwnerUID != 65534 {
			t.Errorf("%+v", n)
		}
	}
}

// TestHiddenOwner: a user namespace that nobody is in and nothing holds but
// what it owns.
func TestHiddenOwner(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{Mode: testkit.FDHolder, Apart: []string{"user", "net"}})
	net, user := held(t, p, Net), held(t, p, User)
	joined, done := make(chan error), make(chan bool)
	linux.OnThread(func() {
		fd, err := unix.Open(p.Path("fd", strconv.Itoa(p.HeldFD["net"])), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		joined <- err
		<-done
	})
	defer close(done)
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	p.Kill()
	s := scan(t, Options{Relations: true})
	n := namespace(t, s, net)
	if n.Owner == nil || *n.Owner != user.Inode || len(n.HeldBy) != 1 || n.HeldBy[0].PID != os.Getpid() {
		t.Errorf("%+v", n)
	}
	u := namespace(t, s, user)
	if !reflect.DeepEqual(u.HeldBy, []Holder{{Kind: HeldByChild, Child: &net}}) {
		t.Errorf("held by %+v", u.HeldBy)
	}
	own, err := testkit.OwnNS("user")
	if err != nil || u.Parent == nil || *u.Parent != own || u.OwnerUID == nil || *u.OwnerUID != 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestOwnProcessAsOrdinaryUser(t *testing.T) {
	testkit.RequireUser(t)
	testkit.CheckLeaks(t)
	s := scan(t, Options{Relations: true, Details: AllDetails, Cgroups: true, Holders: true})
	own := s.Process(os.Getpid())
	if own == nil || own.NS == (NSSet{}) || len(own.Cmdline) == 0 || len(own.Cgroups) == 0 {
		t.Fatalf("%+v", own)
	}
	for _, typ := range Types {
		inode, err := testkit.OwnNS(typ.String())
		if err != nil {
			t.Fatal(err)
		}
		checkMember(t, s, ID{typ, inode}, own)
	}
	// Process 1 is somebody else's.
	if i := slices.IndexFunc(s.Unreadable, func(u Unreadable) bool { return u.PID == 1 }); i < 0 || s.Complete || s.UnreadableProcesses() == 0 {
		t.Errorf("%d unreadable: %+v", s.UnreadableProcesses(), s.Unreadable)
	}
	if p := s.Process(1); p == nil || p.Comm == "" || p.UID == nil || *p.UID != 0 {
		t.Errorf("process 1: %+v", p)
	}
	for _, n := range s.Namespaces {
		if n.Initial != nil {
			t.Errorf("%s: nothing to compare with, and yet initial is %v", n.ID(), *n.Initial)
			break
		}
	}
}

// TestWorkersAgree: the snapshot is the same, whoever reads what.
func TestWorkersAgree(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: []string{"user", "pid", "net", "uts"}, Depth: 3})
	crowd := testkit.Crowd(t, testkit.CrowdConfig{N: 150, Every: 5, New: withUser("uts", "ipc")})
	quiet := slices.Concat(p.Levels, crowd.PIDs())
	const patient = 10 * time.Second // who waits for a processor is not stuck
	one := onlyOf(t, scan(t, Options{Relations: true, Details: AllDetails, Cgroups: true, Workers: 1, CmdlineTimeout: patient}), quiet)
	if len(one.Processes) != len(quiet) || len(one.Namespaces) < 60 {
		t.Fatalf("%d processes, %d namespaces", len(one.Processes), len(one.Namespaces))
	}
	for _, workers := range []int{2, 3, 16, 1000} {
		many := onlyOf(t, scan(t, Options{Relations: true, Details: AllDetails, Cgroups: true, Workers: workers, CmdlineTimeout: patient}), quiet)
		if !reflect.DeepEqual(one, many) {
			t.Errorf("%d workers see something else", workers)
		}
	}
}

// onlyOf keeps of a snapshot the given processes and the namespaces in which
// they alone are, in the snapshot's order, which has to be by number.
func onlyOf(t *testing.T, s *Snapshot, pids []int) *Snapshot {
	t.Helper()
	if !slices.IsSortedFunc(s.Processes, func(a, b Process) int { return a.PID - b.PID }) ||
		!slices.IsSortedFunc(s.Namespaces, func(a, b Namespace) int { return compareIDs(a.ID(), b.ID()) }) ||
		!slices.IsSortedFunc(s.Unreadable, func(a, b Unreadable) int { return a.PID - b.PID }) {
		t.Error("not sorted")
	}
	known := map[int]bool{}
	for _, pid := range pids {
		known[pid] = true
	}
	var kept Snapshot
	for _, p := range s.Processes {
		if known[p.PID] {
			kept.Processes = append(kept.Processes, p)
		}
	}
	for _, n := range s.Namespaces {
		if len(n.PIDs) > 0 && !slices.ContainsFunc(n.PIDs, func(pid int) bool { return !known[pid] }) {
			kept.Namespaces = append(kept.Namespaces, n)
		}
	}
	return &kept
}

// TestRootOption: a procfs below another root is as live.
func TestRootOption(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: withUser("net")})
	s := scanAt(t, "/proc/self/root", Options{Relations: true, Details: AllDetails})
	process(t, s, p)
	if n := s.Namespace(ID{Net, p.NS("net")}); n.Owner == nil {
		t.Error("relations were not asked for")
	}
}
