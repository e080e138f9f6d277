package inspect

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/identity"
	"nsx/internal/testkit"
)

func holdingsOf(t *testing.T, word string) *Holdings {
	t.Helper()
	h, err := Machine{}.Holdings(t.Context(), word)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return h
}

// has finds a holding of a kind by a process.
func (h *Holdings) has(kind HoldingKind, pid int) *Holding {
	for i := range h.Holdings {
		if one := &h.Holdings[i]; one.Kind == kind && (one.PID == pid || slices.Contains(one.PIDs, pid)) {
			return one
		}
	}
	return nil
}

// TestHoldingsOfNamespace: each way to keep one.
func TestHoldingsOfNamespace(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "net", "mnt", "uts")
	for _, c := range []struct {
		mode testkit.Mode
		kind HoldingKind
	}{{testkit.FDHolder, HoldsByFD}, {testkit.ThreadElsewhere, HoldsByThread}, {testkit.BindHolder, HoldsByMount}} {
		config := testkit.Config{New: []string{"user", "mnt"}, Mode: c.mode, Apart: []string{"uts"}}
		f := testkit.Start(t, config)
		h := holdingsOf(t, fmt.Sprintf("uts:[%d]", f.Held["uts"]))
		one := h.has(c.kind, f.PID)
		if one == nil || h.Namespace == nil || *h.Namespace != (ID{UTS, f.Held["uts"]}) {
			t.Errorf("%s: %+v", c.mode, h)
			continue
		}
		switch c.kind {
		case HoldsByFD:
			if *one.FD != f.HeldFD["uts"] || one.Comm == "" {
				t.Errorf("%+v", one)
			}
		case HoldsByThread:
			if one.TID != f.Thread {
				t.Errorf("%+v", one)
			}
		case HoldsByMount:
			if one.Path != f.HeldPath["uts"] || one.Mnt != f.NS("mnt") || one.Readers {
				t.Errorf("%+v", one)
			}
		}
		f.Kill()
	}
	// Processes, and what is below.
	f := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	h := holdingsOf(t, fmt.Sprintf("net:[%d]", f.NS("net")))
	if one := h.has(HoldsByProcess, f.PID); one == nil || len(h.Holdings) != 1 {
		t.Errorf("%+v", h)
	}
	h = holdingsOf(t, fmt.Sprintf("user:[%d]", f.NS("user")))
	if !slices.ContainsFunc(h.Holdings, func(one Holding) bool { return one.Kind == HoldsByChild && *one.Child == ID{Net, f.NS("net")} }) {
		t.Errorf("%+v", h)
	}
}

func TestHoldingsOfSocket(t *testing.T) {
	testkit.RequireRoot(t)
	f := testkit.Start(t, testkit.Config{Mode: testkit.SocketHolder})
	h := holdingsOf(t, fmt.Sprintf("net:[%d]", f.Held["net"]))
	if one := h.has(HoldsBySocket, f.PID); one == nil || *one.FD != f.HeldFD["net"] {
		t.Errorf("%+v", h)
	}
}

// busyMount is a file system in a mount namespace of a shell's, which has its working
// directory and a file there.
func busyMount(t *testing.T) (dir string, pid int, end func()) {
	t.Helper()
	testkit.RequireNS(t, "user", "mnt")
	unshare := testkit.RequireProgram(t, "unshare")
	dir = t.TempDir()
	cmd := exec.Command(unshare, "-Urm", "sh", "-c", `
		mount -t tmpfs nsx-test "$1" && cd "$1" && mkdir dir other && echo x >file && mount --bind dir other && mount -t tmpfs below dir &&
		cd other && exec 3<../file && echo ready && read x`, "sh", dir)
	in, _ := startTalking(t, cmd)
	return dir, cmd.Process.Pid, func() { in.Close(); _ = cmd.Wait() }
}

