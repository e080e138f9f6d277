package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"nsx/cgroupfs"
	"nsx/output"
)

// Tables fit half a screen, however long the names are.
func TestCgroupTablesFit(t *testing.T) {
	const width = 80
	long := "/" + strings.Repeat("kubepods-burstable/", 10) + "end"
	n, x := cgroupfs.Number(int64(1<<40)), cgroupfs.Number(1e12)
	tables := map[string]func(*bytes.Buffer) error{
		"ls": func(b *bytes.Buffer) error {
			row := groupRow{Path: long, name: long, MemoryBytes: n, MemoryLimit: n, PIDsLimit: n, Hierarchies: strings.Split(strings.Repeat("controller ", 12), " ")}
			return groupView.PrintTree(b, []*output.Node[groupRow]{{Row: row}}, output.Options{Width: width})
		},
		"info": func(b *bytes.Buffer) error {
			return infoView.Print(b, []cgroupfs.ControllerInfo{{Name: "cpu", Version: 2, Mount: long, EnabledAt: []string{long, long}}}, output.Options{Width: width})
		},
		"limits": func(b *bytes.Buffer) error {
			return limitView.Print(b, []cgroupfs.Effective{{Resource: "hugetlb.16GB", Unit: "bytes", Limit: x, Usage: x, Headroom: x, Group: long}}, output.Options{Width: width})
		},
		"get": func(b *bytes.Buffer) error {
			return getView.Print(b, []valueLine{{shown: "memory.kmem.tcp.max_usage_in_bytes", Value: long}}, output.Options{Width: width})
		},
		"stat": func(b *bytes.Buffer) error {
			return statView.Print(b, []statRow{{Name: "group", cell: output.Text(long)}, {Name: "pressure.memory.some.avg300_percent", cell: output.Int(0)}}, output.Options{Width: width})
		},
	}
	for name, print := range tables {
		var b bytes.Buffer
		if err := print(&b); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if got := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); got > width {
				t.Errorf("%s: %d columns: %s", name, got, line)
			}
		}
	}
}
