package output

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestColumns(t *testing.T) {
	v := procView()
	v.Default = []string{"ns", "type"}
	v.Wide = []string{"ns", "type", "pid"}
	row := []proc{{7, "net", 3, 5151, "root", "sh"}}
	for _, c := range []struct{ format, columns, header, want string }{
		{"", "", "NS  TYPE", " 7  net"},
		{"table", "", "NS  TYPE", " 7  net"},
		{"wide", "", "NS  TYPE   PID", " 7  net   5151"},
		{"", "user,ns", "USER  NS", "root   7"},
		{"wide", "user,ns", "USER  NS", "root   7"},
		{"", "+user", "NS  TYPE  USER", " 7  net   root"},
		{"", "+user,+pid", "NS  TYPE  USER   PID", " 7  net   root  5151"},
		{"", "+user,pid", "NS  TYPE  USER   PID", " 7  net   root  5151"},
		{"wide", "+user", "NS  TYPE   PID  USER", " 7  net   5151  root"},
		{"", "USER, Ns", "USER  NS", "root   7"},
		{"", "user,user,ns", "USER  NS", "root   7"},
		{"", "+type", "NS  TYPE", " 7  net"},
	} {
		got := printed(t, v, row, Options{Format: Format(c.format), Columns: c.columns})
		checkLines(t, c.format+" "+c.columns, got, c.header, c.want)
	}
	v.Default, v.Wide = nil, nil
	for _, format := range []Format{"", Wide} {
		if got := printed(t, v, row, Options{Format: format})[0]; got != "NS  TYPE  NPROCS   PID  USER  COMMAND" {
			t.Errorf("format %q without defaults: %q", format, got)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	const columns = "there are ns, type, nprocs, pid, user, command"
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Columns: "ns,nosuch"}, `columns: no column "nosuch": ` + columns},
		{Options{Columns: "+"}, `columns: no column "": ` + columns},
		{Options{Columns: "ns,,type"}, `columns: no column "": ` + columns},
		{Options{SortBy: "nosuch"}, `sort-by: no column "nosuch": ` + columns},
		{Options{SortBy: "-"}, `sort-by: no column "": ` + columns},
		{Options{SortBy: "--ns"}, `sort-by: no column "-ns": ` + columns},
		{Options{Filter: "nosuch"}, `filter: at "nosuch" (character 1): no column "nosuch": ` + columns},
		{Options{Format: "xml"}, `unknown output format "xml": use one of table, wide, json, ndjson, yaml, name`},
		{Options{Format: "JSON"}, `unknown output format "JSON"`},
	} {
		v, w := procView(), failing{errors.New("must not be written to")}
		_, selected := v.Select(someProcs(), c.o)
		_, trees := v.SelectTree(bushy(someProcs()), c.o)
		for what, err := range map[string]error{
			"Check":      v.Check(c.o),
			"Print":      v.Print(w, someProcs(), c.o),
			"PrintTree":  v.PrintTree(w, bushy(someProcs()), c.o),
			"Select":     selected,
			"SelectTree": trees,
		} {
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s(%+v): error %v, want %s", what, c.o, err, c.want)
			}
		}
	}
}

func TestDocumentsAreNoTables(t *testing.T) {
	for _, f := range []Format{JSON, NDJSON, YAML} {
		o := Options{Format: f}
		if err := procView().Check(o); err != nil {
			t.Errorf("Check(%s): %v", f, err)
		}
		err := procView().Print(io.Discard, someProcs(), o)
		if want := "format " + string(f) + " is a document, not a table"; err == nil || err.Error() != want {
			t.Errorf("Print(%s): error %v, want %s", f, err, want)
		}
		if f.Tabular() {
			t.Errorf("%s is tabular", f)
		}
	}
	for _, f := range []Format{"", Table, Wide, Name} {
		if !f.Tabular() {
			t.Errorf("%q is not tabular", f)
		}
	}
}

func TestNames(t *testing.T) {
	checkLines(t, "format name", printed(t, procView(), someProcs(), Options{Format: Name, SortBy: "ns", Width: 5}),
		"user:[7]", "net:[4026531840]", "mnt:[4026532201]")

	v := procView()
	v.Name = func(p *proc) string { return p.User }
	checkLines(t, "escaped names", printed(t, v, someProcs(), Options{Format: Name}), "root", `a\x1bb`, "日本語")

	v.Name = nil
	if err := v.Check(Options{Format: Name}); err == nil {
		t.Error("rows without names are printed by name")
	}
}

