package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"nsx/internal/testkit"
)

// crowdNS is the types that each set of processes gets. All eight are feasible
// at 10,000 processes in 500 sets for root; an ordinary user gets them too,
// through the user namespace.
var crowdNS = testkit.AllNS

// every is the processes in a set: 500 sets at 10,000.
const every = 20

// settle is what the kernel gets to take down the namespaces of the last crowd,
// which it does after the processes are gone, on our processors.
const settle = 2 * time.Second

// The bars.
const (
	maxPeakKiB = 64 << 10 // at most this much memory, at 10,000 processes
	maxGrowth  = 1.5      // time for a process at 10,000 over that at 1,000
	maxSets    = 1.3      // nsx ls, with names and memory, over nsx ls --each
)

// minRatio is how many times faster than lsns `nsx ls` has to be.
var minRatio = map[int]float64{5000: 6, 10000: 9}

// size is the results at one number of processes.
type size struct {
	n, sets, namespaces, processes int
	results                        []series // in the order of scanCommands
}

// The commands of scanCommands by their places.
const (
	cmdNSX = iota // --each: what lsns lists
	cmdNSXSets
	cmdNSXJSON
	cmdPeer
	cmdPeerJSON
)

func scanCommands(o options) [][]string {
	return [][]string{
		cmdNSX:      {o.nsx, "ls", "--each"},
		cmdNSXSets:  {o.nsx, "ls"},
		cmdNSXJSON:  {o.nsx, "ls", "-o", "json"},
		cmdPeer:     {o.peer},
		cmdPeerJSON: {o.peer, "-J"},
	}
}

// scanBench times the listing of all namespaces.
func scanBench(w io.Writer, o options) ([]string, error) {
	fmt.Fprintf(w, "Sets of %d processes, each set in new namespaces of the types %s.\n", every, strings.Join(crowdNS, ", "))
	fmt.Fprintf(w, "Whole processes, fork to exit, output to /dev/null, in turns; median of %d after one to warm up.\n", o.runs)
	fmt.Fprint(w, "The first rows are the machine without a crowd. Peak memory cannot show less than the benchmark's own few MiB.\n\n")
	fmt.Fprintln(w, "| processes | sets | namespaces | command | wall | min–max | CPU | peak memory | times faster than lsns |")
	fmt.Fprintln(w, "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
	var done []size
	for _, n := range append([]int{0}, o.sizes...) { // 0: what the machine costs by itself
		s, err := scanAt(n, o)
		if err != nil {
			return nil, fmt.Errorf("at %d processes: %w", n, err)
		}
		s.rows(w, scanCommands(o))
		done = append(done, s)
	}
	return missedBars(done), nil
}

func scanAt(n int, o options) (_ size, err error) {
	s := size{n: n}
	if n > 0 {
		fmt.Fprintf(os.Stderr, "bench: starting %d processes\n", n)
		crowd, err := testkit.StartCrowd(testkit.CrowdConfig{N: n, Every: every, New: crowdNS})
		if err != nil {
			return s, err
		}
		defer func() {
			if stopErr := crowd.Stop(); err == nil {
				err = stopErr
			}
			time.Sleep(settle)
		}()
		fmt.Fprintf(os.Stderr, "bench: ready after %v\n", crowd.Ready.Round(time.Millisecond))
		s.sets = crowd.Sets
	}
	if s.processes, s.namespaces, err = census(); err != nil {
		return s, err
	}
	s.results, err = measure(scanCommands(o), o.runs)
	return s, err
}

// census counts the processes of the machine and their namespaces.
func census() (processes, namespaces int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0, err
	}
	distinct := map[string]bool{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		processes++
		for _, name := range testkit.AllNS {
			if link, err := os.Readlink("/proc/" + e.Name() + "/ns/" + name); err == nil {
				distinct[link] = true
			}
		}
	}
	return processes, len(distinct), nil
}

func (s size) rows(w io.Writer, commands [][]string) {
	names := []string{"nsx ls --each", "nsx ls", "nsx ls -o json", "lsns", "lsns -J"}
	for i := range commands {
		r := s.results[i]
		least, most := r.span()
		fmt.Fprintf(w, "| %d | %d | %d | %s | %s | %s–%s | %s | %.1f MiB | %.1f |\n",
			s.processes, s.sets, s.namespaces, names[i], ms(r.wall()), ms(least), ms(most), ms(r.cpu()),
			float64(r.rss())/1024, s.ratio(i))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

// ratio is how many times faster a command is than the peer's of its kind.
func (s size) ratio(i int) float64 {
	peer := cmdPeer
	if i == cmdNSXJSON || i == cmdPeerJSON {
		peer = cmdPeerJSON
	}
	return float64(s.results[peer].wall()) / float64(s.results[i].wall())
}

// missedBars checks what was promised, where its sizes were measured.
func missedBars(sizes []size) []string {
	var missed []string
	for _, s := range sizes {
		if bar, ok := minRatio[s.n]; ok {
			if got := s.ratio(cmdNSX); got < bar {
				missed = append(missed, fmt.Sprintf("at %d processes nsx ls --each is %.1f times faster than lsns, not %.0f", s.n, got, bar))
			}
		}
		if s.n > 0 {
			if got := float64(s.results[cmdNSXSets].wall()) / float64(s.results[cmdNSX].wall()); got > maxSets {
				missed = append(missed, fmt.Sprintf("at %d processes nsx ls takes %.1f times as long as nsx ls --each, not %.1f", s.n, got, maxSets))
			}
		}
		if s.n != 10000 {
			continue
		}
		for i, name := range map[int]string{cmdNSX: "nsx ls --each", cmdNSXSets: "nsx ls", cmdNSXJSON: "nsx ls -o json"} {
			if peak := s.results[i].rss(); peak >= maxPeakKiB {
				missed = append(missed, fmt.Sprintf("at %d processes %s takes %d MiB, not less than %d", s.n, name, peak>>10, maxPeakKiB>>10))
			}
		}
	}
	return append(missed, growth(sizes)...)
}

// growth checks that twice the processes take twice the time.
func growth(sizes []size) []string {
	at := func(n int) (size, bool) {
		i := slices.IndexFunc(sizes, func(s size) bool { return s.n == n })
		return sizes[max(i, 0)], i >= 0
	}
	base, ok0 := at(0)
	small, ok1 := at(1000)
	large, ok2 := at(10000)
	if !ok0 || !ok1 || !ok2 {
		return nil
	}
	perProcess := func(s size) float64 {
		return float64(s.results[cmdNSX].wall()-base.results[cmdNSX].wall()) / float64(s.n)
	}
	// Below what a timer can tell apart the quotient means nothing.
	if perProcess(small) < float64(100*time.Nanosecond) {
		return nil
	}
	if got := perProcess(large) / perProcess(small); got > maxGrowth {
		return []string{fmt.Sprintf("a process takes nsx ls --each %.1f times as long at 10,000 as at 1,000, not %.1f", got, maxGrowth)}
	}
	return nil
}
