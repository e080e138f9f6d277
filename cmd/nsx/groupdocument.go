package main

import (
	"errors"
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

// add adds the flags, with a filter for an example, and the columns to the help.
func (f *groupDocument) add(cmd *cobra.Command, view anyView, filter string) {
	f.viewFlags.add(cmd, view.Names())
	cmd.Flags().Lookup("filter").Usage = "show only rows that match `EXPR`: '" + filter + "'"
	cmd.Long += "\n\nColumns (* by default):\n" + strings.TrimSuffix(view.Help(), "\n")
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
	case f.Format.Tabular() && table != nil && f.Format != output.Name:
		return table()
	case f.Format.Tabular() && len(rows) == 0: // nothing is an answer: the headers alone
		return printTable(s.out, &f.viewFlags, view, chosen)
	}
	err = printRows(s.out, &f.viewFlags, view, chosen, schemaLine{schema}, func() any { return whole(chosen) })
	if len(rows) == 0 && errors.Is(err, errNothing) {
		return nil
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
	return f.partial(len(gaps) == 0)
}

// fileGaps is a line for each file that could not be read.
func fileGaps(list []cgroupfs.Unreadable) []string {
	var lines []string
	for _, u := range list {
		lines = append(lines, "not known: "+u.Error())
	}
	return lines
}
