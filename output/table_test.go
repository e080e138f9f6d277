package output

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// printed is what the view prints, line by line.
func printed[T any](t *testing.T, v *View[T], rows []T, o Options) []string {
	t.Helper()
	var b bytes.Buffer
	if err := v.Print(&b, rows, o); err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return lineList(t, b.String())
}

func lineList(t *testing.T, s string) []string {
	t.Helper()
	if s == "" {
		return nil
	}
	body, ok := strings.CutSuffix(s, "\n")
	if !ok {
		t.Errorf("the output does not end with a newline: %q", s)
	}
	return strings.Split(body, "\n")
}

func checkLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s prints\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func someProcs() []proc {
	return []proc{
		{4026531840, "net", 93, 1, "root", "/sbin/init splash"},
		{4026532201, "mnt", 1, 0, "a\x1bb", ""},
		{7, "user", 12345, 4194304, "日本語", "tail\tend"},
	}
}

func TestTable(t *testing.T) {
	checkLines(t, "a table", printed(t, procView(), someProcs(), Options{}),
		"        NS  TYPE  NPROCS      PID  USER    COMMAND",
		"4026531840  net       93        1  root    /sbin/init splash",
		`4026532201  mnt        1        -  a\x1bb`,
		`         7  user   12345  4194304  日本語  tail\x09end`,
	)
	checkLines(t, "a table without headers", printed(t, procView(), someProcs()[:1], Options{NoHeaders: true}),
		"4026531840  net  93  1  root  /sbin/init splash",
	)
}

func TestTableOfNothing(t *testing.T) {
	for _, rows := range [][]proc{nil, {}} {
		checkLines(t, "a table of no rows", printed(t, procView(), rows, Options{Width: 80}),
			"NS  TYPE  NPROCS  PID  USER  COMMAND")
		checkLines(t, "nothing", printed(t, procView(), rows, Options{NoHeaders: true}))
		checkLines(t, "names of nothing", printed(t, procView(), rows, Options{Format: Name}))
	}
}

