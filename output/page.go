package output

import (
	"fmt"
	"io"
	"strings"
)

// Page is everything that a command knows about showing one thing: a first line, and
// sections of facts about it. T is the document, from which JSON and YAML are made.
type Page[T any] struct {
	// Title is the first line. Its cells stand apart by two blanks.
	Title func(*T) []Cell
	// Blocks are the sections, with an empty line between two blocks.
	Blocks [][]Section[T]
	// Name is for the format Name; nil: the thing has none.
	Name func(*T) string
}

// Section is some facts with a name, which stands at the left of the first of them.
// Without facts it is left out.
type Section[T any] struct {
	Name  string
	Facts func(*T) []Fact
}

// Fact is one line of a section, or more where it does not fit. One cell alone is
// text over the whole width. Of several, each but the last stands in a column with
// those of the section's other facts.
type Fact []Cell

// Print writes the page in the format that the options ask for. What is too wide for
// the terminal is wrapped and never cut: at blanks, or else behind a slash.
func (p *Page[T]) Print(w io.Writer, thing *T, o Options) error {
	switch o.Format {
	case JSON:
		return WriteJSON(w, thing, o.Width > 0)
	case NDJSON:
		return WriteJSON(w, thing, false)
	case YAML:
		return WriteYAML(w, thing)
	case Name:
		if p.Name == nil {
			return fmt.Errorf("format name: this page has none")
		}
		return write(w, []byte(Escape(p.Name(thing))+"\n"))
	}
	l := pageLayout{o: o}
	blocks := p.shown(thing)
	for _, block := range blocks {
		for _, section := range block {
			l.names = max(l.names, textWidth(Escape(section.name))+gap+1)
		}
	}
	l.place()
	if p.Title != nil {
		l.paragraph("", 0, p.Title(thing))
	}
	for _, block := range blocks {
		if l.text.Len() > 0 {
			l.text.WriteByte('\n')
		}
		for _, section := range block {
			l.section(Escape(section.name), section.facts)
		}
	}
	return write(w, o.signs([]byte(l.text.String())))
}

// shown is a section that has facts.
type shown struct {
	name  string
	facts []Fact
}

func (p *Page[T]) shown(thing *T) (blocks [][]shown) {
	for _, block := range p.Blocks {
		var list []shown
		for _, section := range block {
			if facts := section.Facts(thing); len(facts) > 0 {
				list = append(list, shown{section.Name, facts})
			}
		}
		if len(list) > 0 {
			blocks = append(blocks, list)
		}
	}
	return blocks
}

// leastBody is how much room facts get beside the names of their sections: with less
// the name has a line of its own.
const leastBody = 40

// pageLayout writes lines of a page.
type pageLayout struct {
	o      Options
	names  int // columns for the names of sections, with the gap
	indent int // of facts
	above  bool
	text   strings.Builder
}

// place settles where facts begin.
func (l *pageLayout) place() {
	l.indent = l.names
	if l.o.Width > 0 && l.o.Width-l.names < leastBody {
		l.above, l.indent = true, gap
	}
}

func (l *pageLayout) section(name string, facts []Fact) {
	lead := name + blanks(l.indent-textWidth(name))
	if l.o.Color {
		lead = Bold.paint(name) + blanks(l.indent-textWidth(name))
	}
	if l.above {
		l.text.WriteString(strings.TrimRight(lead, " ") + "\n")
		lead = blanks(l.indent)
	}
	columns := l.columns(facts)
	for _, fact := range facts {
		l.fact(lead, columns, fact)
		lead = blanks(l.indent)
	}
}

// columns are the widths of the cells that have others to their right: nil if these
// would have no room.
func (l *pageLayout) columns(facts []Fact) []int {
	var widths []int
	for _, fact := range facts {
		for i := range len(fact) - 1 {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], textWidth(l.show(fact[i])))
		}
	}
	const leastLast = 20
	sum := l.indent + leastLast
	for _, w := range widths {
		sum += w + gap
	}
	if l.o.Width > 0 && sum > l.o.Width {
		return nil
	}
	return widths
}

// show is a cell's text, escaped.
func (l *pageLayout) show(c Cell) string {
	if l.o.NoTrunc || l.o.Width <= 0 {
		return Escape(c.data())
	}
	return Escape(c.String())
}

func (l *pageLayout) fact(lead string, columns []int, fact Fact) {
	if len(fact) == 0 {
		return
	}
	if len(fact) > 1 && columns == nil {
		l.paragraph(lead, l.indent, fact)
		return
	}
	l.text.WriteString(lead)
	at, owed := l.indent, 0
	last := len(fact) - 1
	for i, c := range fact[:last] {
		text := l.show(c)
		if text != "" {
			l.text.WriteString(blanks(owed) + l.paint(c, text))
			owed = 0
		}
		owed += columns[i] - textWidth(text) + gap
		at += columns[i] + gap
	}
	for i, line := range l.wrap(l.show(fact[last]), at) {
		if i > 0 {
			owed = at
		}
		if line != "" {
			l.text.WriteString(blanks(owed))
		}
		l.text.WriteString(l.paint(fact[last], line) + "\n")
	}
}

func (l *pageLayout) paint(c Cell, text string) string {
	if !l.o.Color {
		return text
	}
	return c.style.paint(text)
}

// paragraph writes cells one behind the other, with a line's end where it is full.
func (l *pageLayout) paragraph(lead string, indent int, fact Fact) {
	l.text.WriteString(lead)
	column, begun := indent, false
	for i, c := range fact {
		between := gap
		if i == 0 {
			between = 0
		}
		for _, word := range l.words(l.show(c), indent) {
			if word == "" {
				continue
			}
			w := textWidth(word)
			if begun && l.o.Width > 0 && column+between+w > l.o.Width {
				l.text.WriteString("\n" + blanks(indent))
				column, between = indent, 0
			}
			l.text.WriteString(blanks(between) + l.paint(c, word))
			column, between, begun = column+between+w, 1, true
		}
	}
	l.text.WriteByte('\n')
}

// wrap breaks a text into lines that begin at a column.
func (l *pageLayout) wrap(text string, at int) []string {
	if l.o.Width <= 0 || at+textWidth(text) <= l.o.Width {
		return []string{text}
	}
	var lines []string
	line, width := "", 0
	for _, word := range l.words(text, at) {
		w := textWidth(word)
		if line != "" && at+width+1+w > l.o.Width {
			lines = append(lines, strings.TrimRight(line, " "))
			line, width = "", 0
		}
		if line != "" {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+w
	}
	return append(lines, line)
}

// words breaks a text at blanks, and words that no line has room for behind a
// slash, or anywhere.
func (l *pageLayout) words(text string, at int) []string {
	room := max(l.o.Width-at, minCut)
	var list []string
	for word := range strings.SplitSeq(text, " ") {
		for l.o.Width > 0 {
			begin := head(word, room)
			if len(begin) == len(word) {
				break
			}
			if slash := strings.LastIndexByte(begin, '/'); slash > 0 {
				begin = begin[:slash+1]
			}
			if begin == "" { // a rune wider than the room
				break
			}
			list = append(list, begin)
			word = word[len(begin):]
		}
		list = append(list, word)
	}
	return list
}
