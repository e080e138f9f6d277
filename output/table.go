package output

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/olekukonko/ll"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"
)

// table is what is left of a view and its rows when only the looks matter.
type table struct {
	headings []heading
	rows     [][]field
}

type heading struct {
	title string
	right bool
	cut   Cut
	keep  int
}

// field is one cell, escaped.
type field struct {
	lead  string // the lines of a tree
	text  string
	style Style
	rest  bool // it takes the rest of the line
}

func (t *table) print(w io.Writer, o Options) error {
	widths := t.layout(o)
	if len(t.rows) == 0 && o.NoHeaders {
		return nil
	}
	var buf bytes.Buffer
	// tablewriter measures, splits and joins every cell that it is given, which
	// takes ten times as long as all of our own work. So it gets one empty mark for
	// many rows, and our renderer prints the rows themselves.
	l := &lines{table: t, widths: widths, color: o.Color}
	if !o.NoTrunc {
		l.most = o.Width
	}
	writer := newTablewriter(&buf, l)
	mark := []string{""}
	if !o.NoHeaders {
		writer.Header(mark)
	}
	for range slices.Chunk(t.rows, rowsPerMark) {
		if err := writer.Append(mark); err != nil {
			return fmt.Errorf("composing the table: %w", err)
		}
	}
	if err := writer.Render(); err != nil {
		return fmt.Errorf("composing the table: %w", err)
	}
	return write(w, o.signs(buf.Bytes()))
}

// rowsPerMark is how many rows a mark stands for.
const rowsPerMark = 64

// layout returns the width of each column and cuts the fields that are wider.
func (t *table) layout(o Options) []int {
	wide := make([]int, len(t.headings))
	least := make([]int, len(t.headings))
	for i, h := range t.headings {
		if !o.NoHeaders {
			wide[i] = textWidth(h.title)
			least[i] = wide[i]
		}
		for _, row := range t.rows {
			if row[i].rest {
				continue
			}
			lead, text := textWidth(row[i].lead), textWidth(row[i].text)
			wide[i] = max(wide[i], lead+text)
			if h.cut != CutNever && !isNumbered(row[i].text) {
				text = min(text, minCut)
			}
			least[i] = max(least[i], lead+text)
		}
	}
	if o.Width <= 0 || o.NoTrunc {
		return wide
	}
	keep := make([]int, len(t.headings))
	for i, h := range t.headings {
		keep[i] = max(least[i], min(h.keep, wide[i]))
	}
	widths := fit(wide, keep, o.Width)
	squeeze(widths, least, o.Width)
	start := 0 // of the column
	for i, h := range t.headings {
		for _, row := range t.rows {
			f := &row[i]
			if f.rest {
				f.text = cutText(f.text, max(o.Width-start, minCut), CutEnd)
				continue
			}
			if widths[i] == wide[i] {
				continue
			}
			f.text = cutText(f.text, widths[i]-textWidth(f.lead), h.cut)
		}
		start += widths[i] + gap
	}
	return widths
}

// newTablewriter sets tablewriter up to hand cells on as they are: without
// options it would upper-case, trim, wrap and pad them.
func newTablewriter(w io.Writer, r tw.Renderer) *tablewriter.Table {
	return tablewriter.NewTable(w,
		tablewriter.WithRenderer(r),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithPadding(tw.PaddingNone),
	)
}

// lines is the tablewriter renderer for tables without borders. The stock one
// measures text by the locale of the process and cuts what then seems too wide,
// leaves blanks at the ends of lines, and ignores write errors.
type lines struct {
	table  *table
	widths []int
	most   int // how wide a line may get, 0 for any
	color  bool

	w   *bytes.Buffer
	row int // that comes next
}

var _ tw.Renderer = (*lines)(nil)

// Start is called with the writer that tablewriter was given.
func (l *lines) Start(w io.Writer) error {
	buf, ok := w.(*bytes.Buffer)
	if !ok {
		return fmt.Errorf("lines go to a buffer, not to %T", w)
	}
	l.w = buf
	return nil
}

// Header writes the headings.
func (l *lines) Header([][]string, tw.Formatting) {
	fields := make([]field, len(l.table.headings))
	for i, h := range l.table.headings {
		fields[i] = field{text: h.title, style: Bold}
	}
	l.line(fields)
}

// Row writes the next rows, those of one mark.
func (l *lines) Row([]string, tw.Formatting) {
	rest := l.table.rows[l.row:]
	for _, row := range rest[:min(len(rest), rowsPerMark)] {
		l.line(row)
		l.row++
	}
}

// line writes fields in their columns.
func (l *lines) line(fields []field) {
	owed := 0 // blanks, written only when something follows
	at := 0   // the column
	for i, f := range fields {
		width := l.widths[i]
		if l.most > 0 {
			room := l.most - at
			if room <= 0 {
				break
			}
			width = min(width, room)
			if !f.rest && width < l.widths[i] {
				f = f.within(width, l.table.headings[i].cut)
			}
			at += l.widths[i] + gap
		}
		pad := width - textWidth(f.lead) - textWidth(f.text)
		if f.rest {
			pad = 0
		}
		if l.table.headings[i].right {
			owed, pad = owed+pad, 0
		}
		if f.lead != "" || f.text != "" {
			l.w.WriteString(blanks(owed))
			owed = 0
		}
		if l.color {
			f.lead, f.text = Dim.paint(f.lead), f.style.paint(f.text)
		}
		l.w.WriteString(f.lead)
		l.w.WriteString(f.text)
		owed += pad + gap
	}
	l.w.WriteByte('\n')
}

// within cuts a field of a line that is too long though all columns gave way, for it
// must not wrap. Half of a number would be another one.
func (f field) within(width int, how Cut) field {
	room := width - textWidth(f.lead)
	switch {
	case room <= 0:
		return field{lead: head(f.lead, width), style: f.style}
	case textWidth(f.text) <= room:
	case how == CutNever:
		f.text = ellipsis
	default:
		f.text = cutText(f.text, room, CutEnd)
	}
	return f
}

// Config says that there are no borders and separators.
func (l *lines) Config() tw.Rendition {
	return tw.Rendition{
		Borders:  tw.BorderNone,
		Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
	}
}

// Footer would write a footer.
func (l *lines) Footer([][]string, tw.Formatting) {}

// Line would write a ruler.
func (l *lines) Line(tw.Formatting) {}

// Close ends the table.
func (l *lines) Close() error { return nil }

// Logger would receive traces.
func (l *lines) Logger(*ll.Logger) {}