// TestHoldingsOfDevice: who has it mounted, and who uses it, as fuser(1) tells inside.
func TestHoldingsOfDevice(t *testing.T) {
	testkit.CheckLeaks(t)
	dir, pid, end := busyMount(t)
	defer end()
	mounts, err := readMounts(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mounts, func(m Mount) bool { return m.Mountpoint == dir })
	h := holdingsOf(t, mounts[i].Device)
	if h.Files == nil || h.Files.NMounts != 2 || h.Files.NMntNS != 1 || h.Files.FSType != "tmpfs" || h.Files.Source != "nsx-test" {
		t.Errorf("%+v", h.Files)
	}
	var paths []string
	for _, one := range h.Holdings {
		if one.Kind == HoldsByMount || one.Kind == HoldsByMountBelow {
			paths = append(paths, string(one.Kind)+" "+strings.TrimPrefix(one.Path, dir))
		}
	}
	if want := []string{"mount /other", "mount ", "mount_below /dir"}; !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
	if one := h.has(HoldsByCwd, pid); one == nil || one.Paths[0] != dir+"/other" {
		t.Errorf("cwd: %+v", one)
	}
	if one := h.has(HoldsByFile, pid); one == nil || one.Count != 1 || one.Paths[0] != dir+"/file" {
		t.Errorf("file: %+v", one)
	}
	if h.has(HoldsByRoot, pid) != nil || h.has(HoldsByProgram, pid) != nil {
		t.Errorf("its root and program lie elsewhere: %+v", h.Holdings)
	}
	fuser, nsenter := testkit.RequireProgram(t, "fuser"), testkit.RequireProgram(t, "nsenter")
	said := testkit.Try(t, patience, nsenter, "--preserve-credentials", "-U", "-m", "-t", strconv.Itoa(pid), fuser, "-m", dir)
	for word := range strings.FieldsSeq(said.Stdout) {
		user, err := strconv.Atoi(strings.TrimRight(word, "cefmr"))
		if err == nil && h.has(HoldsByCwd, user) == nil && h.has(HoldsByFile, user) == nil {
			t.Errorf("fuser has %d: %q", user, said.Stdout)
		}
	}
	if !strings.Contains(said.Stdout, strconv.Itoa(pid)) {
		t.Errorf("fuser does not have %d: %q, %q", pid, said.Stdout, said.Stderr)
	}
}

