package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

// documentFlags are those of verbs that print one document or a table.
type documentFlags struct {
	format string
	root   string
	only   string
	strict bool
}

func (f *documentFlags) add(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "output in `FORMAT`: table, json or yaml")
	cmd.Flags().StringVar(&f.root, "root", "/", "look at the host whose root is mounted or captured at `DIR`")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit with status 4 if something could not be read")
	complete(cmd, "output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *documentFlags) check() error {
	switch f.format {
	case "table", "json", "yaml":
		return nil
	}
	return usagef("-o: unknown output format %q: use one of table, json, yaml", f.format)
}

// print prints a document, or what table prints.
func (f *documentFlags) print(s streams, doc any, table func() error) error {
	switch f.format {
	case "json":
		return output.WriteJSON(s.out, doc, output.IsTerminal(s.out))
	case "yaml":
		return output.WriteYAML(s.out, doc)
	default:
		return table()
	}
}

// finish ends what was printed with err: it says what could not be read, and
// makes it the status under --strict.
func (f *documentFlags) finish(s streams, gaps []string, err error) error {
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

func newCgroupGet(s streams) *cobra.Command {
	var o documentFlags
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
			if err := o.check(); err != nil {
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
			doc := struct {
				Schema     string                `json:"schema"`
				Group      string                `json:"group"`
				Complete   bool                  `json:"complete"`
				Unreadable []cgroupfs.Unreadable `json:"unreadable"`
				Values     []cgroupfs.KeyValue   `json:"values"`
			}{"nsx/cgroup-get/1", group.Path(), len(missing) == 0, append([]cgroupfs.Unreadable{}, missing...), values}
			err = o.print(s, doc, func() error {
				if len(args) == 2 && len(values) == 1 { // for scripts: the value alone
					for _, line := range valueLines(values) {
						if _, err := fmt.Fprintln(s.out, output.Escape(line.text)); err != nil {
							return err
						}
					}
					return nil
				}
				return getView.Print(s.out, valueLines(values), output.Options{Width: output.TerminalWidth(s.out)})
			})
			return o.finish(s, fileGaps(missing), err)
		},
	}
	o.add(cmd)
	addOnly(cmd, &o.only)
	return cmd
}

// valueLine is one line of a value, which may have several.
type valueLine struct{ key, text string }

// valueLines are those of a table. A key that several hierarchies have is told apart
// by its file.
func valueLines(values []cgroupfs.KeyValue) []valueLine {
	count := map[string]int{}
	for _, v := range values {
		count[v.Key]++
	}
	var rows []valueLine
	for _, v := range values {
		key := v.Key
		if count[key] > 1 {
			key = v.File
		}
		for text := range strings.SplitSeq(strings.TrimSuffix(v.Value, "\n"), "\n") {
			rows = append(rows, valueLine{key, text})
			key = ""
		}
	}
	return rows
}

var getView = &output.View[valueLine]{Columns: []output.Column[valueLine]{
	{Name: "key", Value: func(v *valueLine) output.Cell { return output.Text(v.key) }},
	{Name: "value", Cut: output.CutEnd, Value: func(v *valueLine) output.Cell { return output.Text(v.text) }},
}}
