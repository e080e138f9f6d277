package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
	"nsx/who"
)

type whoOptions struct {
	viewFlags
	all   bool
	words []string
}

func newWho(s streams) *cobra.Command {
	var o whoOptions
	cmd := &cobra.Command{
		Use:   "who WORD… | -",
		Short: "Say whose a PID, interface, port, address or uid is",
		Long: `Say whose something is that turned up in a log or a table: which container, pod,
unit, session or process is behind it. A WORD is

  5151, 17          a process, by its PID here, or by the one it has inside, or by
                    the number of one of its threads
  pid:17@web        process 17 in the PID namespace of web, which is any target
  if:veth3de0       a network interface of any namespace; * stands for any part
  52:54:00:12:34:56 an interface by its MAC address
  :8080, udp:53     who listens there, in every network namespace; tcp:8080,
                    10.0.0.1:80 and tcp:[::1]:80 for one address alone
  10.88.0.3         an IP address of an interface
  uid:100999        who runs under a uid, what it is called inside, whose subuid
  uid:1000@web      what uid 1000 of web is called here
  TARGET            what every command takes: a namespace, a cgroup, a name

With - they are read from standard input: the first number or word of each line,
and a first line that says PID is left out.

` + targetHelp + `

One answer is a page; several are a table, which has a row for each word without
an answer, too. Whoever is not root sees ports and interfaces of his own network
namespace alone. Packet filters may send elsewhere what nobody listens for:
nft list ruleset.

Columns (* by default):
` + whoView.Help() + `
Exit status: 0 done, 1 a word has no answer, 2 wrong usage, 4 partial under
--strict.`,
		Example: `  nsx who 3728712                       # whose process is that?
  nsx who if:veth3de0e04 :8080          # whose interface, and port?
  nsx who uid:100999                    # whose files are these?
  nvidia-smi --query-compute-apps=pid --format=csv,noheader | nsx who -
  nsx who -o name 3728712               # the name alone, for nsx enter`,
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.words = args
			return runWho(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, whoView.Names())
	cmd.Flags().BoolVar(&o.all, "all", false, "look at open descriptors, sockets and other mount namespaces too")
	return cmd
}

func runWho(ctx context.Context, s streams, o *whoOptions) error {
	if err := o.check(s, whoView); err != nil {
		return err
	}
	if len(o.words) == 0 {
		return usagef("name something: a PID, if:NAME, :PORT, an IP address, uid:N, a target, or - to read such words")
	}
	asked := who.Options{All: o.all}
	if slices.Contains(o.words, "-") {
		if len(o.words) > 1 {
			return usagef("- stands alone: all words come from standard input")
		}
		read, err := wordsFrom(ctx, s.in)
		if err != nil {
			return fmt.Errorf("reading words from standard input: %w", err)
		}
		if len(read) == 0 {
			return errors.New("no word on standard input")
		}
		o.words, asked.Lenient = read, true
	}
	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	report, err := who.Ask(ctx, machine, o.words, asked)
	if err != nil {
		return err
	}
	return o.finish(s, report, o.show(s, report))
}

// maxWords is how many words are taken from standard input.
const maxWords = 1 << 16

// wordsFrom reads the first number or word of each line: "| 1234 …" of a table, too,
// and not a heading that says PID.
func wordsFrom(ctx context.Context, in *os.File) ([]string, error) {
	text, err := readInput(ctx, in)
	if err != nil {
		return nil, err
	}
	var list []string
	heading := true
	for line := range strings.Lines(string(text)) {
		word := wordOf(line)
		if word == "" {
			continue
		}
		if !heading || !strings.EqualFold(word, "pid") {
			list = append(list, word)
		}
		heading = false
	}
	if len(list) > maxWords {
		return nil, fmt.Errorf("there are more than %d words", maxWords)
	}
	return list, nil
}

// wordOf is a line's first number or word, here with a colon before it: a port.
func wordOf(line string) string {
	at := firstWord().FindStringIndex(line)
	if at == nil {
		return ""
	}
	if before := strings.TrimRight(line[:at[0]], "*:["); strings.HasSuffix(line[:at[0]], ":") || strings.HasSuffix(line[:at[0]], "[") {
		at[0] = len(before)
	}
	return line[at[0]:at[1]]
}

// whoDocument is the head of nsx who's document.
type whoDocument struct {
	document
	UnreadableNetworks *[]inspect.NetworkGap `json:"unreadable_networks,omitempty"`
}

// show prints one answer as a page, several as a table, and the document of either.
func (o *whoOptions) show(s streams, report *who.Report) error {
	head := whoDocument{document: headOf("nsx/who/1", report.Snapshot), UnreadableNetworks: &report.Gaps}
	head.Complete, head.Unreadable = report.Complete, &report.Unreadable
	if report.Gaps == nil {
		head.UnreadableNetworks = &[]inspect.NetworkGap{}
	}
	rows := make([]whoRow, len(report.Answers))
	for i := range report.Answers {
		rows[i] = whoRow{&report.Answers[i], report}
	}
	plain := o.Columns == "" && o.Filter == "" && o.SortBy == "" && o.Format != output.Wide
	if o.Format.Tabular() && (len(rows) == 1 && plain || o.Format == output.Name) {
		found := slices.DeleteFunc(slices.Clone(rows), func(r whoRow) bool { return !r.Found })
		if len(rows) != 1 || len(found) == 0 {
			for _, r := range rows {
				if !r.Found {
					fmt.Fprintf(s.err, "nsx: who: %s\n", output.Escape(r.Word+": "+r.Reason))
				}
			}
		}
		if o.Format != output.Name && len(found) == 1 {
			return whoPage.Print(s.out, &found[0], o.Options)
		}
		rows = found
		if len(rows) == 0 {
			return nil
		}
	}
	chosen, err := whoView.Select(rows, o.Options)
	if err != nil {
		return usage(err)
	}
	line := head
	line.Unreadable, line.UnreadableNetworks = nil, nil
	return printRows(s.out, &o.viewFlags, whoView, chosen, line, func() any {
		return struct {
			whoDocument
			Answers []whoRow `json:"answers"`
		}{head, chosen}
	})
}

// finish says what could not be seen, and makes the status.
func (o *whoOptions) finish(s streams, report *who.Report, err error) error {
	if err != nil && !errors.Is(err, errNothing) {
		return err
	}
	gaps := *report.Snapshot
	gaps.Unreadable = report.Unreadable
	for _, line := range append(gaps.Gaps(), networkGaps(report)...) {
		fmt.Fprintln(s.err, output.Escape(line))
	}
	if !report.Holders && !report.Unsupported && slices.ContainsFunc(report.Answers, unheard) {
		fmt.Fprintln(s.err, "network namespaces that a descriptor, a socket or another mount namespace alone holds were not looked at: --all")
	}
	if err == nil && !report.AllFound() {
		err = &statusError{status: exitFailed}
	}
	return cmp.Or(o.partial(report.Complete), err)
}

// unheard says that an answer may be in a network namespace that was not looked at.
func unheard(a who.Answer) bool {
	return !a.Found && (a.Kind == who.KindInterface || a.Kind == who.KindListener || a.Kind == who.KindAddress)
}

// networkGaps says in a sentence which network namespaces could not be read.
func networkGaps(report *who.Report) []string {
	if len(report.Gaps) == 0 {
		return nil
	}
	errs := map[string]int{}
	var names []string
	for _, gap := range report.Gaps {
		if errs[gap.Error]++; errs[gap.Error] == 1 {
			names = append(names, gap.Error)
		}
	}
	slices.Sort(names)
	text := fmt.Sprintf("%s unreadable", words.Count(len(report.Gaps), "network namespace", "network namespaces"))
	if _, denied := errs["EPERM"]; denied || errs["EACCES"] > 0 {
		return []string{text + ": run as root"}
	}
	return []string{text + ", or not whole (" + strings.Join(names, ", ") + ")"}
}
