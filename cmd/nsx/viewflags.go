package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/output"
)

// viewFlags are the flags of every command that shows rows.
type viewFlags struct {
	pageFlags
	// noPager prints what is longer than the terminal as it is.
	noPager bool
}

func (f *viewFlags) add(cmd *cobra.Command, columns []string) {
	f.addFormat(cmd, output.Formats())
	flags := cmd.Flags()
	flags.StringVar(&f.Columns, "columns", "", "show the `COLUMNS` a,b or, with +c, one more than usual")
	flags.StringVar(&f.SortBy, "sort-by", "", "sort by a `COLUMN`, -COLUMN in descending order")
	flags.StringVar(&f.Filter, "filter", "", "show only rows that match `EXPR`: 'procs > 3 && user == root'")
	flags.BoolVar(&f.NoHeaders, "no-headers", false, "leave the headers out")
	flags.BoolVar(&f.NoTrunc, "no-trunc", false, "do not cut what is too wide for the terminal")
	flags.BoolVar(&f.noPager, "no-pager", false, "no $NSX_PAGER, $PAGER or less for a long table")
	f.addRest(cmd)
	complete(cmd, "columns", completeList(columns...))
	complete(cmd, "sort-by", completeList(columns...))
}

// anyView is a view, whatever its rows are.
type anyView interface {
	Check(output.Options) error
	Names() []string
	Help() string
}

// check is for what can be known to be wrong before anything is read.
func (f *viewFlags) check(s streams, view anyView) error {
	if err := f.resolve(s.out); err != nil {
		return err
	}
	if err := view.Check(f.Options); err != nil {
		return usage(err)
	}
	return nil
}

// maxCmdline is how much of a command line is needed: a table that shows it and
// does nothing else with it can do with less.
func (f *viewFlags) maxCmdline() int {
	if f.Format.Tabular() && f.Filter == "" && f.SortBy == "" {
		return 4096
	}
	return 0
}

// document is the head of every JSON document that shows a scan.
type document struct {
	Schema     string                `json:"schema"`
	Host       string                `json:"host"`
	Kernel     string                `json:"kernel"`
	ScannedAt  string                `json:"scanned_at"`
	Complete   bool                  `json:"complete"`
	Unreadable *[]inspect.Unreadable `json:"unreadable,omitempty"` // not in every line of NDJSON
	Hidden     string                `json:"hidden,omitempty"`
}

func headOf(schema string, s *inspect.Snapshot) document {
	return document{
		Schema: schema, Host: s.Host, Kernel: s.Kernel,
		Complete: s.Complete, Unreadable: &s.Unreadable, Hidden: s.Hidden,
		ScannedAt: s.ScannedAt.Format("2006-01-02T15:04:05.000Z"),
	}
}

// errNothing is the status 1 of a query without an answer.
var errNothing = errors.New("nothing matches")

// show prints rows in the format that the flags ask for. whole makes the one
// document of JSON and YAML from its head and the chosen rows.
func show[T any](w *os.File, f *viewFlags, view *output.View[T], rows []T, head document, whole func(document, []T) any) error {
	chosen, err := view.Select(rows, f.Options)
	if err != nil {
		return usage(err)
	}
	line := head
	line.Unreadable = nil // it would be in every one
	return printRows(w, f, view, chosen, line, func() any { return whole(head, chosen) })
}

// schemaLine is the head of a line of NDJSON that has no other.
type schemaLine struct {
	Schema string `json:"schema"`
}

// printRows prints rows that are chosen already: line is the head of each line of
// NDJSON, and whole makes the one document of JSON and YAML. No rows are no table, and
// errNothing.
func printRows[T any](w *os.File, f *viewFlags, view *output.View[T], chosen []T, line any, whole func() any) error {
	var err error
	switch {
	case f.Format.Tabular() && len(chosen) == 0:
	case f.Format.Tabular():
		err = printTable(w, f, view, chosen)
	case f.Format == output.NDJSON:
		err = output.WriteNDJSON(w, line, chosen)
	case f.Format == output.YAML:
		err = output.WriteYAML(w, whole())
	default:
		err = output.WriteJSON(w, whole(), f.Width > 0)
	}
	if err == nil && len(chosen) == 0 {
		return errNothing
	}
	return err
}

// printTable prints rows that are chosen already.
func printTable[T any](w *os.File, f *viewFlags, view *output.View[T], chosen []T) error {
	done := f.Options
	done.Filter, done.SortBy = "", ""
	return f.paged(w, func(w io.Writer) error { return view.Print(w, chosen, done) })
}

// flagError gives an option of package output the name of its flag.
func flagError(err error) error {
	if option, ok := errors.AsType[*output.OptionError](err); ok {
		return fmt.Errorf("--%w", option)
	}
	return err
}

// showTree prints trees of rows.
func showTree[T any](w *os.File, f *viewFlags, view *output.View[T], roots []*output.Node[T]) error {
	roots, err := view.SelectTree(roots, f.Options)
	if err != nil {
		return usage(err)
	}
	if len(roots) == 0 {
		return errNothing
	}
	done := f.Options
	done.Filter, done.SortBy = "", ""
	return f.paged(w, func(w io.Writer) error { return view.PrintTree(w, roots, done) })
}

// finish ends a view that was shown with the given error: it says what could
// not be seen, and makes it the status under --strict.
func (f *viewFlags) finish(w io.Writer, s *inspect.Snapshot, err error) error {
	if err != nil && !errors.Is(err, errNothing) {
		return err
	}
	for _, line := range s.Gaps() {
		fmt.Fprintln(w, output.Escape(line))
	}
	if n := s.UnreadableProcesses(); err != nil && n > 0 && len(s.Namespaces) == 0 {
		why := s.Unreadable[0].Error
		if why == unix.ErrnoName(unix.EMFILE) {
			why += tooManyFiles
		}
		return fmt.Errorf("no process could be read: %s", why)
	}
	return cmp.Or(f.partial(s.Complete), err)
}

// uint32Cell and the like show what may not be known.
func uint32Cell(n *uint32) output.Cell {
	if n == nil {
		return output.Unknown()
	}
	return output.Uint(uint64(*n))
}

func uint64Cell(n *uint64) output.Cell {
	if n == nil {
		return output.None()
	}
	return output.Uint(*n)
}
