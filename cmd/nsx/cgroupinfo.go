package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

func newCgroupInfo(s streams) *cobra.Command {
	var o groupDocument
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show which cgroup versions and controllers a machine has",
		Long: `Show the mode (v1, v2 or hybrid), each controller with the version that it is on,
where that is mounted and, on v2, in which groups it is enabled; which groups, down to the
second level, have BPF programs that rule devices; and who manages the tree.`,
		Example: `  nsx cgroup info
  nsx cgroup info -o json | jq -r .mode`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(s, infoView); err != nil {
				return err
			}
			fs, err := cgroupfs.Open(cgroupfs.Options{Root: o.root})
			if err != nil {
				return err
			}
			info, err := fs.Info(cmd.Context())
			if err != nil {
				return err
			}
			rows := infoRows(info)
			whole := func(chosen []cgroupfs.ControllerInfo) any {
				info := info
				info.Controllers = slices.DeleteFunc(slices.Clone(info.Controllers), func(c cgroupfs.ControllerInfo) bool {
					return !slices.ContainsFunc(chosen, func(is cgroupfs.ControllerInfo) bool { return is.Name == c.Name && is.Mount == c.Mount })
				})
				return struct {
					Schema string `json:"schema"`
					cgroupfs.Info
				}{"nsx/cgroup-info/1", info}
			}
			if (o.Format == output.Table || o.Format == output.Wide) && !o.NoHeaders {
				if err := printMode(s, info); err != nil {
					return err
				}
			}
			return showGroups(s, &o, infoView, rows, "nsx/cgroup-info/1", whole, nil)
		},
	}
	o.add(cmd, infoView, "version == v1")
	return cmd
}

// printMode is the line above the table.
func printMode(s streams, info cgroupfs.Info) error {
	for _, h := range info.Hierarchies {
		if h.Problem != "" {
			fmt.Fprintln(s.err, output.Escape(h.Problem))
		}
	}
	_, err := fmt.Fprintf(s.out, "mode %s, managed by %s\n", info.Mode, cmp.Or(info.Manager, "nobody"))
	return err
}

// infoRows are the controllers, the hierarchies that have none, and what rules
// devices on v2.
func infoRows(info cgroupfs.Info) []cgroupfs.ControllerInfo {
	rows := info.Controllers
	for _, h := range info.Hierarchies {
		if len(h.Controllers) > 0 {
			continue
		}
		name := "-"
		if h.Name != "" {
			name = "name=" + h.Name
		}
		rows = append(rows, cgroupfs.ControllerInfo{Name: name, Version: h.Version, Mount: h.Mount})
	}
	v1 := slices.ContainsFunc(rows, func(c cgroupfs.ControllerInfo) bool { return c.Name == "devices" })
	for _, h := range info.Hierarchies {
		if h.Version != 2 || v1 && len(info.DevicePrograms) == 0 {
			continue
		}
		row := cgroupfs.ControllerInfo{Name: "devices", Version: 2, Mount: h.Mount}
		for _, p := range info.DevicePrograms {
			row.EnabledAt = append(row.EnabledAt, fmt.Sprintf("%s (%s)", p.Group, cmp.Or(p.Name, "no name")))
		}
		rows = append(rows, row)
	}
	return rows
}

var infoView = &output.View[cgroupfs.ControllerInfo]{Name: func(c *cgroupfs.ControllerInfo) string { return c.Name }, Columns: []output.Column[cgroupfs.ControllerInfo]{
	{Name: "controller", Help: "the controller, or the hierarchy without any", Value: func(c *cgroupfs.ControllerInfo) output.Cell { return output.Text(c.Name) }},
	{Name: "version", Help: "v1 or v2", Value: func(c *cgroupfs.ControllerInfo) output.Cell {
		return output.Text(fmt.Sprintf("v%d", c.Version)).With(output.Cyan)
	}},
	{Name: "mount", Help: "where its hierarchy is mounted", Cut: output.CutMiddle, Value: func(c *cgroupfs.ControllerInfo) output.Cell { return output.Text(c.Mount) }},
	{Name: "enabled-at", Help: "v2 groups whose children it controls", Cut: output.CutEnd, Value: func(c *cgroupfs.ControllerInfo) output.Cell {
		if len(c.EnabledAt) == 0 {
			return output.None()
		}
		return output.Text(strings.Join(c.EnabledAt, " "))
	}},
}}
