package output

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// Cell is one value of a row: what is shown, what it sorts and filters by, and
// how it looks. The zero value is [None].
type Cell struct {
	kind  kind
	style Style
	bits  uint64 // the number, as its kind says
	text  string // what is shown; empty for a number: its digits
	whole string // what it filters by, if more than the text
	means string // what it filters by, if something else than what it shows
	rest  string // what the rest of the line shows instead, on a terminal
}

type kind uint8

const (
	none kind = iota
	unknown
	signed
	unsigned
	float
	text
)

// None is the cell of a row that has no such value. It is shown as "-", sorts
// first, and is neither less nor greater than anything in a filter.
func None() Cell { return Cell{} }

// Unknown is the cell of a row whose value could not be read, which is not the
// same as None. It is shown as "?", sorts before all that is known, and passes no
// filter but one that asks for it (COLUMN == ?).
func Unknown() Cell { return Cell{kind: unknown} }

// Text is a cell of text. It may come from outside: it is escaped when shown.
func Text(s string) Cell { return Cell{kind: text, text: s} }

// Int is a cell with a number.
func Int(n int64) Cell { return Cell{kind: signed, bits: uint64(n)} }

// Uint is a cell with a number.
func Uint(n uint64) Cell { return Cell{kind: unsigned, bits: n} }

// Float is a cell with a number that is shown with two decimals. What is no
// number is None.
func Float(f float64) Cell {
	if math.IsNaN(f) {
		return None()
	}
	return Cell{kind: float, bits: math.Float64bits(f)}
}

// With returns the cell in the given style.
func (c Cell) With(s Style) Cell {
	c.style = s
	return c
}

// As returns the cell shown as s, while it sorts and filters by its number: a
// size as "1.5G", a time as "3m12s". It changes numbers only.
func (c Cell) As(s string) Cell {
	if c.number() {
		c.text = s
	}
	return c
}

// Of returns the cell of text that stands for more than it shows. Filters see the
// whole, and so does who wants nothing cut, or has no terminal.
func (c Cell) Of(whole string) Cell {
	if c.kind == text {
		c.whole = whole
	}
	return c
}

// Meaning returns the cell of text that filters by data and shows other words for it.
func (c Cell) Meaning(data string) Cell {
	if c.kind == text {
		c.means = data
	}
	return c
}

// Rest returns the cell of a row for which the columns from this one on have nothing to
// say: on a terminal, the rest of the line is s.
func (c Cell) Rest(s string) Cell {
	c.rest = s
	return c
}

// data is the text that the cell filters by.
func (c Cell) data() string {
	if c.means != "" {
		return c.means
	}
	return c.shownWhole()
}

// shownWhole is the text that is shown where nothing is cut.
func (c Cell) shownWhole() string {
	if c.whole != "" {
		return c.whole
	}
	return c.String()
}

// String returns what is shown, not yet escaped.
func (c Cell) String() string {
	switch {
	case c.kind == none:
		return "-"
	case c.kind == unknown:
		return "?"
	case c.text != "":
		return c.text
	case c.kind == signed:
		return strconv.FormatInt(int64(c.bits), 10)
	case c.kind == unsigned:
		return strconv.FormatUint(c.bits, 10)
	case c.kind == float:
		return strconv.FormatFloat(c.float(), 'f', 2, 64)
	default:
		return ""
	}
}

func (c Cell) number() bool { return c.kind == signed || c.kind == unsigned || c.kind == float }

func (c Cell) float() float64 {
	switch c.kind {
	case signed:
		return float64(int64(c.bits))
	case unsigned:
		return float64(c.bits)
	default:
		return math.Float64frombits(c.bits)
	}
}

// truth is what a bare column name means in a filter.
func (c Cell) truth() bool {
	if c.number() {
		return c.float() != 0
	}
	return c.text != ""
}

// compare orders None before Unknown before numbers before text.
func (c Cell) compare(d Cell) int {
	switch {
	case c.number() && d.number():
		return compareNumbers(c, d)
	case c.kind == text && d.kind == text:
		return CompareNatural(c.text, d.text)
	default:
		return cmp.Compare(c.rank(), d.rank())
	}
}

func (c Cell) rank() int {
	switch {
	case c.kind == none:
		return 0
	case c.kind == unknown:
		return 1
	case c.number():
		return 2
	default:
		return 3
	}
}

// compareNumbers compares integers exactly: an inode or a limit near 2^64 must
// not be rounded to a float.
func compareNumbers(c, d Cell) int {
	switch {
	case c.kind == float || d.kind == float:
		return cmp.Compare(c.float(), d.float())
	case c.kind == d.kind && c.kind == signed:
		return cmp.Compare(int64(c.bits), int64(d.bits))
	case c.kind == d.kind:
		return cmp.Compare(c.bits, d.bits)
	case c.kind == signed && int64(c.bits) < 0:
		return -1
	case d.kind == signed && int64(d.bits) < 0:
		return 1
	default:
		return cmp.Compare(c.bits, d.bits)
	}
}

// CompareNatural compares text so that runs of digits count as numbers: web2
// comes before web10.
func CompareNatural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		n, m := digits(x), digits(y)
		if n > 0 && m > 0 {
			p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
				return c
			}
			x, y = x[n:], y[m:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	// 1 and 01 are the same number and yet not the same text.
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits returns the length of the run of digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
