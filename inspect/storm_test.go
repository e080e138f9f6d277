package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// TestForkStorm scans 1,000 times while processes are born and die: no scan
// fails, none is empty, none loses a process that lives on or mixes up its
// namespaces, and nothing is left behind.
func TestForkStorm(t *testing.T) {
	testkit.CheckLeaks(t)
	scans := testkit.Rounds(1000, 100)
	p := startIn(t, testkit.Config{New: withUser("net", "pid", "uts")})
	loose := startIn(t, testkit.Config{New: withUser("ipc"), Mode: testkit.ThreadElsewhere})
	want := NSSet{}
	for _, typ := range Types {
		want[typ] = p.NS(typ.String())
	}
	storm := testkit.ForkStorm(t)
	before := testkit.Threads()
	refused := map[string]int{}
	for i := range scans {
		o := Options{}
		switch i % 5 {
		case 1:
			o = Options{Relations: true, Binds: true, Details: LeaderDetails}
		case 2:
			o = Options{Cgroups: true}
		case 3:
			o = Options{Relations: true, Cgroups: true, Details: AllDetails, Threads: true}
		case 4:
			if i%20 == 4 {
				o = Options{Relations: true, Holders: true}
			}
		}
		o.CmdlineTimeout = 10 * time.Second // who waits for a processor is not stuck
		s, err := Scan(t.Context(), o)
		if err != nil {
			t.Fatalf("scan %d with %+v: %v", i, o, err)
		}
		checkStormy(t, s, o, p, want, loose)
		for _, u := range s.Unreadable {
			// Another test's process may be stuck for as long as that runs.
			if u.What == "cmdline" && strings.HasPrefix(u.Error, "no answer") && u.PID != p.PID && u.PID != os.Getpid() {
				continue
			}
			refused[fmt.Sprint(u.What, " ", u.Error)]++
		}
		if t.Failed() {
			t.Fatalf("at scan %d with %+v", i, o)
		}
	}
	stats := storm.Stop()
	if stats.Died < uint64(scans)/2 || stats.InNew == 0 {
		t.Errorf("that was no storm: %+v", stats)
	}
	// As root nothing is refused but what was so all along, such as process 1. An
	// ordinary user is told EACCES again and again, and now and then, by a process
	// that shuts itself while it is looked at, when its namespaces are known already.
	for what, n := range refused {
		expected := what == "namespaces EACCES" || what == "threads EACCES"
		if os.Geteuid() == 0 && n < scans/5 || os.Geteuid() != 0 && !expected {
			t.Errorf("%d times unreadable: %s", n, what)
		}
	}
	if after := testkit.Threads(); after > before+20 {
		t.Errorf("%d threads grew to %d", before, after)
	}
}

func checkStormy(t *testing.T, s *Snapshot, o Options, p *testkit.Proc, want NSSet, loose *testkit.Proc) {
	t.Helper()
	got := s.Process(p.PID)
	if got == nil || got.NS != want {
		t.Errorf("the fixture: %+v", got)
		return
	}
	for _, typ := range []Type{Net, UTS, PID} {
		// Another test may run a command in every namespace there is.
		if n := s.Namespace(want.ID(typ)); n == nil || !slices.Contains(n.PIDs, p.PID) || n.Leader.PID != p.PID {
			t.Errorf("%s: %+v", want.ID(typ), n)
		}
	}
	if n := s.Namespace(ID{Net, loose.Held["net"]}); n == nil || len(n.HeldBy) == 0 {
		t.Errorf("the thread's namespace: %+v", n)
	}
	if o.Details == AllDetails && (got.UID == nil || len(got.Cmdline) == 0) || o.Cgroups && len(got.Cgroups) == 0 {
		t.Errorf("not all of the fixture: %+v", got)
	}
	for i := range s.Processes {
		if q := &s.Processes[i]; q.PID <= 0 || q.Comm == "" && q.PID == p.PID || q.StartTicks == 0 && !q.KernelThread && q.PID != 1 {
			t.Errorf("%+v", q)
			return
		}
	}
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; n.Inode == 0 || !counts(n) || (len(n.PIDs) > 0) != (n.Leader != nil) {
			t.Errorf("%+v", n)
			return
		}
	}
}

// TestScanCancelledInTheMiddle: it ends at once, and leaves nothing behind.
func TestScanCancelledInTheMiddle(t *testing.T) {
	testkit.CheckLeaks(t)
	crowd := testkit.Rounds(200, 200)
	testkit.Crowd(t, testkit.CrowdConfig{N: crowd, Every: 10, New: withUser("uts")})
	o := Options{Relations: true, Cgroups: true, Details: AllDetails, Holders: true}
	start := time.Now()
	scan(t, o)
	full := time.Since(start)
	cancelled := 0
	for i := range 25 {
		ctx, cancel := context.WithTimeout(t.Context(), full*time.Duration(i)/25)
		s, err := Scan(ctx, o)
		cancel()
		switch {
		case err == nil && len(s.Processes) > crowd: // it was quicker
		case s == nil && errors.Is(err, context.DeadlineExceeded):
			cancelled++
		default:
			t.Fatalf("%v, %v", s, err)
		}
	}
	if cancelled < 5 {
		t.Errorf("only %d of 25 were cancelled", cancelled)
	}
}
