package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/output"
)

// viewFlags are the flags of every command that shows a scan.
type viewFlags struct {
	format string
	color  string
	root   string
	strict bool
	// noPager prints what is longer than the terminal as it is.
	noPager bool
	output.Options
}

func (f *viewFlags) add(cmd *cobra.Command, columns []string) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.format, "output", "o", "table", "`FORMAT`: table, wide, json, ndjson, yaml or name")
	flags.StringVar(&f.Columns, "columns", "", "show the `COLUMNS` a,b or, with +c, one more than usual")
	flags.StringVar(&f.SortBy, "sort-by", "", "sort by a `COLUMN`, -COLUMN in descending order")
	flags.StringVar(&f.Filter, "filter", "", "show only rows that match `EXPR`: 'procs > 3 && user == root'")
	flags.BoolVar(&f.NoHeaders, "no-headers", false, "leave the headers out")
	flags.BoolVar(&f.NoTrunc, "no-trunc", false, "do not cut what is too wide for the terminal")
	flags.BoolVar(&f.noPager, "no-pager", false, "no $NSX_PAGER, $PAGER or less for a long table")
	flags.StringVar(&f.color, "color", "auto", "colours `WHEN`: auto, always or never")
	flags.StringVar(&f.root, "root", "/", "look at the host whose root is `DIR`, mounted or captured")
	flags.BoolVar(&f.strict, "strict", false, "exit with status 4 if something could not be read")
	words := make([]string, 0, 6)
	for _, format := range output.Formats() {
		words = append(words, string(format))
	}
	complete(cmd, "output", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "columns", completeList(columns...))
	complete(cmd, "sort-by", completeList(columns...))
}

// complete registers a completion. It fails only for a flag that does not
// exist, which is a bug.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// resolve settles what depends on the terminal.
func (f *viewFlags) resolve(out *os.File) error {
	format, err := output.ParseFormat(f.format)
	if err != nil {
		if strings.ToUpper(f.format) == f.format || strings.Contains(f.format, ",") { // lsns -o NS,PID
			err = fmt.Errorf("%w; columns are chosen by --columns %s", err, strings.ToLower(f.format))
		}
		return usage(fmt.Errorf("-o: %w", err))
	}
	if f.Color, err = output.UseColor(f.color, out, os.Getenv); err != nil {
		return usage(fmt.Errorf("--color: %w", err))
	}
	if f.root == "" {
		return usagef("--root: the directory is empty")
	}
	f.Format = format
	f.Width = output.TerminalWidth(out)
	f.ASCII = f.Width > 0 && output.UseASCII(os.Getenv)
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
	done := f.Options
	done.Filter, done.SortBy = "", ""
	switch {
	case f.Format.Tabular() && len(chosen) == 0:
	case f.Format.Tabular():
		err = f.paged(w, func(w io.Writer) error { return view.Print(w, chosen, done) })
	case f.Format == output.NDJSON:
		head.Unreadable = nil // it would be in every line
		err = output.WriteNDJSON(w, head, chosen)
	case f.Format == output.YAML:
		err = output.WriteYAML(w, whole(head, chosen))
	default:
		err = output.WriteJSON(w, whole(head, chosen), f.Width > 0)
	}
	if err == nil && len(chosen) == 0 {
		return errNothing
	}
	return err
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
	if f.strict && !s.Complete {
		return &statusError{status: exitPartial}
	}
	return err
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
