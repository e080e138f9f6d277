// Bench compares whole runs of nsx with those of its peers on a machine full of
// processes that it makes itself:
//
//	go run ./internal/bench [-sizes 1000,5000,10000] [-runs 5] [-nsx bin/nsx] [-only scan] [-o FILE]
//
// It prints a Markdown report and exits with status 1 if a bar is missed. Run
// it as root on a machine with nothing else to do. With -only, the other sections
// that FILE has stay as they are.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"nsx/internal/testkit"
)

// options is what the flags say.
type options struct {
	sizes  []int
	runs   int
	nsx    string
	before string
	peer   string
	output string
	only   string
}

// bench is one group of measurements: it writes its part of the report and
// returns the bars that were missed.
type bench func(w io.Writer, o options) (missed []string, err error)

// benches is all of them, in the order of the report.
var benches = []struct {
	name, title string
	run         bench
}{
	{"scan", "Listing namespaces", scanBench},
	{"enter", "Entering", enterBench},
	{"proof", "What the look from outside costs", proofBench},
	{"foreach", fmt.Sprintf("In each of %d network namespaces", netCount), foreachBench},
}

func main() {
	testkit.Hook()
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flag package has said why
	}
	missed, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	for _, bar := range missed {
		fmt.Fprintln(os.Stderr, "bench: missed:", bar)
	}
	if len(missed) > 0 {
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	o := options{sizes: []int{1000, 5000, 10000}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Func("sizes", "numbers of processes, comma-separated (default 1000,5000,10000)", func(s string) error {
		o.sizes = nil
		for field := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n <= 0 || n > testkit.MaxProcesses {
				return fmt.Errorf("%q is no number from 1 to %d", field, testkit.MaxProcesses)
			}
			o.sizes = append(o.sizes, n)
		}
		return nil
	})
	flags.IntVar(&o.runs, "runs", 5, "how often each command is timed")
	flags.StringVar(&o.nsx, "nsx", "bin/nsx", "the nsx to measure")
	flags.StringVar(&o.before, "before", "", "an older nsx, to be timed entering too")
	flags.StringVar(&o.peer, "lsns", "lsns", "the lsns to compare with")
	flags.StringVar(&o.only, "only", "", "do only this: scan, enter, proof or foreach")
	flags.StringVar(&o.output, "o", "", "write the report to this file too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.runs < 1 || flags.NArg() > 0 {
		err := fmt.Errorf("bench: want at least one run and no arguments")
		fmt.Fprintln(os.Stderr, err)
		return o, err
	}
	return o, nil
}

// run does all benches, and writes the report even when one of them fails.
func run(o options) (missed []string, err error) {
	var sections []section
	for _, b := range benches {
		if o.only != "" && o.only != b.name {
			continue
		}
		var text bytes.Buffer
		origin(&text, o)
		bars, benchErr := b.run(&text, o)
		for _, bar := range bars {
			fmt.Fprintf(&text, "\nMissed: %s.\n", bar)
		}
		missed = append(missed, bars...)
		sections = append(sections, section{b.title, text.String()})
		if err = benchErr; err != nil {
			break
		}
	}
	if _, werr := os.Stdout.WriteString(merge("", sections)); err == nil {
		err = werr
	}
	if o.output == "" {
		return missed, err
	}
	older := ""
	if o.only != "" {
		text, rerr := os.ReadFile(o.output)
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return missed, errors.Join(err, rerr)
		}
		older = string(text)
	}
	if werr := os.WriteFile(o.output, []byte(merge(older, sections)), 0o644); err == nil {
		err = werr
	}
	return missed, err
}
