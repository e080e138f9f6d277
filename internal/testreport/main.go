// Testreport shows what is worth reading of a test run:
//
//	go test -json ./... | go run ./internal/testreport
//
// It prints the lines of go test that tell how each package went, before them
// everything that failed tests said, and how many tests were skipped for which
// reason: go test alone hides the skips or drowns them in the names of all
// tests. It exits with status 1 if anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	err := report(os.Stdin, os.Stdout)
	if err == nil {
		return
	}
	if !errors.Is(err, errFailed) { // which the output has told already
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	os.Exit(1)
}

var errFailed = errors.New("tests failed")

// event is a line of go test -json, see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// test names a test, or a package as a whole if it has no name.
type test struct{ pkg, name string }

// reporter collects what tests say until it is known how they end.
type reporter struct {
	w      io.Writer
	said   map[test][]string
	skips  map[string]map[string][]string // package → reason → tests
	failed bool
}

func report(r io.Reader, w io.Writer) error {
	buffered := bufio.NewWriter(w)
	rep := &reporter{w: buffered, said: map[test][]string{}, skips: map[string]map[string][]string{}}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			rep.line(line)
			if err := buffered.Flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && rep.failed:
			return errFailed
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (r *reporter) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.w, line) // go itself says something
		return
	}
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "build-fail":
		r.failed = true
	case "output":
		r.output(t, e.Output)
	case "pass":
		delete(r.said, t)
	case "skip":
		if t.name != "" {
			r.skip(t)
		}
	case "fail":
		r.fail(t)
	}
}

// verdict matches the line that ends a package's output.
var verdict = regexp.MustCompile(`^(ok  |FAIL|\?   )\t`)

func (r *reporter) output(t test, s string) {
	switch {
	case t.name != "":
		if !strings.HasPrefix(s, "=== ") {
			r.said[t] = append(r.said[t], s)
		}
	case s == "PASS\n": // the verdict says it too
	case verdict.MatchString(s):
		r.unfinished(t.pkg)
		r.summary(t.pkg)
		fmt.Fprint(r.w, s)
	default:
		fmt.Fprint(r.w, s)
	}
}

func (r *reporter) fail(t test) {
	r.failed = true
	r.print(t)
}

// unfinished prints what tests said that never came to an end, because the
// process crashed or ran out of time in the middle of them.
func (r *reporter) unfinished(pkg string) {
	var open []test
	for t := range r.said {
		if t.pkg == pkg {
			open = append(open, t)
		}
	}
	slices.SortFunc(open, func(a, b test) int { return strings.Compare(a.name, b.name) })
	for _, t := range open {
		r.print(t)
	}
}

func (r *reporter) print(t test) {
	for _, s := range r.said[t] {
		fmt.Fprint(r.w, s)
	}
	delete(r.said, t)
}

// place matches what t.Skip puts before the reason.
var place = regexp.MustCompile(`^\S+\.go:\d+: `)

func (r *reporter) skip(t test) {
	why := "no reason given"
	for _, line := range r.said[t] {
		line = strings.TrimSpace(line)
		// A script prints its whole log besides.
		if reason := place.ReplaceAllString(line, ""); reason != line {
			why = reason
			break
		}
	}
	delete(r.said, t)
	if r.skips[t.pkg] == nil {
		r.skips[t.pkg] = map[string][]string{}
	}
	r.skips[t.pkg][why] = append(r.skips[t.pkg][why], t.name)
}

// summary prints one line for each reason why tests of a package were skipped.
func (r *reporter) summary(pkg string) {
	var reasons []string
	for why := range r.skips[pkg] {
		reasons = append(reasons, why)
	}
	slices.Sort(reasons)
	for _, why := range reasons {
		names := r.skips[pkg][why]
		fmt.Fprintf(r.w, "skipped %d of %s: %s (%s)\n", len(names), pkg, why, strings.Join(names, ", "))
	}
}
