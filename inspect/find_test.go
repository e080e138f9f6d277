package inspect

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// watchedFiles tells which files were read: inotify(7) does, in a captured tree.
type watchedFiles struct {
	fd    int
	files map[int32]string
}

func watchFiles(t *testing.T, files ...string) *watchedFiles {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	o := &watchedFiles{fd, map[int32]string{}}
	for _, file := range files {
		wd, err := unix.InotifyAddWatch(fd, file, unix.IN_ACCESS)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		o.files[int32(wd)] = file
	}
	return o
}

// read is which of the files were read since the last call, sorted.
func (o *watchedFiles) read(t *testing.T) (names []string) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.Read(o.fd, buf)
		if errors.Is(err, unix.EAGAIN) {
			slices.Sort(names)
			return slices.Compact(names)
		}
		if err != nil {
			t.Fatal(err)
		}
		for event := buf[:n]; len(event) > 0; {
			names = append(names, o.files[int32(binary.NativeEndian.Uint32(event))])
			event = event[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(event[12:])):]
		}
	}
}

// TestFindReadsWhatMatches: of a hundred processes the details of those that were
// asked for are read alone, and where only processes are wanted, nothing else of
// strangers either.
func TestFindReadsWhatMatches(t *testing.T) {
	var list []testkit.FakeProcess
	for pid := 1; pid <= 100; pid++ {
		p := testkit.FakeProcess{PID: pid}
		if pid == 50 || pid == 51 {
			p.NS, p.Cgroup = map[string]uint64{"net": 4026532001}, "0::/demo\n"
		}
		list = append(list, p)
	}
	proc := testkit.ProcTree(t, list...)
	path := func(pid int, name string) string { return filepath.Join(proc, strconv.Itoa(pid), name) }
	var files []string
	for pid := 1; pid <= 100; pid++ {
		files = append(files, path(pid, "stat"), path(pid, "status"), path(pid, "cmdline"))
	}
	watch := watchFiles(t, files...)
	m, err := Open(filepath.Dir(proc))
	if err != nil {
		t.Fatal(err)
	}
	both := []string{path(50, "cmdline"), path(50, "status"), path(51, "cmdline"), path(51, "status")}
	for _, c := range []struct {
		words   []string
		options Options
		pids    []int
		details []string // of these
		others  int      // of so many more there is a look at the stat file
	}{
		{[]string{"50"}, Options{ProcessesOnly: true, Details: AllDetails}, []int{50}, both[:2], 2},
		{[]string{"50", "51/51"}, Options{ProcessesOnly: true, Details: AllDetails}, []int{50, 51}, both, 2},
		{[]string{"net:[4026532001]"}, Options{ProcessesOnly: true, Details: AllDetails}, []int{50, 51}, both, 98},
		{[]string{"cgroup:/demo"}, Options{ProcessesOnly: true, Details: AllDetails}, []int{50, 51}, both, 98},
		{[]string{"4026532001"}, Options{Details: LeaderDetails}, []int{50, 51}, both[:2], 98},
		{[]string{"cgroup:/demo"}, Options{Sets: true, Details: LeaderDetails}, []int{50, 51}, append([]string{path(1, "cmdline"), path(1, "status")}, both[:2]...), 98},
	} {
		watch.read(t)
		s, match, err := m.Find(t.Context(), c.words, c.options)
		if err != nil || !slices.Equal(match.PIDs, c.pids) || !s.Complete {
			t.Errorf("%v: %+v, %v", c.words, match, err)
			continue
		}
		read := watch.read(t)
		details := slices.DeleteFunc(slices.Clone(read), func(name string) bool { return filepath.Base(name) == "stat" })
		if !slices.Equal(details, c.details) {
			t.Errorf("%v: details were read of %v, want %v", c.words, details, c.details)
		}
		if others := len(read) - len(details) - len(c.pids); others != c.others {
			t.Errorf("%v: there was a look at %d others, want %d", c.words, others, c.others)
		}
		// Who was not looked at may be in the same namespaces.
		for i := range s.Namespaces {
			if n := &s.Namespaces[i]; n.NProcs.Known() != (c.others == 98) {
				t.Errorf("%v: %d processes in %s", c.words, n.NProcs, n.ID())
			}
		}
	}
	if s, match, err := m.Find(t.Context(), nil, Options{}); err != nil || !match.All || !match.HasPID(77) || !match.HasNamespace(ID{Net, 1}) || !match.HasSet(&Set{}) || len(s.Processes) != 100 {
		t.Errorf("without words: %+v, %v", match, err)
	}
}

