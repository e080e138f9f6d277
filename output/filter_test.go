package output

import (
	"slices"
	"strings"
	"testing"
)

// thing is a row with one cell of each sort.
type thing struct {
	id                    string
	number, size, text, x Cell
}

func thingView() *View[thing] {
	return &View[thing]{Columns: []Column[thing]{
		{Name: "number", Right: true, Value: func(t *thing) Cell { return t.number }},
		{Name: "size", Right: true, Value: func(t *thing) Cell { return t.size }},
		{Name: "text", Value: func(t *thing) Cell { return t.text }},
		{Name: "x.y-z", Value: func(t *thing) Cell { return t.x }},
	}}
}

func things() []thing {
	return []thing{
		{"a", Int(1), Uint(1 << 30).As("1.0G"), Text("net"), Text(`say "hi"`)},
		{"b", Int(10), Uint(18446744073709551615), Text("web10"), None()},
		{"c", Int(0), Float(0.5), Text(""), Text("/demo/web")},
		{"d", None(), None(), Text("-1"), Text("and")},
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{``, "abcd"},
		{`number == 1`, "a"},
		{`number == 1.0`, "a"},
		{`number eq 1`, "a"},
		{`number != 1`, "bcd"},
		{`NUMBER Ne 1`, "bcd"},
		{`number > 9`, "b"}, // as text, 10 < 9
		{`number gt 1`, "b"},
		{`number >= 1`, "ab"},
		{`number ge 1`, "ab"},
		{`number<1`, "c"}, // None is not less
		{`number lt 1`, "c"},
		{`number <= 1`, "ac"},
		{`number le 1`, "ac"},
		{`number > -1`, "abc"},
		{`number`, "ab"},
		{`!number`, "cd"},
		{`not number`, "cd"},
		{`!!number`, "ab"},
		{`text`, "abd"},
		{`number == ""`, "d"},
		{`number == -`, "d"},
		{`number != -`, "abc"},
		{`number == many`, ""},
		{`number =~ ^1`, "ab"},
		{`number !~ ^1`, "cd"},
		{`size == 1G`, "a"},
		{`size >= 1024m`, "ab"},
		{`size == 0.5`, "c"},
		{`size == 1.0G`, "a"},
		{`size =~ '^1\.0G$'`, "a"},
		{`size == 18446744073709551615`, "b"},
		{`size > 18446744073709551614`, "b"},
		{`text == net`, "a"},
		{`text == "net"`, "a"},
		{`text == 'net'`, "a"},
		{`text == -1`, "d"},
		{`text < web9`, "acd"},
		{`text > web9`, "b"},
		{`text =~ "web\d+"`, "b"},
		{`text =~ "WEB"`, ""},
		{`text =~ "(?i)WEB"`, "b"},
		{`x.y-z == 'say "hi"'`, "a"},
		{`x.y-z == "say \"hi\""`, "a"},
		{`x.y-z == /demo/web`, "c"},
		{`x.y-z == and`, "d"},
		{`number==1||number==10&&text==net`, "a"},
		{`(number==1||number==10)&&text==web10`, "b"},
		{`number == 1 or number == 0 and text == ""`, "ac"},
		{`!(number == 1) && number`, "b"},
		{`!number && text`, "d"},
		{"\t number\n==\r1 ", "a"},
	} {
		rows := things()
		got, err := thingView().Select(rows, Options{Filter: c.filter})
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		if ids := ids(got); ids != c.want {
			t.Errorf("%s keeps %q, want %q", c.filter, ids, c.want)
		}
		if ids(rows) != "abcd" {
			t.Fatalf("%s changed the rows that it was given", c.filter)
		}
	}
}

func ids(rows []thing) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(r.id)
	}
	return b.String()
}

func TestFilterErrors(t *testing.T) {
	const columns = "there are number, size, text, x.y-z"
	for _, c := range []struct{ filter, want string }{
		{`nosuch == 1`, `filter: at "nosuch == 1" (character 1): no column "nosuch": ` + columns},
		{`number && (größe == 1)`, `at "größe == 1)" (character 12): no column "größe": ` + columns},
		{`text == "ö" && no`, `(character 16): no column "no"`},
		{`"net" == text`, `at "\"net\" == text" (character 1): expected a column: ` + columns},
		{`number ==`, `at the end of "number ==": expected a value after ==`},
		{`number > &&`, `at "&&" (character 10): expected a value after >`},
		{`number = 1`, `at "= 1" (character 8): "=" is no operator: there are ==`},
		{`number & text`, `"&" is no operator`},
		{`(number`, `at the end of "(number": expected )`},
		{`number)`, `at ")" (character 7): expected an operator, && or || before ")"`},
		{`number 1`, `before "1"`},
		{`number == 1 text`, `before "text"`},
		{`text == "open`, `at "\"open" (character 9): the string that begins here does not end`},
		{`text =~ "("`, "missing closing )"},
		{`&& number`, "expected a column"},
		{`number ||`, "expected a column"},
		{`!`, "expected a column"},
		{` `, "expected a column"},
	} {
		err := thingView().Check(Options{Filter: c.filter})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.filter, err, c.want)
		}
	}
}

