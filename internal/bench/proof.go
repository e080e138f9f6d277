package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// maxProof is how much longer a command may take to start for being looked at before
// it runs. To be traced costs as well, but the filters take that in any case.
const maxProof = 300 * time.Microsecond

// starts is how often each of the ways is timed for a run.
const starts = 200

// proofBench has package enter time what nsx itself has no switch for: starts of a
// target's code without the proof of docs/security.md.
func proofBench(w io.Writer, o options) ([]string, error) {
	n := starts * o.runs
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkProof$", "-benchtime", strconv.Itoa(n)+"x", "./enter")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	took, err := metrics(string(out))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, `/bin/true as the code of a target, in its eight namespaces, started by one process of ours and timed until
it has been executed: in turns, medians of %d. Longer: the median of what a start took longer than that of
the row below in its turn. Who is not traced reports by a socket instead, and that costs as well.

`, n)
	fmt.Fprintln(w, "| start | wall | longer |")
	fmt.Fprintln(w, "| --- | ---: | ---: |")
	fmt.Fprintf(w, "| as nsx does: traced, and looked at before it runs | %s | %s |\n", took["proved"].ms(), took["look"].ms())
	fmt.Fprintf(w, "| traced, not looked at | %s | %s |\n", took["traced"].ms(), took["trace"].ms())
	fmt.Fprintf(w, "| neither | %s | |\n", took["bare"].ms())
	most := micros(maxProof.Microseconds())
	if cost := took["look"]; cost > most {
		return []string{fmt.Sprintf("the look from outside costs %s, not %s", cost.ms(), most.ms())}, nil
	}
	return nil, nil
}

// micros is microseconds.
type micros float64

func (m micros) ms() string { return fmt.Sprintf("%.3f ms", m/1000) }

// metrics reads what a benchmark has reported in microseconds: "… 1934 proved-µs …".
func metrics(out string) (map[string]micros, error) {
	all := map[string]micros{}
	fields := strings.Fields(out)
	for i, field := range fields {
		name, ok := strings.CutSuffix(field, "-µs")
		if !ok || i == 0 {
			continue
		}
		value, err := strconv.ParseFloat(fields[i-1], 64)
		if err != nil {
			return nil, err
		}
		all[name] = micros(value)
	}
	for _, name := range []string{"proved", "traced", "bare", "look", "trace"} {
		if _, ok := all[name]; !ok {
			return nil, fmt.Errorf("the benchmark told nothing of %q: %s", name, out)
		}
	}
	return all, nil
}
