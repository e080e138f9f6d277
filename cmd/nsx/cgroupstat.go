package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

func newCgroupStat(s streams) *cobra.Command {
	var o documentFlags
	cmd := &cobra.Command{
		Use:   "stat PATH",
		Short: "Show what a cgroup uses, and what happened to it",
		Long: `Show use, limits, events (limits hit, kills for lack of memory, forks refused) and
pressure of a group, from whatever hierarchies have it. The unit of a value is in
its name.

` + groupHelp,
		Example: `  nsx cgroup stat /demo
  nsx cgroup stat /demo -o json | jq .memory.oom_kills`,
		Args:              onePath,
		ValidArgsFunction: completeGroups,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			group, err := groupAt(o.root, args[0])
			if err != nil {
				return err
			}
			stat, err := group.Stat()
			if err != nil {
				return err
			}
			doc := struct {
				Schema string `json:"schema"`
				cgroupfs.Stat
			}{"nsx/cgroup-stat/1", stat}
			return o.print(s, doc, func() error {
				rows, err := flatten(stat)
				if err != nil {
					return err
				}
				return statView.Print(s.out, rows, output.Options{Width: output.TerminalWidth(s.out)})
			})
		},
	}
	o.add(cmd)
	return cmd
}

// statRow is one value, by its path in the document: "memory.usage_bytes".
type statRow struct{ name, value string }

var statView = &output.View[statRow]{Columns: []output.Column[statRow]{
	{Name: "name", Value: func(r *statRow) output.Cell { return output.Text(r.name) }},
	{Name: "value", Right: true, Cut: output.CutEnd, Value: func(r *statRow) output.Cell { return output.Text(r.value) }},
}}

// flatten lists the values of a document in its order. null is left out.
func flatten(doc any) ([]statRow, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var rows []statRow
	err = flattenValue(dec, nil, &rows)
	return rows, err
}

func flattenValue(dec *json.Decoder, path []string, rows *[]statRow) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if token != nil {
			*rows = append(*rows, statRow{strings.Join(path, "."), fmt.Sprint(token)})
		}
		return nil
	}
	for i := 0; dec.More(); i++ {
		name := fmt.Sprint(i)
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name = fmt.Sprint(key)
		}
		if err := flattenValue(dec, append(slices.Clip(path), name), rows); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