func TestFilterRefusesToOrderNumbersAgainstText(t *testing.T) {
	o := Options{Filter: `number > many`}
	if err := thingView().Check(o); err != nil {
		t.Fatal(err)
	}
	_, err := thingView().Select(things(), o)
	const want = `filter: number > "many": the column has numbers, and that is none`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Cell
	}{
		{"0", Int(0)},
		{"-12", Int(-12)},
		{"9223372036854775808", Uint(1 << 63)},
		{"1.5", Float(1.5)},
		{"1e3", Float(1000)},
		{"2k", Float(2048)},
		{"1P", Float(1 << 50)},
	} {
		if got := parseNumber(c.in); got != c.want {
			t.Errorf("parseNumber(%q) = %+v, want %+v", c.in, got, c.want)
		}
	}
	for _, s := range []string{"", "-", ".", "K", "inf", "nan", "0x10", "1_000", "1X", "net", "1e999", "KK", "\xeb"} {
		if got := parseNumber(s); got != None() {
			t.Errorf("parseNumber(%q) = %+v, want none", s, got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`type == "net" && nprocs > 3 || !(command =~ "ssh")`,
		`number`, `! number or not text and size ge 1K`, `text == 'a\'b'`, `((number))`, `text =~ [`, `number >`, "text == \xff",
	} {
		f.Add(s)
	}
	view := thingView()
	f.Fuzz(func(t *testing.T, s string) {
		if view.Check(Options{Filter: s}) != nil || s == "" {
			return
		}
		// What can be read, can be negated: each row is on one side.
		kept, err := view.Select(things(), Options{Filter: s})
		if err != nil {
			return
		}
		rest, err := view.Select(things(), Options{Filter: "!(" + s + ")"})
		if err != nil {
			t.Fatalf("%q is fine, but its negation is not: %v", s, err)
		}
		all := strings.Split(ids(kept)+ids(rest), "")
		slices.Sort(all)
		if got := strings.Join(all, ""); got != "abcd" {
			t.Errorf("%q and its negation together keep %q", s, got)
		}
	})
}

// TestFilterUnknown: whether an unknown value passes is unknown, and so is its
// opposite; a row passes on a clear yes alone.
func TestFilterUnknown(t *testing.T) {
	rows := []thing{
		{"a", Unknown(), Int(1), Text("x"), Text("a, b, +1").Of("a, b, c")},
		{"b", Int(0), Int(1), Text("x"), Unknown()},
	}
	for _, c := range []struct{ filter, want string }{
		{`number == 0`, "b"},
		{`number != 0`, ""},
		{`!(number == 0)`, ""},
		{`number < 5`, "b"},
		{`number`, ""},
		{`!number`, "b"},
		{`number == -`, ""},
		{`number =~ .`, "b"},
		{`number !~ .`, ""},
		{`number == ?`, "a"},
		{`number == "?"`, "a"},
		{`number != ?`, "b"},
		{`!(number == ?)`, "b"},
		{`number == 3 || size == 1`, "ab"},
		{`size == 1 || number == 3`, "ab"},
		{`number == 3 && size == 1`, ""},
		{`!(number == 3 && size == 2)`, "ab"},
		{`!(number == 0 || size == 2)`, ""},
		{`x.y-z =~ c`, "a"},
		{`x.y-z == "a, b, c"`, "a"},
		{`x.y-z == "a, b, +1"`, "a"},
	} {
		view := thingView()
		got, err := view.Select(rows, Options{Filter: c.filter})
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
		}
		ids := ""
		for _, row := range got {
			ids += row.id
		}
		if ids != c.want {
			t.Errorf("%s: %q, want %q", c.filter, ids, c.want)
		}
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Width: 80}, "?       a, b, +1\n0       ?\n"},
		{Options{Width: 80, NoTrunc: true}, "?       a, b, c\n0       ?\n"},
		{Options{}, "?       a, b, c\n0       ?\n"},
	} {
		var b strings.Builder
		c.options.Format, c.options.Columns, c.options.NoHeaders = Table, "number,x.y-z", true
		if err := thingView().Print(&b, rows, c.options); err != nil || strings.Join(strings.Fields(b.String()), " ") != strings.Join(strings.Fields(c.want), " ") {
			t.Errorf("%+v: %q, %v", c.options, b.String(), err)
		}
	}
}
