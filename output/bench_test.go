package output

import (
	"fmt"
	"io"
	"testing"
)

// proc is a row as the commands have them.
type proc struct {
	NS      uint64
	Type    string
	Procs   int64
	PID     int64
	User    string
	Command string
}

func procView() *View[proc] {
	return &View[proc]{
		Columns: []Column[proc]{
			{Name: "ns", Help: "inode number", Right: true, Value: func(p *proc) Cell { return Uint(p.NS) }},
			{Name: "type", Help: "type of the namespace", Value: func(p *proc) Cell { return Text(p.Type) }},
			{Name: "nprocs", Help: "processes in it", Right: true, Value: func(p *proc) Cell { return Int(p.Procs) }},
			{Name: "pid", Right: true, Value: func(p *proc) Cell {
				if p.PID == 0 {
					return None()
				}
				return Int(p.PID)
			}},
			{Name: "user", Cut: CutEnd, Value: func(p *proc) Cell { return Text(p.User).With(Green) }},
			{Name: "command", Cut: CutEnd, Value: func(p *proc) Cell { return Text(p.Command) }},
		},
		Default: []string{"ns", "type", "nprocs", "pid", "user", "command"},
		Wide:    []string{"ns", "type", "nprocs", "pid", "user", "command"},
		Tree:    "ns",
		Name:    func(p *proc) string { return fmt.Sprintf("%s:[%d]", p.Type, p.NS) },
	}
}

func manyProcs(n int) []proc {
	rows := make([]proc, n)
	for i := range rows {
		rows[i] = proc{
			NS: 4026531840 + uint64(i), Type: "net", Procs: int64(i % 97), PID: int64(i + 1), User: "root",
			Command: "/usr/lib/systemd/systemd-executor --deserialize 88 --log-level info",
		}
	}
	return rows
}

func BenchmarkTable(b *testing.B) {
	view := procView()
	for _, n := range []int{100, 1000, 4000, 10000} {
		rows := manyProcs(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := view.Print(io.Discard, rows, Options{Width: 80}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSelect is a table's work without tablewriter's.
func BenchmarkSelect(b *testing.B) {
	view := procView()
	rows := manyProcs(4000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := view.Select(rows, Options{SortBy: "-nprocs", Filter: `type == net && command =~ "systemd"`}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	view := procView()
	for _, n := range []int{100, 1000, 10000} {
		roots := bushy(manyProcs(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := view.PrintTree(io.Discard, roots, Options{Width: 80}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bushy makes a tree in which every row has up to eight children.
func bushy(rows []proc) []*Node[proc] {
	nodes := make([]*Node[proc], len(rows))
	for i, r := range rows {
		nodes[i] = &Node[proc]{Row: r}
		if i > 0 {
			parent := nodes[(i-1)/8]
			parent.Children = append(parent.Children, nodes[i])
		}
	}
	return nodes[:1]
}

func BenchmarkEscape(b *testing.B) {
	for name, s := range map[string]string{
		"clean": "/usr/lib/systemd/systemd --switched-root",
		"utf8":  "/srv/Übergrößenträger/日本語",
		"dirty": "evil\x1b[2Jname\u202e",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Escape(s)
			}
		})
	}
}
