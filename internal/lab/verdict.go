package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// verdict is how a cell's tests went.
type verdict struct {
	cell     cell
	passed   int
	failed   []string // tests, with the reason where one is known
	lacks    []string // tests that were skipped for what the table excuses
	took     time.Duration
	problems []string // of the machine as a whole
	restarts []string // why it was started again, which makes nothing red
}

func (v verdict) green() bool {
	return v.passed > 0 && len(v.failed) == 0 && len(v.problems) == 0
}

// text is the cell's line, with a line below for each thing that is red.
func (v verdict) text() string {
	color := "green"
	if !v.green() {
		color = "RED"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%-5s %-5s %-6s %4d passed %3d failed %3d expected-lack  %.0f s\n", color, v.cell.kernel.version, v.cell.name(),
		v.passed, len(v.failed), len(v.lacks), v.took.Seconds())
	for _, line := range slices.Concat(v.failed, v.problems) {
		s.WriteString("      " + line + "\n")
	}
	for _, why := range v.restarts {
		s.WriteString("      started again: " + why + "\n")
	}
	return s.String()
}

var (
	resultLine  = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)
	packageLine = regexp.MustCompile(`^=== PACKAGE (\S+)`)
	statusLine  = regexp.MustCompile(`^=== STATUS (\d+)`)
	// Parallel tests take turns in the output.
	turnLine = regexp.MustCompile(`^=== (?:RUN|NAME|CONT)\s+(\S+)`)
	// What t.Skip says, with the place in the source before it.
	placeLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)
	// How testscript's log of a script ends that fails.
	scriptLine = regexp.MustCompile(`^\s+FAIL: (testdata/.*)`)
)

// judge reads the output of go test -v. A skip counts as a failure unless the
// table of lacks excuses it on this kernel and layout: so nothing is skipped
// unnoticed.
func judge(c cell, log string, err error) verdict {
	v := verdict{cell: c}
	if err != nil {
		v.problems = append(v.problems, err.Error())
	}
	pkg, turn, failedBefore := "", "", 0
	said := map[string]string{} // the first thing each test said
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		if m := placeLine.FindStringSubmatch(line); m != nil {
			if said[turn] == "" { // what follows is mostly its consequence, or a script's log
				said[turn] = m[1]
			}
			continue
		}
		if m := scriptLine.FindStringSubmatch(line); m != nil {
			said[turn] = m[1]
			continue
		}
		if m := turnLine.FindStringSubmatch(line); m != nil {
			turn = m[1]
			continue
		}
		if m := packageLine.FindStringSubmatch(line); m != nil {
			pkg, failedBefore = m[1], len(v.failed)
			clear(said)
			continue
		}
		if m := statusLine.FindStringSubmatch(line); m != nil && m[1] != "0" && len(v.failed) == failedBefore {
			v.problems = append(v.problems, fmt.Sprintf("%s: exit status %s, though no test failed", pkg, m[1]))
			continue
		}
		m := resultLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, reason := pkg+"."+m[2], said[m[2]]
		switch {
		case m[1] == "PASS":
			v.passed++
		case m[1] == "FAIL":
			v.failed = append(v.failed, name+": "+reason)
		case excused(c, m[2], reason):
			v.lacks = append(v.lacks, name+": "+reason)
		default:
			v.failed = append(v.failed, name+": skipped, which the table of lacks does not excuse: "+reason)
		}
	}
	return v
}

// writeMatrix replaces what is between the two marks in the file.
func writeMatrix(path string, verdicts []verdict) error {
	const begin, end = "<!-- matrix: written by make lab -->\n", "<!-- end of matrix -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the matrix: want the lines %q and %q", path, begin, end)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\nTests of %s (on arm64: %s), on %s.\n",
		strings.Join(packages, ", "), strings.Join(foreignPackages, ", "), time.Now().Format(time.DateOnly))
	table.WriteString("\n| kernel | layout | verdict | passed | failed | expected lack | seconds |\n|---|---|---|---|---|---|---|\n")
	for _, v := range verdicts {
		word := "green"
		if !v.green() {
			word = "red"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %d | %d | %d | %.0f |\n", v.cell.kernel.version, v.cell.layout, word,
			v.passed, len(v.failed), len(v.lacks), v.took.Seconds())
	}
	return os.WriteFile(path, []byte(before+begin+table.String()+"\n"+end+after), 0o644)
}
