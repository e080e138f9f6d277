package output

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Column is one column that rows of type T can be shown by.
type Column[T any] struct {
	// Name is what Options.Columns, SortBy and Filter call the column, in
	// whatever case. In upper case it is the header.
	Name string
	// Title is the header where it is not the name: it may come from outside.
	Title string
	// Help is one line for [View.Help].
	Help string
	// Right aligns the column to the right, for numbers.
	Right bool
	// Cut is how the column gives way when the terminal is too narrow.
	Cut Cut
	// Keep is how many columns of the terminal it keeps as long as others can give way.
	Keep int
	// Value makes the cell of a row. It is called several times for a row
	// that is also sorted and filtered, so it should not compute much.
	Value func(*T) Cell
}

// title is the header.
func (c *Column[T]) title() string {
	if c.Title == "" {
		return strings.ToUpper(c.Name)
	}
	const most = 32
	return cutText(Escape(c.Title), most, CutMiddle)
}

// View is everything that a command knows about showing rows of type T. It is
// never changed by its methods.
type View[T any] struct {
	Columns []Column[T]
	Default []string        // columns of the format Table, in order; all if empty
	Wide    []string        // columns of the format Wide; Default if empty
	Tree    string          // the column that carries the lines of a tree; "" none
	Row     func(*T) Style  // how a row's plain cells look; nil: Plain
	Name    func(*T) string // for the format Name; nil: the rows have no names
}

// Check tells whether the options name a format and columns that exist and
// whether the filter can be read. A command calls it before any work: what it returns is
// wrong usage. (A filter can still turn out to be wrong when it meets the data:
// see [View.Select].)
func (v *View[T]) Check(o Options) error {
	_, err := v.plan(o)
	return err
}

// Select returns the rows that pass the filter, sorted as asked for, so that a
// document shows what the table would. The rows that it is given stay as they
// are.
//
// A filter compares columns with values:
//
//	type == "net" && nprocs > 3 || !(command =~ "^ssh")
//
// The operators are == != < <= > >= (or eq ne lt le gt ge), =~ and !~ for
// regular expressions, && || ! (or and, or, not) and parentheses; && binds
// closer than ||. A value stands in double or single quotes, or bare if it has
// no blanks, quotes or operators in it. A number may end in K, M, G, T or P for
// powers of 1024. A column alone is true unless its cell is empty, None or 0.
//
// A cell with a number is compared as a number. To order one against something
// else (nprocs > many) is an error; == and != then compare what is shown. Other
// cells are compared as text, in the natural order that has web2 before web10.
// A cell that is None equals "" and "-", and is neither less nor greater than
// anything. One that is Unknown equals "?"; with every other test, and its
// negation, the row does not pass.
func (v *View[T]) Select(rows []T, o Options) ([]T, error) {
	p, err := v.plan(o)
	if err != nil {
		return nil, err
	}
	refs, err := p.choose(pointers(rows))
	if err != nil {
		return nil, err
	}
	chosen := make([]T, len(refs))
	for i, r := range refs {
		chosen[i] = *r
	}
	return chosen, nil
}

// Print writes the rows in one of the formats Table, Wide and Name.
func (v *View[T]) Print(w io.Writer, rows []T, o Options) error {
	p, err := v.plan(o)
	if err != nil {
		return err
	}
	chosen, err := p.choose(pointers(rows))
	if err != nil {
		return err
	}
	return p.print(w, chosen, nil)
}

