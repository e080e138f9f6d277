package enter

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"nsx/inspect"
	"nsx/internal/launcher"
	"nsx/internal/testkit"
)

// unproved is guestProgram without the look from outside, traced or not: what that
// costs is measured against it. No product starts a command like this.
func unproved(ctx context.Context, c *Cmd, files []*os.File, traced bool) (*launcher.Program, launcher.Attr) {
	attr := c.attr(files)
	attr.Way = launcher.Memfd
	p, prog := c.plan, &launcher.Program{}
	p.groupSteps(prog, &attr)
	if traced {
		prog.Trace("tracing the helper", launcher.Tracing{
			Filters: p.filtered(), Awake: !p.WillJoin(inspect.User), Proof: func(int) error { return ctx.Err() },
		})
	}
	p.guestSteps(prog)
	c.fork(prog)
	prog.Setsid()
	prog.DieWithParent(p.endSignal())
	c.exec(prog, attr.Env)
	return prog, attr
}

// guest is a command that is the code of a target in eight new namespaces.
func guest(t testing.TB) (*Cmd, []*os.File) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, testkit.AllNS...)
	p := testkit.Start(t, testkit.Config{New: testkit.AllNS})
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return Command(planFor(t, strconv.Itoa(p.PID)), "/bin/true"), []*os.File{null, null, null}
}

// The benchmark would measure something else than the proof if it made other
// system calls besides.
func TestUnprovedIsTheSame(t *testing.T) {
	c, files := guest(t)
	real, _, err := c.guestProgram(t.Context(), files, false, true)
	if err != nil {
		t.Fatal(err)
	}
	bare, _ := unproved(t.Context(), c, files, true)
	if !slices.Equal(real.Calls(), bare.Calls()) {
		t.Errorf("system calls %d, as measured %d", real.Calls(), bare.Calls())
	}
}

// BenchmarkProof starts commands that are a target's own code in turns: as always;
// traced, but not looked at; and neither. Its metrics are medians, and the median of
// what a start took longer than the next one of its turn.
func BenchmarkProof(b *testing.B) {
	c, files := guest(b)
	ways := []func() (*os.Process, error){
		func() (*os.Process, error) { return c.startGuest(b.Context(), files, false) },
		func() (*os.Process, error) {
			prog, attr := unproved(b.Context(), c, files, true)
			return launcher.Start(b.Context(), prog, attr)
		},
		func() (*os.Process, error) {
			prog, attr := unproved(b.Context(), c, files, false)
			return launcher.Start(b.Context(), prog, attr)
		},
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, start := range ways {
			began := time.Now()
			process, err := start()
			took[i] = append(took[i], time.Since(began))
			if err != nil {
				b.Fatal(err)
			}
			if state, err := process.Wait(); err != nil || !state.Success() {
				b.Fatal(state, err)
			}
		}
	}
	for i, unit := range []string{"proved", "traced", "bare"} {
		b.ReportMetric(micro(middle(took[i])), unit+"-µs")
	}
	for i, unit := range []string{"look", "trace"} {
		longer := make([]time.Duration, len(took[i]))
		for n := range longer {
			longer[n] = took[i][n] - took[i+1][n]
		}
		b.ReportMetric(micro(middle(longer)), unit+"-µs")
	}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// middle is the median.
func middle[T cmp.Ordered](list []T) T {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
