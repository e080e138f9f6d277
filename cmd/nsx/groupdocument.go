package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

// groupDocument are the flags of the verbs of nsx cgroup that show something.
type groupDocument struct {
	viewFlags
	only string
}

// anyView is a view, whatever its rows are.
type anyView interface {
	Check(output.Options) error
	Names() []string
	Help() string
}

// add adds the flags, with a filter for an example, and the columns to the help.
func (f *groupDocument) add(cmd *cobra.Command, view anyView, filter string) {
	f.viewFlags.add(cmd, view.Names())
	cmd.Flags().Lookup("filter").Usage = "show only rows that match `EXPR`: '" + filter + "'"
	cmd.Long += "\n\nColumns (* by default):\n" + strings.TrimSuffix(view.Help(), "\n")
}

// check is for what can be known to be wrong before anything is read.
func (f *groupDocument) check(s streams, view anyView) error {
	if err := f.resolve(s.out); err != nil {
		return err
	}
	if err := view.Check(f.Options); err != nil {
		return usage(err)
	}
	return nil
}

// schemaLine is the head of a line of NDJSON.
type schemaLine struct {
	Schema string `json:"schema"`
}

// showGroups prints rows in the format that the flags ask for: whole makes the one
// document of JSON and YAML from the chosen rows, and table prints them, if not as
// the view does.
func showGroups[T any](s streams, f *groupDocument, view *output.View[T], rows []T, schema string, whole func([]T) any, table func() error) error {
	chosen, err := view.Select(rows, f.Options)
	if err != nil {
		return usage(err)
	}
	if len(chosen) == 0 && len(rows) > 0 && f.Format.Tabular() {
		return errNothing
	}
	switch {
	case f.Format == output.NDJSON:
		err = output.WriteNDJSON(s.out, schemaLine{schema}, chosen)
	case f.Format == output.YAML:
		err = output.WriteYAML(s.out, whole(chosen))
	case f.Format == output.JSON:
		err = output.WriteJSON(s.out, whole(chosen), f.Width > 0)
	case table != nil && f.Format != output.Name:
		return table()
	default:
		done := f.Options
		done.Filter, done.SortBy = "", ""
		err = view.Print(s.out, chosen, done)
	}
	if err == nil && len(chosen) == 0 && len(rows) > 0 {
		return errNothing
	}
	return err
}

// end ends what was shown with err: it says what could not be read, and makes it the
// status under --strict.
func (f *groupDocument) end(s streams, gaps []string, err error) error {
	if err != nil {
		return err
	}
	for _, line := range gaps {
		fmt.Fprintln(s.err, output.Escape(line))
	}
	if f.strict && len(gaps) > 0 {
		return &statusError{status: exitPartial}
	}
	return nil
}

// fileGaps is a line for each file that could not be read.
func fileGaps(list []cgroupfs.Unreadable) []string {
	var lines []string
	for _, u := range list {
		lines = append(lines, "not known: "+u.Error())
	}
	return lines
}
