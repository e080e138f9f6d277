package main

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

func newCgroupStat(s streams) *cobra.Command {
	var o groupDocument
	cmd := &cobra.Command{
		Use:   "stat PATH",
		Short: "Show what a cgroup uses, and what happened to it",
		Long: `Show use, limits, events (limits hit, kills for lack of memory, forks refused) and
pressure of a group, from whatever hierarchies have it. The unit of a value is in
its name; sizes are rounded (-o json has the bytes). Events are those of the groups
below too: memory.local and pids.local_max_events tell the group's own.

What nobody counts is left out. ? is what could not be read: stderr says why, and
JSON's "unreadable".

` + groupHelp,
		Example: `  nsx cgroup stat /demo
  nsx cgroup stat /demo -o json | jq .memory.oom_kills`,
		Args:              onePath,
		ValidArgsFunction: completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(s, statView); err != nil {
				return err
			}
			if o.Filter+o.SortBy != "" && (o.Format == output.JSON || o.Format == output.YAML) {
				return usagef("--filter and --sort-by are for lines, and -o %s is one document: use -o ndjson", o.Format)
			}
			group, err := groupAt(cmd.Context(), o.root, o.only, args[0])
			if err != nil {
				return err
			}
			stat, err := group.Stat(cmd.Context())
			if err != nil {
				return err
			}
			whole := func([]statRow) any {
				return struct {
					Schema string `json:"schema"`
					cgroupfs.Stat
				}{"nsx/cgroup-stat/1", stat}
			}
			err = showGroups(s, &o, statView, statRows(stat), "nsx/cgroup-stat/1", whole, nil)
			return o.end(s, fileGaps(stat.Unreadable), err)
		},
	}
	o.add(cmd, statView, "name =~ memory")
	addOnly(cmd, &o.only)
	return cmd
}

// statRow is one value, by its path in the document: "memory.usage_bytes".
type statRow struct {
	Name  string `json:"name"`
	Value any    `json:"value"`

	cell output.Cell
}

var statView = &output.View[statRow]{
	Columns: []output.Column[statRow]{
		{Name: "name", Help: "what is counted, with its unit", Value: func(r *statRow) output.Cell { return output.Text(r.Name) }},
		{Name: "value", Help: "how much", Right: true, Cut: output.CutEnd, Value: func(r *statRow) output.Cell { return r.cell }},
	},
	Name: func(r *statRow) string { return r.Name },
}

// statRows lists the values of a document in its order. What is none is left
// out, and what is not known is "?".
func statRows(s cgroupfs.Stat) []statRow {
	var rows []statRow
	addFields(&rows, "", reflect.ValueOf(s))
	return rows
}

// addFields adds what a struct holds, by the names that JSON has for it.
func addFields(rows *[]statRow, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch name {
		case "complete", "unreadable", "device", "page_size", "resource", "region": // in the name, or on stderr
			continue
		}
		if v.Type().Field(i).Anonymous {
			addFields(rows, prefix, v.Field(i))
			continue
		}
		addValue(rows, prefix+name, v.Field(i))
	}
}

func addValue(rows *[]statRow, name string, v reflect.Value) {
	add := func(cell output.Cell) { *rows = append(*rows, statRow{name, v.Interface(), cell}) }
	switch x := v.Interface().(type) {
	case cgroupfs.Value[int64]:
		n, ok := x.Get()
		switch {
		case x.Err() != nil:
			add(output.Unknown())
		case ok && strings.HasSuffix(name, "_bytes"):
			add(output.Int(n).As(roundSize(float64(n))))
		case ok:
			add(output.Int(n))
		}
	case cgroupfs.Value[float64]:
		n, ok := x.Get()
		switch {
		case x.Err() != nil:
			add(output.Unknown())
		case ok:
			add(output.Float(n))
		}
	case []cgroupfs.IOStat:
		for _, disk := range x {
			addFields(rows, name+"."+disk.Device.String()+".", reflect.ValueOf(disk))
		}
	case []cgroupfs.HugetlbStat:
		for _, pages := range x {
			addFields(rows, name+"."+pages.PageSize+".", reflect.ValueOf(pages))
		}
	case []cgroupfs.CountStat:
		for _, c := range x {
			addFields(rows, name+"."+c.Resource+".", reflect.ValueOf(c))
		}
	case []cgroupfs.RegionStat:
		for _, r := range x {
			addFields(rows, name+"."+r.Region+".", reflect.ValueOf(r))
		}
	case []cgroupfs.DeviceProgram:
		if x == nil {
			add(output.Unknown())
		}
		for _, p := range x {
			add(output.Text(p.String()))
		}
	case string:
		add(output.Text(x))
	case bool:
		add(output.Text(strconv.FormatBool(x)))
	case int64:
		add(output.Int(x))
	case float64:
		add(output.Text(strconv.FormatFloat(x, 'f', -1, 64)))
	default:
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			if v = v.Elem(); v.Kind() != reflect.Struct {
				addValue(rows, name, v)
				return
			}
		}
		if v.Kind() == reflect.Struct {
			addFields(rows, name+".", v)
		}
	}
}