// TestTableKeepsEveryText hands tablewriter what it has opinions about.
func TestTableKeepsEveryText(t *testing.T) {
	texts := []string{
		"net_ns", "pid.ns", "lower Case", "  two  blanks  inside", "", "-", "%s %d", "a|b", "<b>", "\\", "日本", "é",
		strings.Repeat("long ", 500) + "end", "1.50", "007", "UPPER",
	}
	v := &View[string]{Columns: []Column[string]{
		{Name: "left_x", Value: func(s *string) Cell { return Text(*s) }},
		{Name: "end", Value: func(*string) Cell { return Text("|") }},
	}}
	got := printed(t, v, texts, Options{NoHeaders: true})
	if len(got) != len(texts) {
		t.Fatalf("%d rows became %d lines", len(texts), len(got))
	}
	for i, line := range got {
		body, ok := strings.CutSuffix(line, "|")
		if text := strings.TrimRight(body, " "); !ok || text != texts[i] {
			t.Errorf("%q is printed as %q", texts[i], line)
		}
	}
	if header := printed(t, v, texts[:1], Options{})[0]; header != "LEFT_X  END" {
		t.Errorf("header %q", header)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	rows := manyProcs(20)
	rows[3].User = "a-user-name-of-some-length"
	rows[4].Command = "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語"
	rows[5].Command = strings.Repeat("x", 1<<21)
	rows[6].Command = strings.Repeat("e\u0301", 100)
	for width := 60; width <= 130; width++ {
		for _, noHeaders := range []bool{false, true} {
			for i, line := range printed(t, procView(), rows, Options{Width: width, NoHeaders: noHeaders}) {
				if w := textWidth(line); w > width {
					t.Errorf("width %d, line %d takes %d columns: %s", width, i, w, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("width %d, line %d ends in blanks: %q", width, i, line)
				}
			}
		}
	}
}

// TestTableTooNarrow: where all columns have given way, a line is cut and does not
// wrap, unless nothing is to be cut.
func TestTableTooNarrow(t *testing.T) {
	rows := manyProcs(1)
	for width := range 60 {
		for _, line := range printed(t, procView(), rows, Options{Width: width + 1}) {
			if textWidth(line) > width+1 {
				t.Errorf("width %d: %q", width+1, line)
			}
		}
	}
	checkLines(t, "a table at width 44", printed(t, procView(), rows, Options{Width: 44}),
		"        NS  TYPE  NPROCS  PID  USER  COMMAND",
		"4026531840  net        0    1  root  /usr/l…")
	checkLines(t, "a table at width 20", printed(t, procView(), rows, Options{Width: 20}),
		"        NS  TYPE   …",
		"4026531840  net    0")
	if lines := printed(t, procView(), rows, Options{Width: 20, NoTrunc: true}); textWidth(lines[1]) < 45 {
		t.Errorf("with NoTrunc: %q", lines)
	}
}

// TestNothingIsCut where there is no terminal, or the user wants it so.
func TestNothingIsCut(t *testing.T) {
	rows := manyProcs(1)
	for _, o := range []Options{{}, {Width: -1}, {Width: 20, NoTrunc: true}} {
		if got := printed(t, procView(), rows, o)[1]; !strings.HasSuffix(got, rows[0].Command) {
			t.Errorf("%+v: %q lacks the command", o, got)
		}
	}
}

func TestCutText(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		how   Cut
		want  string
	}{
		{"4026531840", 8, CutNever, "4026531840"},
		{"/usr/lib/systemd", 16, CutEnd, "/usr/lib/systemd"},
		{"/usr/lib/systemd", 15, CutEnd, "/usr/lib/syste…"},
		{"/kubepods.slice/x.scope", 12, CutMiddle, "/kube….scope"},
		{"/kubepods.slice/x.scope", 13, CutMiddle, "/kubep….scope"},
		{"日本語日本語", 12, CutEnd, "日本語日本語"},
		{"日本語日本語", 11, CutEnd, "日本語日本…"},
		{"日本語日本語", 10, CutEnd, "日本語日…"}, // a half of 本 does not exist
		{"日本語日本語", 8, CutMiddle, "日…本語"},
		{"日本語日本語", 9, CutMiddle, "日本…本語"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, CutEnd, "e\u0301e\u0301…"},
		{"e\u0301a\u0301i\u0301o\u0301", 3, CutMiddle, "e\u0301…o\u0301"},
		{"brkB of net:4026531840", 16, CutEnd, "brkB of net:…"}, // half a number is another one
		{"brkB of net:4026531840, up", 24, CutEnd, "brkB of net:4026531840,…"},
		{"brkB of net:4026531840, up", 23, CutEnd, "brkB of net:4026531840…"},
		{"4026531840", 8, CutEnd, "4026531…"},
		{"abc", 1, CutEnd, "…"},
		{"abc", 1, CutMiddle, "…"},
		{"abc", 0, CutEnd, "…"},
		{"", 0, CutEnd, ""},
	} {
		if got := cutText(c.text, c.width, c.how); got != c.want {
			t.Errorf("cutText(%q, %d, %d) = %q, want %q", c.text, c.width, c.how, got, c.want)
		}
	}
}

func FuzzCutText(f *testing.F) {
	f.Add("/kubepods.slice/日本語.scope", uint8(9), true)
	f.Add("e\u0301\u0301\u0301x", uint8(1), false)
	f.Add("👩‍👩‍👧 family 🇩🇪", uint8(8), true)
	f.Fuzz(func(t *testing.T, s string, width uint8, middle bool) {
		how := CutEnd
		if middle {
			how = CutMiddle
		}
		s, room := Escape(s), max(int(width), 1)
		got := cutText(s, room, how)
		if w := textWidth(got); w > room {
			t.Errorf("cut to %d columns, %q takes %d: %q", room, s, w, got)
		}
		if textWidth(s) <= room && got != s {
			t.Errorf("%q fits into %d and is cut to %q", s, room, got)
		}
		checkSafe(t, got)
	})
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		wide, least []int
		total       int
		want        []int
	}{
		{[]int{10, 20}, []int{10, 8}, 32, []int{10, 20}},
		{[]int{10, 20}, []int{10, 8}, 31, []int{10, 19}},
		{[]int{30, 20}, []int{8, 8}, 32, []int{15, 15}},
		{[]int{30, 20}, []int{8, 20}, 32, []int{10, 20}},
		{[]int{30, 20}, []int{20, 20}, 10, []int{20, 20}},
		{[]int{1 << 40, 5}, []int{8, 5}, 80, []int{73, 5}},
		{nil, nil, 80, []int{}},
	} {
		if got := fit(c.wide, c.least, c.total); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("fit(%v, %v, %d) = %v, want %v", c.wide, c.least, c.total, got, c.want)
		}
	}
}

