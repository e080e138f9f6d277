package output

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// forest is two trees, siblings unsorted:
//
//	user 3           user 9
//	├─ net 5         └─ mnt 1
//	│  └─ mnt 30
//	└─ net 4
//	   └─ pid 20
//	      └─ pid 21
func forest() []*Node[proc] {
	leaf := func(typ string, ns uint64, below ...*Node[proc]) *Node[proc] {
		return &Node[proc]{Row: proc{NS: ns, Type: typ, Procs: int64(ns), User: "root"}, Children: below}
	}
	return []*Node[proc]{
		leaf("user", 3,
			leaf("net", 5, leaf("mnt", 30)),
			leaf("net", 4, leaf("pid", 20, leaf("pid", 21)))),
		leaf("user", 9, leaf("mnt", 1)),
	}
}

func printedTree(t *testing.T, v *View[proc], o Options) []string {
	t.Helper()
	var b bytes.Buffer
	if err := v.PrintTree(&b, forest(), o); err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return lineList(t, b.String())
}

func TestTree(t *testing.T) {
	v := procView()
	v.Default = []string{"ns", "type"}
	checkLines(t, "a tree", printedTree(t, v, Options{}),
		"NS        TYPE", // a number, and yet at the left: there are the lines
		"3         user",
		"├─5       net",
		"│ └─30    mnt",
		"└─4       net",
		"  └─20    pid",
		"    └─21  pid",
		"9         user",
		"└─1       mnt",
	)
	checkLines(t, "a sorted tree", printedTree(t, v, Options{SortBy: "nprocs"}),
		"NS        TYPE",
		"3         user",
		"├─4       net",
		"│ └─20    pid",
		"│   └─21  pid",
		"└─5       net",
		"  └─30    mnt",
		"9         user",
		"└─1       mnt",
	)
	checkLines(t, "a tree sorted downwards", printedTree(t, v, Options{SortBy: "-ns", NoHeaders: true}),
		"9         user",
		"└─1       mnt",
		"3         user",
		"├─5       net",
		"│ └─30    mnt",
		"└─4       net",
		"  └─20    pid",
		"    └─21  pid",
	)
	checkLines(t, "a filtered tree", printedTree(t, v, Options{Filter: "ns == 20 || type == net && ns == 4", NoHeaders: true}),
		"3       user",
		"└─4     net",
		"  └─20  pid",
	)
	checkLines(t, "a tree in which nothing matches", printedTree(t, v, Options{Filter: "ns == 99"}), "NS  TYPE")
	checkLines(t, "a tree without its column", printedTree(t, v, Options{Columns: "type", Filter: "type == pid", NoHeaders: true}),
		"user", "net", "pid", "pid")
	checkLines(t, "the names of a tree", printedTree(t, v, Options{Format: Name, Filter: "ns == 1"}),
		"user:[9]", "mnt:[1]")
}

func TestTreeOfTextIsCut(t *testing.T) {
	v := procView()
	v.Tree = "command"
	deep := &Node[proc]{Row: proc{Command: "leaf-with-a-long-name"}}
	for range 5 {
		deep = &Node[proc]{Row: proc{Command: "node"}, Children: []*Node[proc]{deep}}
	}
	var b bytes.Buffer
	o := Options{Columns: "command,pid", Width: 26, NoHeaders: true}
	if err := v.PrintTree(&b, []*Node[proc]{deep}, o); err != nil {
		t.Fatal(err)
	}
	checkLines(t, "a narrow tree", lineList(t, b.String()),
		"node                     -",
		"└─node                   -",
		"  └─node                 -",
		"    └─node               -",
		"      └─node             -",
		"        └─leaf-with-a-…  -",
	)
}