func TestSort(t *testing.T) {
	rows := []thing{
		{"a", Int(2), None(), Text("web10"), Text("x")},
		{"b", None(), Float(1.5), Text("web2"), Text("x")},
		{"c", Int(10), Uint(1 << 20).As("1.0M"), Text("Web1"), Text("x")},
		{"d", Int(2), Uint(900).As("900"), Text(""), Text("x")},
		{"e", Int(-1), Uint(18446744073709551615), Text("web"), Text("x")},
	}
	for _, c := range []struct{ sortBy, want string }{
		{"", "abcde"},
		{"number", "beadc"},  // none first, equal ones as they were
		{"-number", "cadeb"}, // equal ones as they were all the same
		{"NUMBER", "beadc"},
		{"size", "abdce"}, // by the number, not by what is shown
		{"-size", "ecdba"},
		{"text", "dceba"}, // natural: web2 before web10
		{"x.y-z", "abcde"},
		{"-x.y-z", "abcde"},
	} {
		got, err := thingView().Select(rows, Options{SortBy: c.sortBy})
		if err != nil {
			t.Errorf("%s: %v", c.sortBy, err)
		}
		if ids(got) != c.want {
			t.Errorf("sorted by %q: %s, want %s", c.sortBy, ids(got), c.want)
		}
		if ids(rows) != "abcde" {
			t.Fatalf("sorting by %q changed the rows that it was given", c.sortBy)
		}
	}
}

// TestSortIsStable in both directions, with more rows than are sorted by
// insertion, which is always stable.
func TestSortIsStable(t *testing.T) {
	for _, sortBy := range []string{"nprocs", "-nprocs"} {
		got, err := procView().Select(manyProcs(1000), Options{SortBy: sortBy})
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(got); i++ {
			if a, b := got[i-1], got[i]; a.Procs == b.Procs && a.PID > b.PID {
				t.Fatalf("sorted by %s, PID %d stands before PID %d, with %d processes each", sortBy, a.PID, b.PID, a.Procs)
			}
		}
	}
}

// TestPrintShowsWhatSelectSelects holds table and document together.
func TestPrintShowsWhatSelectSelects(t *testing.T) {
	o := Options{Filter: "nprocs > 50", SortBy: "-nprocs", NoHeaders: true, Columns: "pid"}
	rows := manyProcs(300)
	selected, err := procView().Select(rows, o)
	if err != nil {
		t.Fatal(err)
	}
	lines := printed(t, procView(), rows, o)
	if len(selected) != len(lines) || len(lines) == 0 {
		t.Fatalf("%d rows selected, %d printed", len(selected), len(lines))
	}
	for i, line := range lines {
		if pid := Int(selected[i].PID).String(); strings.TrimSpace(line) != pid {
			t.Errorf("row %d is %s in the table and %s in the selection", i, line, pid)
		}
	}
}

func TestHelp(t *testing.T) {
	v := procView()
	v.Default = []string{"ns", "user"}
	const want = "  * ns       inode number\n" +
		"    type     type of the namespace\n" +
		"    nprocs   processes in it\n" +
		"    pid\n" +
		"  * user\n" +
		"    command\n"
	if got := v.Help(); got != want {
		t.Errorf("Help is\n%s\nwant\n%s", got, want)
	}
}

// failing is a writer that only ever fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// short is a writer that takes half and says nothing.
type short struct{}

func (short) Write(b []byte) (int, error) { return len(b) / 2, nil }

// counting counts the calls of Write.
type counting struct {
	bytes.Buffer
	calls int
}

func (c *counting) Write(b []byte) (int, error) {
	c.calls++
	return c.Buffer.Write(b)
}

// TestEveryWriterIsChecked: what cannot be written is an error, and what can is
// written at once.
func TestEveryWriterIsChecked(t *testing.T) {
	doc := map[string]any{"rows": someProcs()}
	for name, print := range map[string]func(io.Writer) error{
		"table":       func(w io.Writer) error { return procView().Print(w, someProcs(), Options{}) },
		"empty table": func(w io.Writer) error { return procView().Print(w, nil, Options{}) },
		"names":       func(w io.Writer) error { return procView().Print(w, someProcs(), Options{Format: Name}) },
		"tree":        func(w io.Writer) error { return procView().PrintTree(w, bushy(someProcs()), Options{}) },
		"JSON":        func(w io.Writer) error { return WriteJSON(w, doc, false) },
		"pretty JSON": func(w io.Writer) error { return WriteJSON(w, doc, true) },
		"NDJSON":      func(w io.Writer) error { return WriteNDJSON(w, nil, someProcs()) },
		"YAML":        func(w io.Writer) error { return WriteYAML(w, doc) },
	} {
		full := errors.New("no space left on device")
		if err := print(failing{full}); !errors.Is(err, full) {
			t.Errorf("%s: error %v, want %v", name, err, full)
		}
		if err := print(short{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: error %v, want %v", name, err, io.ErrShortWrite)
		}
		var w counting
		if err := print(&w); err != nil || w.calls != 1 {
			t.Errorf("%s: %d writes, error %v; want one", name, w.calls, err)
		}
	}
}

func TestNothingToWriteIsNotWritten(t *testing.T) {
	w := failing{errors.New("must not be written to")}
	if err := procView().Print(w, nil, Options{NoHeaders: true}); err != nil {
		t.Error(err)
	}
	if err := WriteNDJSON[proc](w, nil, nil); err != nil {
		t.Error(err)
	}
}