// TestColourChangesNothingElse: without the sequences, the text is the same.
func TestColourChangesNothingElse(t *testing.T) {
	for _, o := range []Options{{}, {Width: 50}, {NoHeaders: true}} {
		plain := printed(t, procView(), someProcs(), o)
		o.Color = true
		coloured := strings.Join(printed(t, procView(), someProcs(), o), "\n")
		if !strings.Contains(coloured, Green.sequence()+"root"+"\x1b[0m") {
			t.Errorf("root is not green: %q", coloured)
		}
		bare := coloured
		for s := Plain; s <= Cyan; s++ {
			bare = strings.ReplaceAll(bare, s.sequence(), "")
		}
		checkLines(t, "a coloured table", strings.Split(bare, "\n"), plain...)
	}
}

func TestStylesDiffer(t *testing.T) {
	seen := map[string]Style{}
	for s := Plain; s <= Cyan; s++ {
		text := s.paint("x")
		if other, ok := seen[text]; ok {
			t.Errorf("styles %d and %d look the same: %q", s, other, text)
		}
		seen[text] = s
		if s.paint("") != "" {
			t.Errorf("style %d paints nothing", s)
		}
	}
}

// TestManyRows: none is lost or doubled where one mark ends and the next begins.
func TestManyRows(t *testing.T) {
	for _, n := range []int{0, 1, rowsPerMark - 1, rowsPerMark, rowsPerMark + 1, 3*rowsPerMark + 7} {
		tab := &table{headings: []heading{{title: "N"}}}
		want := "N\n"
		for i := range n {
			text := strconv.Itoa(i)
			tab.rows = append(tab.rows, []field{{text: text}})
			want += text + "\n"
		}
		var b strings.Builder
		if err := tab.print(&b, Options{}); err != nil || b.String() != want {
			t.Errorf("%d rows: %v\n%s", n, err, b.String())
		}
	}
}

// A name that is a number is never cut, in whatever column it is.
func TestNumberedNamesAreWhole(t *testing.T) {
	for text, want := range map[string]bool{
		"net:4026531840": true, "pid_for_children:4026531840": true, "net:[4026531840]": false, "podman:web": false, ":80": false, "net:": false,
		"unit:x1": false, strings.Repeat("x", 40) + ":1": false,
	} {
		if got := isNumbered(text); got != want {
			t.Errorf("isNumbered(%q) = %v", text, got)
		}
	}
	view := &View[string]{Columns: []Column[string]{
		{Name: "name", Cut: CutMiddle, Value: func(s *string) Cell { return Text(*s) }},
		{Name: "what", Cut: CutEnd, Value: func(*string) Cell { return Text(strings.Repeat("x", 60)) }},
	}, Default: []string{"name", "what"}}
	var out bytes.Buffer
	if err := view.Print(&out, []string{"net:4026531840"}, Options{Width: 20}); err != nil || !strings.Contains(out.String(), "net:4026531840 ") {
		t.Errorf("%v: %s", err, &out)
	}
}
