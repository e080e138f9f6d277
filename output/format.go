package output

import (
	"fmt"
	"strings"
)

// Format is one of the words that -o takes.
type Format string

// The formats. The empty Format means Table.
const (
	Table  Format = "table"  // the columns that matter most
	Wide   Format = "wide"   // more columns
	JSON   Format = "json"   // one document
	NDJSON Format = "ndjson" // one object a line
	YAML   Format = "yaml"   // one document
	Name   Format = "name"   // one name a line
)

// Formats lists all formats, in the order that help texts show them.
func Formats() []Format {
	return []Format{Table, Wide, JSON, NDJSON, YAML, Name}
}

// ParseFormat returns the format that s names.
func ParseFormat(s string) (Format, error) {
	var words []string
	for _, f := range Formats() {
		if s == string(f) {
			return f, nil
		}
		words = append(words, string(f))
	}
	return "", fmt.Errorf("unknown output format %q: use one of %s", s, strings.Join(words, ", "))
}

// Tabular tells whether f is shown by [View.Print] and [View.PrintTree]; the
// other formats are documents.
func (f Format) Tabular() bool {
	return f == "" || f == Table || f == Wide || f == Name
}

// Options are the output flags of a command. The zero value prints the default
// columns in the order of the rows, uncut and without colours.
type Options struct {
	Format    Format
	Columns   string // "a,b" replaces the default columns, "+c" adds to them
	NoHeaders bool
	SortBy    string // a column; "-column" sorts descending
	Filter    string // an expression, see [View.Select]
	NoTrunc   bool
	Width     int // columns of the terminal; 0 if there is none: nothing is cut
	Color     bool
	// ASCII draws lines and signs by ASCII's, for a locale without UTF-8.
	ASCII bool
}