// TestFindBesideTheStuck: a process whose memory nobody can read costs those
// nothing who ask for another, and is not among what they were not told.
func TestFindBesideTheStuck(t *testing.T) {
	testkit.CheckLeaks(t)
	stranger := testkit.RequireStuck(t, testkit.Config{})
	defer stranger.Kill() // before the leak check: the reader left behind then ends
	own := testkit.Start(t, testkit.Config{})
	const timeout = 2 * time.Second
	options := Options{ProcessesOnly: true, Cgroups: true, Details: AllDetails, CmdlineTimeout: timeout}
	find := func(pid int) (*Snapshot, time.Duration) {
		start := time.Now()
		s, match, err := Machine{}.Find(t.Context(), []string{strconv.Itoa(pid)}, options)
		if err != nil || !slices.Equal(match.PIDs, []int{pid}) {
			t.Fatalf("%+v, %v", match, err)
		}
		return s, time.Since(start)
	}
	s, took := find(own.PID)
	if took > timeout/2 || !s.Complete || len(s.Unreadable) != 0 || len(s.Gaps()) != 0 {
		t.Errorf("it took %v and says %q", took, s.Gaps())
	}
	if p := s.Process(own.PID); p.UID == nil || p.Cmdline == nil {
		t.Errorf("%+v", p)
	}
	if s.Process(stranger.PID) != nil {
		t.Error("the stranger was looked at")
	}
	// It is stuck, indeed.
	if s, took := find(stranger.PID); took < timeout || s.Complete || s.Unreadable[0].What != "cmdline" {
		t.Errorf("the stuck one: it took %v, %v", took, s.Unreadable)
	}
}

// TestErrorsForPrograms: what is no word at all and what is not there can be told
// apart, and so can the end of a context.
func TestErrorsForPrograms(t *testing.T) {
	testkit.CheckLeaks(t)
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	s := scan(t, Options{})
	self := strconv.Itoa(os.Getpid())
	var m Machine
	for _, word := range []string{self, "self", "init", "net:[" + strconv.FormatUint(s.Process(os.Getpid()).NS[Net], 10) + "]", "cgroup:/nsx-test-nowhere", "netns:nsx-test-nowhere", "/proc/self/ns/net"} {
		for ctx, want := range map[context.Context]error{canceled: context.Canceled, late: context.DeadlineExceeded} {
			if target, err := m.Resolve(ctx, word); !errors.Is(err, want) {
				t.Errorf("Resolve %s: %v, %v", word, target, err)
			}
			if _, _, err := m.Find(ctx, []string{word}, Options{Holders: true, Details: AllDetails}); !errors.Is(err, want) {
				t.Errorf("Find %s: %v", word, err)
			}
		}
	}
	if _, err := m.Pin(canceled, s, ID{Net, s.Process(os.Getpid()).NS[Net]}); !errors.Is(err, context.Canceled) {
		t.Errorf("Pin: %v", err)
	}
	for word, want := range map[string]error{
		"": ErrUsage, "0": ErrUsage, "net:x": ErrUsage, "docker:": ErrUsage, "docker:nsx-test-nowhere": ErrGone, "a/b": ErrUsage, "cgroup:demo": ErrUsage, "netns:a/b": ErrUsage,
		"4194304": ErrGone, "self/4194304": ErrUsage, self + "/4194304": ErrGone, "4026531001": ErrGone, "cgroup:/nsx-test-nowhere": ErrGone, "netns:nsx-test-nowhere": ErrGone, "nsx-test-nowhere": ErrGone,
	} {
		_, err := m.Resolve(t.Context(), word)
		_, _, found := m.Find(t.Context(), []string{word}, Options{})
		for _, err := range []error{err, found} {
			if !errors.Is(err, want) || errors.Is(err, fs.ErrNotExist) != errors.Is(want, ErrGone) || errors.Is(err, ErrUsage) == errors.Is(err, ErrGone) {
				t.Errorf("%q: %v", word, err)
			}
		}
	}
	// A file that is not there is not gone with its process.
	target, err := m.Resolve(t.Context(), "self")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := target.ReadFile("nsx-test-nothing"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrGone) {
		t.Errorf("no such file: %v", err)
	}
}
