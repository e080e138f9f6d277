package output

import (
	"cmp"
	"math"
	"slices"
	"testing"
)

func TestCellString(t *testing.T) {
	for _, c := range []struct {
		cell Cell
		want string
	}{
		{None(), "-"},
		{Cell{}, "-"},
		{Unknown(), "?"},
		{Text(""), ""},
		{Text("a\x1b"), "a\x1b"},
		{Int(-5), "-5"},
		{Uint(math.MaxUint64), "18446744073709551615"},
		{Float(0.125), "0.12"},
		{Float(math.NaN()), "-"},
		{Uint(1536).As("1.5K"), "1.5K"},
		{Text("x").As("y"), "x"},
		{None().As("y"), "-"},
		{Int(3).With(Red), "3"},
	} {
		if got := c.cell.String(); got != c.want {
			t.Errorf("%+v shows %q, want %q", c.cell, got, c.want)
		}
	}
}

// TestCompareOrdersAllCells compares each cell with each: the list is sorted,
// so the order of the indices is the order of the cells.
func TestCompareOrdersAllCells(t *testing.T) {
	sorted := []Cell{
		None(),
		Unknown(),
		Float(math.Inf(-1)),
		Int(math.MinInt64),
		Int(-1),
		Float(-0.5),
		Int(0),
		Float(0.5),
		Int(9),
		Uint(10),
		Int(math.MaxInt64),
		Uint(math.MaxUint64 - 1), // one less is the same float
		Uint(math.MaxUint64),
		Text(""),
		Text("01"),
		Text("1"),
		Text("2"),
		Text("10"),
		Text("10.0.0.9"),
		Text("10.0.0.10"),
		Text("net:[4026531833]"),
		Text("net:[14026531833]"),
		Text("web"),
		Text("web2"),
		Text("web2a"),
		Text("web10"),
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := sign(a.compare(b)), cmp.Compare(i, j); got != want {
				t.Errorf("%q compared with %q is %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int { return cmp.Compare(n, 0) }

// FuzzCompareNatural checks the laws that sorting depends on.
func FuzzCompareNatural(f *testing.F) {
	f.Add("web2", "web10", "web010")
	f.Add("1", "01", "a")
	f.Add("a00", "a0", "a000b")
	f.Add("1a", "01b", "1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if CompareNatural(a, b) != -CompareNatural(b, a) {
			t.Errorf("%q and %q depend on their order", a, b)
		}
		if CompareNatural(a, b) == 0 && a != b {
			t.Errorf("%q and %q are taken to be equal", a, b)
		}
		three := []string{a, b, c}
		slices.SortFunc(three, CompareNatural)
		if CompareNatural(three[0], three[2]) > 0 {
			t.Errorf("%q is not transitive", three)
		}
	})
}
