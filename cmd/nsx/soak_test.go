package main

import (
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

var soakTime = flag.Duration("soak", 15*time.Second, "how long TestSoak goes on")

// visitTime is the longest that one condition goes on before the next one has
// its turn.
const visitTime = 10 * time.Second

// TestSoak does nsx's work, scans, entries and groups, in conditions that it was
// not made for, one after the other until the time is over. In each of them work
// succeeds, or fails with an error that says so; nothing panics, hangs, or acts
// on something else; and nothing is left behind. What the kernel refuses an
// ordinary user, nsx has to refuse too, and no more than that. It ends with the
// first failure, and with a table of what was done. `make soak TIME=5m` is the
// long form.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute; -soak says how long")
	}
	// Whoever loses his parent is ours, and found by the checks for leaks.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	list := slices.DeleteFunc(slices.Clone(soakConditions), func(c soakCondition) bool {
		return c.gate != nil && !c.passes(t)
	})
	tallies := make([]tally, len(list))
	threads := 0
	end := time.Now().Add(*soakTime)
	for i := 0; !t.Failed() && (i < len(list) || time.Now().Before(end)); i++ {
		n := i % len(list)
		share := time.Until(end) / time.Duration(max(len(list)-i, 1))
		t.Run(list[n].name, func(t *testing.T) {
			visitCondition(t, list[n], &tallies[n], min(share, visitTime))
		})
		// Go keeps threads that once had to wait.
		if now := testkit.Threads(); i == len(list)-1 {
			threads = now
		} else if i >= len(list) && now > threads+20 {
			t.Errorf("%d threads grew to %d", threads, now)
		}
	}
	t.Log("\n" + soakTable(list, tallies))
}

// soakCondition is something that happens to nsx.
type soakCondition struct {
	name string
	// gate skips what this machine or user cannot have.
	gate func(testing.TB)
	// begin brings it about, and returns what is done in it again and again.
	begin func(*visit) (round func())
}

// passes says whether the gate lets us in. A skip is a test's own, so that it is
// seen.
func (c soakCondition) passes(t *testing.T) (in bool) {
	t.Run(c.name, func(t *testing.T) {
		c.gate(t)
		in = true
	})
	return in
}

// tally is what was done in a condition.
type tally struct {
	Visits, Rounds, Scans, Entries, Groups int
	// Orphans are processes that died without a parent, and would have stayed
	// zombies in a program that lives on.
	Orphans int
	Refused map[string]int // by what the refusal said
}

// visit is one turn of a condition.
type visit struct {
	*testing.T
	*tally
	own bool // what is entered cannot give us its cgroups or environment: we keep ours
}

func visitCondition(t *testing.T, c soakCondition, total *tally, d time.Duration) {
	// Cleaning up can hang, too: this is stopped last.
	hang := time.AfterFunc(d+time.Minute, func() {
		debug.SetTraceback("all")
		panic("soak: " + c.name + ": it hangs")
	})
	t.Cleanup(func() { hang.Stop() })
	// The check for leaks waits up to two minutes for what hangs on others.
	defer hang.Reset(3 * time.Minute)
	testkit.CheckLeaks(t)
	if total.Refused == nil {
		total.Refused = map[string]int{}
	}
	v := &visit{T: t, tally: total}
	v.checkTraces()
	end := time.Now().Add(d)
	round := c.begin(v)
	v.Visits++
	for {
		round()
		v.Rounds++
		if t.Failed() || time.Now().After(end) {
			break
		}
	}
}

// refused counts a refusal that was to be expected.
func (v *visit) refused(what string) { v.Refused[what]++ }

func soakTable(list []soakCondition, tallies []tally) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONDITION\tVISITS\tROUNDS\tSCANS\tENTRIES\tGROUPS\tORPHANS\tREFUSED")
	for i, c := range list {
		n := &tallies[i]
		var refused []string
		for _, what := range slices.Sorted(maps.Keys(n.Refused)) {
			refused = append(refused, fmt.Sprint(n.Refused[what], " ", what))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", c.name, n.Visits, n.Rounds, n.Scans, n.Entries, n.Groups, n.Orphans, strings.Join(refused, ", "))
	}
	w.Flush()
	return text.String()
}