func TestTreeLinesAreDim(t *testing.T) {
	v := procView()
	v.Tree = "user"
	got := strings.Join(printedTree(t, v, Options{Columns: "user", Color: true, Filter: "ns == 1", NoHeaders: true}), "\n")
	const want = "\x1b[32mroot\x1b[0m\n\x1b[2m└─\x1b[0m\x1b[32mroot\x1b[0m"
	if got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestSelectTree(t *testing.T) {
	given := forest()
	got, err := procView().SelectTree(given, Options{Format: JSON, Filter: "ns == 21 || ns == 30", SortBy: "ns"})
	if err != nil {
		t.Fatal(err)
	}
	if s := shape(got); s != "3(4(20(21)) 5(30))" {
		t.Errorf("selected %s", s)
	}
	if s := shape(given); s != "3(5(30) 4(20(21))) 9(1)" {
		t.Errorf("the given trees were changed to %s", s)
	}
	all, err := procView().SelectTree(given, Options{})
	if err != nil || shape(all) != shape(given) {
		t.Errorf("without options %s is selected, error %v", shape(all), err)
	}
}

// shape writes trees as 3(5(30) 4).
func shape(nodes []*Node[proc]) string {
	var all []string
	for _, n := range nodes {
		s := Uint(n.Row.NS).String()
		if len(n.Children) > 0 {
			s += "(" + shape(n.Children) + ")"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestTreeFilterErrors(t *testing.T) {
	w := failing{errors.New("must not be written to")}
	o := Options{Filter: "ns > many"}
	const want = `filter: ns > "many": the column has numbers, and that is none`
	if err := procView().PrintTree(w, forest(), o); err == nil || err.Error() != want {
		t.Errorf("PrintTree: error %v, want %s", err, want)
	}
	if _, err := procView().SelectTree(forest(), o); err == nil || err.Error() != want {
		t.Errorf("SelectTree: error %v, want %s", err, want)
	}
	if err := procView().PrintTree(w, forest(), Options{Format: YAML}); err == nil {
		t.Error("a tree was printed as YAML")
	}
}

// TestDeepTree: a chain of thousands takes as much for each row as a short one, and
// fits the terminal.
func TestDeepTree(t *testing.T) {
	type row struct{ name string }
	v := &View[row]{Columns: []Column[row]{{Name: "name", Cut: CutEnd, Value: func(r *row) Cell { return Text(r.name) }}}, Tree: "name"}
	top := &Node[row]{Row: row{"process"}}
	for at, i := top, 0; i < 5000; i++ {
		at.Children = []*Node[row]{{Row: row{"process"}}}
		at = at.Children[0]
	}
	for _, width := range []int{0, 40, 80} {
		var b strings.Builder
		if err := v.PrintTree(&b, []*Node[row]{top}, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		if most := 5001 * 3 * (2*deepestPiped + 10); b.Len() > most {
			t.Errorf("width %d: %d bytes", width, b.Len())
		}
		for line := range strings.Lines(b.String()) {
			if w := textWidth(strings.TrimSuffix(line, "\n")); width > 0 && w > width {
				t.Fatalf("width %d: a line of %d", width, w)
			}
		}
	}
}

// TestASCII: a locale without UTF-8 gets no other signs.
func TestASCII(t *testing.T) {
	type row struct{ name string }
	v := &View[row]{Columns: []Column[row]{{Name: "name", Cut: CutEnd, Value: func(r *row) Cell { return Text(r.name) }}}, Tree: "name"}
	top := &Node[row]{Row: row{"top"}, Children: []*Node[row]{{Row: row{"a"}, Children: []*Node[row]{{Row: row{"a-name-that-is-too-long"}}}}, {Row: row{"b"}}}}
	var b strings.Builder
	if err := v.PrintTree(&b, []*Node[row]{top}, Options{Width: 20, ASCII: true}); err != nil {
		t.Fatal(err)
	}
	if want := "NAME\ntop\n|-a\n| `-a-name-that-is-~\n`-b\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "C.UTF-8"}, false},
		{map[string]string{"LANG": "de_DE.utf8"}, false},
		{map[string]string{"LANG": "C"}, true},
		{map[string]string{"LANG": "C.UTF-8", "LC_ALL": "C"}, true},
		{map[string]string{"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, false},
	} {
		if got := UseASCII(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