// Help describes the columns, one a line, for the help of a command. A star
// marks the default ones.
func (v *View[T]) Help() string {
	widest := 0
	for _, c := range v.Columns {
		widest = max(widest, len(c.Name))
	}
	var b strings.Builder
	for _, c := range v.Columns {
		mark := " "
		if slices.Contains(v.Default, c.Name) {
			mark = "*"
		}
		line := "  " + mark + " " + c.Name + blanks(widest-len(c.Name)+gap) + c.Help
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// Names lists the names of the columns.
func (v *View[T]) Names() []string { return v.names() }

// plan is what the options ask of a view, with names resolved.
type plan[T any] struct {
	view    *View[T]
	options Options
	columns []int // indices into view.Columns
	sortBy  int   // index into view.Columns, or -1
	descend bool
	filter  predicate // nil: every row
}

func (v *View[T]) plan(o Options) (*plan[T], error) {
	if _, err := ParseFormat(string(o.Format)); err != nil && o.Format != "" {
		return nil, err
	}
	if o.Format == Name && v.Name == nil {
		return nil, errors.New("format name: these rows have no names")
	}
	p := &plan[T]{view: v, options: o, sortBy: -1}
	var err error
	if p.columns, err = v.choice(o); err != nil {
		return nil, err
	}
	if o.SortBy != "" {
		name, descend := strings.CutPrefix(o.SortBy, "-")
		if p.sortBy, err = v.names().find(name); err != nil {
			return nil, &OptionError{"sort-by", err}
		}
		p.descend = descend
	}
	if o.Filter != "" {
		if p.filter, err = parseFilter(o.Filter, v.names()); err != nil {
			return nil, &OptionError{"filter", err}
		}
	}
	return p, nil
}

// choice returns the columns to show. Like lsblk's -o, a list that begins with
// "+" adds to the default columns and any other list replaces them.
func (v *View[T]) choice(o Options) ([]int, error) {
	known := v.names()
	wanted := v.Default
	if o.Format == Wide && len(v.Wide) > 0 {
		wanted = v.Wide
	}
	if len(wanted) == 0 {
		wanted = known
	}
	if o.Columns != "" {
		given := strings.Split(o.Columns, ",")
		if strings.HasPrefix(o.Columns, "+") {
			given = append(slices.Clone(wanted), given...)
		}
		wanted = given
	}
	var columns []int
	for _, name := range wanted {
		i, err := known.find(strings.TrimPrefix(strings.TrimSpace(name), "+"))
		if err != nil {
			return nil, &OptionError{"columns", err}
		}
		if !slices.Contains(columns, i) {
			columns = append(columns, i)
		}
	}
	return columns, nil
}

// OptionError is about an option that a view cannot follow.
type OptionError struct {
	// Option is "columns", "sort-by" or "filter".
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap is what is wrong with it.
func (e *OptionError) Unwrap() error { return e.Err }

// names are the names of a view's columns.
type names []string

func (v *View[T]) names() names {
	n := make(names, len(v.Columns))
	for i, c := range v.Columns {
		n[i] = c.Name
	}
	return n
}

// find returns the index of the column that has that name in any case.
func (n names) find(name string) (int, error) {
	for i, known := range n {
		if strings.EqualFold(known, name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no column %q: there are %s", name, strings.Join(n, ", "))
}

// choose filters and sorts.
func (p *plan[T]) choose(rows []*T) ([]*T, error) {
	if p.filter != nil {
		kept := rows[:0]
		for _, r := range rows {
			ok, err := p.match(r)
			if err != nil {
				return nil, err
			}
			if ok {
				kept = append(kept, r)
			}
		}
		rows = kept
	}
	sortRows(p, rows, func(r *T) *T { return r })
	return rows, nil
}

func (p *plan[T]) match(r *T) (bool, error) {
	v, err := p.filter(func(i int) Cell { return p.view.Columns[i].Value(r) })
	if err != nil {
		return false, &OptionError{"filter", err}
	}
	return v == yes, nil
}

// sortRows sorts items by the cells of their rows; equal ones keep their order.
func sortRows[T, E any](p *plan[T], items []E, row func(E) *T) {
	if p.sortBy < 0 {
		return
	}
	type keyed struct {
		key  Cell
		item E
	}
	all := make([]keyed, len(items))
	for i, item := range items {
		all[i] = keyed{p.view.Columns[p.sortBy].Value(row(item)), item}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		if p.descend {
			a, b = b, a
		}
		return a.key.compare(b.key)
	})
	for i, k := range all {
		items[i] = k.item
	}
}

// print writes rows that are chosen already. leads, if any, are the lines of a
// tree in front of each row.
func (p *plan[T]) print(w io.Writer, rows []*T, leads []string) error {
	switch {
	case !p.options.Format.Tabular():
		return fmt.Errorf("format %s is a document, not a table", p.options.Format)
	case p.options.Format == Name:
		return p.printNames(w, rows)
	}
	t := &table{headings: make([]heading, len(p.columns)), rows: make([][]field, len(rows))}
	carrier := -1 // the column with the lines of the tree
	for i, c := range p.columns {
		column := p.view.Columns[c]
		if leads != nil && strings.EqualFold(column.Name, p.view.Tree) {
			carrier = i
		}
		t.headings[i] = heading{
			title: column.title(),
			right: column.Right && i != carrier, // the lines stand at the left
			cut:   column.Cut,
			keep:  column.Keep,
		}
	}
	fields := make([]field, len(rows)*len(p.columns))
	for n, row := range rows {
		line := fields[n*len(p.columns):][:len(p.columns):len(p.columns)]
		p.fill(line, row)
		if carrier >= 0 {
			line[carrier].lead = leads[n]
		}
		t.rows[n] = line
	}
	return t.print(w, p.options)
}

// fill makes the fields of a row.
func (p *plan[T]) fill(line []field, row *T) {
	whole := p.options.NoTrunc || p.options.Width <= 0
	style := Plain
	if p.view.Row != nil {
		style = p.view.Row(row)
	}
	for i, c := range p.columns {
		cell := p.view.Columns[c].Value(row)
		if cell.style == Plain {
			cell.style = style
		}
		if cell.rest != "" && p.options.Width > 0 {
			line[i] = field{text: Escape(cell.rest), style: cell.style, rest: true}
			return
		}
		text := cell.String()
		if whole {
			text = cell.shownWhole()
		}
		line[i] = field{text: Escape(text), style: cell.style}
	}
}

func (p *plan[T]) printNames(w io.Writer, rows []*T) error {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(Escape(p.view.Name(r)))
		b.WriteByte('\n')
	}
	return write(w, []byte(b.String()))
}

func pointers[T any](rows []T) []*T {
	refs := make([]*T, len(rows))
	for i := range rows {
		refs[i] = &rows[i]
	}
	return refs
}

// write writes all of b at once. Nothing to write is not written.
func write(w io.Writer, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
