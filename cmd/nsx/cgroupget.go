package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

func newCgroupGet(s streams) *cobra.Command {
	var o groupDocument
	cmd := &cobra.Command{
		Use:   "get PATH [KEY…]",
		Short: "Print values of a cgroup's files",
		Long: `Print the values of the given keys, in v1 or v2 spelling whatever the controller
is on, or without any, of all files. Those that cannot be read are named on stderr
and in JSON's "unreadable"; those that can only be written are left out.

` + groupHelp,
		Example: `  nsx cgroup get /demo
  nsx cgroup get /demo memory.max
  nsx cgroup get /demo memory.limit_in_bytes cpu.max -o json`,
		Args:              atLeastPath,
		ValidArgsFunction: completeKeys(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(s, getView); err != nil {
				return err
			}
			group, err := groupAt(cmd.Context(), o.root, o.only, args[0])
			if err != nil {
				return err
			}
			var missing []cgroupfs.Unreadable
			var values []cgroupfs.KeyValue
			if keys := args[1:]; len(keys) > 0 {
				values, err = group.Get(cmd.Context(), keys...)
			} else {
				values, missing, err = group.GetAll(cmd.Context())
			}
			if err != nil {
				return err
			}
			for _, v := range values {
				notes(s, v.Notes)
			}
			lines := valueLines(values, o.Filter+o.SortBy != "")
			whole := func(chosen []valueLine) any {
				return struct {
					Schema     string                `json:"schema"`
					Group      string                `json:"group"`
					Complete   bool                  `json:"complete"`
					Unreadable []cgroupfs.Unreadable `json:"unreadable"`
					Values     []cgroupfs.KeyValue   `json:"values"`
				}{"nsx/cgroup-get/1", group.Path(), len(missing) == 0, append([]cgroupfs.Unreadable{}, missing...), valuesOf(values, chosen)}
			}
			var table func() error
			if len(args) == 2 && len(values) == 1 && !cmd.Flags().Changed("columns") { // for scripts: the value alone
				table = func() error { return printValue(s, &o, lines) }
			}
			err = showGroups(s, &o, getView, lines, "nsx/cgroup-get/1", whole, table)
			return o.end(s, fileGaps(missing), err)
		},
	}
	o.add(cmd, getView, "value != max")
	addOnly(cmd, &o.only)
	return cmd
}

// printValue prints a value without its key.
func printValue(s streams, o *groupDocument, lines []valueLine) error {
	chosen, err := getView.Select(lines, o.Options)
	if err != nil {
		return usage(err)
	}
	for _, line := range chosen {
		if _, err := fmt.Fprintln(s.out, output.Escape(line.Value)); err != nil {
			return err
		}
	}
	return nil
}

// valueLine is one line of a value, which may have several.
type valueLine struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	File  string `json:"file"`

	shown string // the key as it is shown
	of    int    // which value it is of
}

// valueLines are those of a table. A key that several hierarchies have is told apart
// by its file. It stands in the first line of a value or, for who chooses lines, in each.
func valueLines(values []cgroupfs.KeyValue, each bool) []valueLine {
	count := map[string]int{}
	for _, v := range values {
		count[v.Key]++
	}
	var rows []valueLine
	for i, v := range values {
		shown := v.Key
		if count[v.Key] > 1 {
			shown = v.File
		}
		for text := range strings.SplitSeq(strings.TrimSuffix(v.Value, "\n"), "\n") {
			rows = append(rows, valueLine{v.Key, text, v.File, shown, i})
			if !each {
				shown = ""
			}
		}
	}
	return rows
}

// valuesOf are the values of which lines were chosen, in the order of these.
func valuesOf(values []cgroupfs.KeyValue, lines []valueLine) []cgroupfs.KeyValue {
	list := []cgroupfs.KeyValue{}
	seen := map[int]bool{}
	for _, line := range lines {
		if !seen[line.of] {
			seen[line.of] = true
			list = append(list, values[line.of])
		}
	}
	return list
}

var getView = &output.View[valueLine]{
	Columns: []output.Column[valueLine]{
		{Name: "key", Help: "the control file", Value: func(v *valueLine) output.Cell { return output.Text(v.shown) }},
		{Name: "value", Help: "a line of what it holds", Cut: output.CutEnd, Value: func(v *valueLine) output.Cell { return output.Text(v.Value) }},
		{Name: "file", Help: "where it was read", Cut: output.CutMiddle, Value: func(v *valueLine) output.Cell { return output.Text(v.File) }},
	},
	Default: []string{"key", "value"},
	Wide:    []string{"key", "value", "file"},
	Name:    func(v *valueLine) string { return v.Key },
}
