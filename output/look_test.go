package output

import (
	"strings"
	"testing"
)

// TestLook: what a row may ask for beyond its cells.
func TestLook(t *testing.T) {
	type row struct{ name, apart string }
	v := &View[row]{
		Columns: []Column[row]{
			{Name: "name", Cut: CutMiddle, Keep: 12, Value: func(r *row) Cell { return Text(r.name) }},
			{Name: "n", Right: true, Value: func(r *row) Cell {
				if r.apart == "" {
					return None().Rest("held by something with a long name").With(Yellow)
				}
				return Int(7)
			}},
			{Name: "apart", Cut: CutEnd, Value: func(r *row) Cell { return Text("all").Meaning(r.apart) }},
			{Name: "command", Cut: CutEnd, Value: func(*row) Cell { return Text(strings.Repeat("word ", 20)) }},
		},
		Row: func(r *row) Style {
			if r.name == "host" {
				return Dim
			}
			return Plain
		},
	}
	rows := []row{{"host", "x"}, {"container-web-1", "net,pid"}, {"red", ""}}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Width: 40}, `NAME            N  APART  COMMAND
host            7  all    word word wor…
contai…r-web-1  7  all    word word wor…
red             held by something with …
`},
		{Options{Width: 34}, `NAME          N  APART  COMMAND
host          7  all    word word…
conta…-web-1  7  all    word word…
red           held by something w…
`},
		{Options{Width: 28}, `NAME      N  APART  COMMAND
host      7  all    word wo…
con…eb-1  7  all    word wo…
red       held by something…
`},
		{Options{Width: 40, Filter: `apart == "net,pid"`, Columns: "name,apart"}, "NAME             APART\ncontainer-web-1  all\n"},
		{Options{Filter: `name == red`, Columns: "name,n,apart", NoHeaders: true}, "red  -  all\n"},
		{
			Options{Width: 40, Color: true, Columns: "name,n", NoHeaders: true, Filter: "name != container-web-1"},
			"\x1b[2mhost\x1b[0m  \x1b[2m7\x1b[0m\nred   \x1b[33mheld by something with a long name\x1b[0m\n",
		},
	} {
		var b strings.Builder
		c.options.Format = Table
		if err := v.Print(&b, rows, c.options); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%+v:\n%q\nwant\n%q", c.options, b.String(), c.want)
		}
	}
}
