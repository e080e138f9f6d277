package inspect

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
	"nsx/internal/testkit"
)

// TestLookAgain: who refuses its own user for a moment is looked at again, and is
// neither unreadable nor without namespaces.
func TestLookAgain(t *testing.T) {
	testkit.RequireUser(t)
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{Mode: testkit.Undumpable})
	dir, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := procfsReader{proc: int(dir.Fd()), want: Request{Fields: FieldNS | FieldThreads}, Reader: proc.Reader{Quick: true}, out: &procfsChunk{}}
	r.process(p.PID)
	first := []*procfsChunk{r.out}
	found, refused := r.out.processes, r.out.unreadable
	if want := []Unreadable{{p.PID, "namespaces", "EACCES"}}; !slices.Equal(refused, want) || !slices.Equal(r.out.passing, []int{p.PID}) {
		t.Fatalf("refused %+v, worth another look %v", refused, r.out.passing)
	}
	// It stays so: nothing is lost but a few milliseconds.
	start := time.Now()
	found, refused = r.lookAgain(t.Context(), []int{p.PID}, slices.Clone(found), slices.Clone(refused))
	if len(found) != 1 || found[0].Comm == "" || len(refused) != 1 {
		t.Errorf("%+v, refused %+v", found, refused)
	}
	t.Logf("in vain: %v", time.Since(start))
	// The moment is over.
	if err := unix.Kill(p.PID, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, 10*time.Second, "the fixture to open up", func() bool {
		_, err := os.Readlink(p.Path("ns", "uts"))
		return err == nil
	})
	found, refused = r.merge(t.Context(), first, nil)
	if len(found) != 1 || found[0].NS[UTS] != p.NS("uts") || len(refused) != 0 {
		t.Errorf("%+v, refused %+v", found, refused)
	}
	// It is gone.
	p.Kill()
	found, refused = r.lookAgain(t.Context(), []int{p.PID}, found, append(refused, Unreadable{p.PID, "namespaces", "EACCES"}))
	if len(found) != 0 || len(refused) != 0 {
		t.Errorf("%+v, refused %+v", found, refused)
	}
}

// TestScanLooksAgain: so does a scan, and whoever opens a target. One that
// refuses us for good is told in the end.
func TestScanLooksAgain(t *testing.T) {
	testkit.RequireUser(t)
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{Mode: testkit.Undumpable})
	refusal := Unreadable{p.PID, "namespaces", "EACCES"}
	s := scan(t, Options{})
	if !slices.Contains(s.Unreadable, refusal) {
		t.Errorf("%+v", s.Unreadable)
	}
	target, err := Resolve(t.Context(), strconv.Itoa(p.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	start := time.Now()
	if f, _, err := target.OpenNamespace(UTS); !errors.Is(err, unix.EACCES) || time.Since(start) < looksTake() {
		t.Errorf("after %v: %v, %v", time.Since(start), f, err)
	}
	time.AfterFunc(looksTake()/4, func() { _ = unix.Kill(p.PID, unix.SIGUSR1) })
	testkit.WaitFor(t, 10*time.Second, "the namespace to open", func() bool {
		f, _, err := target.OpenNamespace(UTS)
		f.Close()
		return err == nil
	})
	s = scan(t, Options{})
	if got := s.Process(p.PID); slices.Contains(s.Unreadable, refusal) || got == nil || got.NS[UTS] != p.NS("uts") {
		t.Errorf("%+v, refused %+v", got, s.Unreadable)
	}
}

func looksTake() (sum time.Duration) {
	for _, wait := range looks {
		sum += wait
	}
	return sum
}