// TestHoldingsOfPath: from outside, where the same directory is no mount point.
func TestHoldingsOfPath(t *testing.T) {
	testkit.CheckLeaks(t)
	dir, pid, end := busyMount(t)
	defer end()
	h := holdingsOf(t, dir)
	if h.Files.MountPoint || h.Files.NMounts != 0 {
		t.Errorf("%+v", h.Files)
	}
	if one := h.has(HoldsByMountOver, pid); one == nil || one.Path != dir {
		t.Errorf("another mounted something there: %+v", h.Holdings)
	}
	// A directory in which somebody works.
	cmd := exec.Command("sleep", "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	h = holdingsOf(t, dir)
	if one := h.has(HoldsByCwd, cmd.Process.Pid); one == nil || one.Paths[0] != dir {
		t.Errorf("%+v", h.Holdings)
	}
	if h.has(HoldsByCwd, pid) != nil {
		t.Error("who is in what is mounted over it, is not in it")
	}
	if h = holdingsOf(t, filepath.Dir(dir)); h.has(HoldsByCwd, cmd.Process.Pid) == nil {
		t.Errorf("who is below, is in it: %+v", h.Holdings)
	}
}

// TestHoldingsOfBind: a bind mount's own users, and no others of its file system.
func TestHoldingsOfBind(t *testing.T) {
	testkit.RequireRoot(t)
	unshare := testkit.RequireProgram(t, "unshare")
	dir := t.TempDir()
	for _, name := range []string{"from", "to"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// In a mount namespace of our own, where this test binary asks again.
	out := testkit.Run(t, patience, unshare, "-m", "--propagation", "private", "sh", "-c", `
		mount --bind "$1/from" "$1/to" || exit 1
		cd "$1/from"; sleep 60 & a=$!
		cd "$1/to"; sleep 60 & b=$!
		NSX_TEST_HOLDINGS="$1/to" NSX_TEST_PIDS="$a $b" "$2" -test.run '^TestHoldingsInside$' -test.v
		kill $a $b`, "sh", dir, os.Args[0])
	if !strings.Contains(out, "--- PASS: TestHoldingsInside") {
		t.Error(out)
	}
}

func TestHoldingsInside(t *testing.T) {
	dir := os.Getenv("NSX_TEST_HOLDINGS")
	if dir == "" {
		return // TestHoldingsOfBind starts it
	}
	var from, to int
	if _, err := fmt.Sscan(os.Getenv("NSX_TEST_PIDS"), &from, &to); err != nil {
		t.Fatal(err)
	}
	h := holdingsOf(t, dir)
	if !h.Files.MountPoint || !strings.HasSuffix(h.Files.Root, "/from") || h.Files.NMounts != 1 {
		t.Errorf("%+v", h.Files)
	}
	i := slices.IndexFunc(h.Holdings, func(one Holding) bool { return one.Kind == HoldsByMount && one.Path == dir && one.Readers })
	if i < 0 || h.has(HoldsByCwd, to) == nil || h.has(HoldsByCwd, from) != nil {
		t.Errorf("%+v", h.Holdings)
	}
}

// TestHoldingsOfDead: a file server that does not answer keeps nobody waiting, whether
// its mount is asked about or what lies below, or merely used by somebody.
func TestHoldingsOfDead(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	nsenter := testkit.RequireProgram(t, "nsenter")
	f := testkit.Start(t, testkit.Config{Mode: testkit.DeadDir})
	mounts, err := readMounts(f.Path("mountinfo"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mounts, func(m Mount) bool { return filepath.Base(m.Mountpoint) == "dead" })
	if i < 0 {
		t.Fatalf("%+v", mounts)
	}
	dead := mounts[i].Mountpoint
	h := holdingsOf(t, mounts[i].Device)
	if one := h.Holdings; len(one) != 1 || one[0].Kind != HoldsByMount || one[0].Path != dead || one[0].Mnt != f.NS("mnt") {
		t.Errorf("%+v", one)
	}
	start := time.Now()
	said := testkit.Try(t, patience, "env", "NSX_TEST_DEAD="+dead, nsenter, "-m", "-t", strconv.Itoa(f.PID), os.Args[0], "-test.run", "^TestHoldingsDeadInside$", "-test.v")
	if !strings.Contains(said.Stdout, "--- PASS: TestHoldingsDeadInside") {
		t.Errorf("after %s: %s%s", time.Since(start), said.Stdout, said.Stderr)
	}
}

func TestHoldingsDeadInside(t *testing.T) {
	dead := os.Getenv("NSX_TEST_DEAD")
	if dead == "" {
		return // TestHoldingsOfDead starts it
	}
	h := holdingsOf(t, dead)
	if !h.Files.MountPoint || !slices.ContainsFunc(h.Holdings, func(one Holding) bool { return one.Kind == HoldsByMount && one.Path == dead && one.Readers }) {
		t.Errorf("%+v", h)
	}
	h = holdingsOf(t, dead+"/file")
	if h.Files.MountPoint || h.Files.Device == "" || len(h.Holdings) != 0 {
		t.Errorf("%+v", h)
	}
}

// TestHoldingsFold: a path that several mount namespaces of nobody have is one holding.
func TestHoldingsFold(t *testing.T) {
	testkit.RequireNS(t, "user", "mnt", "uts")
	f := testkit.Start(t, testkit.Config{New: []string{"user", "mnt"}, Mode: testkit.BindHolder, Apart: []string{"uts"}})
	nsenter, unshare := testkit.RequireProgram(t, "nsenter"), testkit.RequireProgram(t, "unshare")
	cmd := exec.Command(nsenter, "--preserve-credentials", "-U", "-m", "-t", strconv.Itoa(f.PID), unshare, "-m", "--propagation", "private", "sh", "-c", "echo ready; read x")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	h := holdingsOf(t, fmt.Sprintf("uts:[%d]", f.Held["uts"]))
	mounts := 0
	for _, one := range h.Holdings {
		if one.Kind == HoldsByMount {
			mounts++
			if one.Path != f.HeldPath["uts"] || len(one.Others) != 1 {
				t.Errorf("%+v", one)
			}
		}
	}
	if mounts != 1 {
		t.Errorf("%+v", h.Holdings)
	}
}

func TestHoldingsOfWhatIsNone(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	f := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	_, err := (Machine{}).Holdings(t.Context(), strconv.Itoa(f.PID))
	if !errors.Is(err, ErrUsage) || os.Geteuid() == 0 && !strings.Contains(err.Error(), fmt.Sprintf("net:[%d]", f.NS("net"))) {
		t.Errorf("a process is in several: %v", err)
	}
	for word, want := range map[string]error{"/nsx-test-nosuch": ErrGone, "net:[4294967295]": ErrGone, "a/b": ErrUsage, "": ErrUsage} {
		if _, err := (Machine{}).Holdings(t.Context(), word); !errors.Is(err, want) {
			t.Errorf("%q: %v", word, err)
		}
	}
	h := holdingsOf(t, "4095:1048575") // no such device
	if len(h.Holdings) != 0 || h.Files.NMounts != 0 {
		t.Errorf("%+v", h)
	}
	captured := namedMachine(t)
	if _, err := captured.Holdings(t.Context(), "/tmp"); !errors.Is(err, ErrUsage) {
		t.Errorf("a captured tree mounts nothing: %v", err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if h := holdingsOf(t, fifo); len(h.Holdings) != 0 { // and does not hang
		t.Errorf("%+v", h.Holdings)
	}
}

// TestOwnersOfOneName: two containers with one name are two owners, and each has a set of
// its own; what makes itself namespaces in one of them has not.
func TestOwnersOfOneName(t *testing.T) {
	web := func(id string) *identity.Identity {
		return &identity.Identity{Kind: identity.Container, Runtime: identity.Podman, Name: "web", ID: strings.Repeat(id, 64)}
	}
	s := &Snapshot{Processes: []Process{
		{PID: 7, StartTicks: 70, Identity: web("a")}, {PID: 8, StartTicks: 60, Identity: web("b")}, {PID: 9, StartTicks: 90, Identity: web("a")}, {PID: 10},
	}}
	for i := range s.Processes {
		p := &s.Processes[i]
		s.Sets = append(s.Sets, Set{NS: NSSet{uint64(i)}, Leader: &Leader{PID: p.PID}, Identity: p.Identity})
	}
	own := s.OwnSets()
	if len(own) != 3 || own[&s.Sets[0]] != &s.Sets[0] || own[&s.Sets[1]] != &s.Sets[1] || own[&s.Sets[2]] != &s.Sets[0] {
		t.Errorf("own sets: %v", own)
	}
	h := &Holdings{}
	h.addProcesses(s, HoldsByProcess, []int{7, 8, 9, 10})
	var got [][]int
	for _, one := range h.Holdings {
		got = append(got, one.PIDs)
	}
	if !reflect.DeepEqual(got, [][]int{{7, 9}, {8}, {10}}) {
		t.Errorf("%v", got)
	}
	h = &Holdings{}
	h.foldUsers(s, []user{{kind: HoldsByCwd, pid: 7}, {kind: HoldsByCwd, pid: 8}, {kind: HoldsByCwd, pid: 9}, {kind: HoldsByRoot, pid: 9}})
	if len(h.Holdings) != 3 {
		t.Errorf("%+v", h.Holdings)
	}
}
