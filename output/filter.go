package output

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// predicate tells whether a row passes the filter. cell returns its cells by
// the index of their column.
type predicate func(cell func(column int) Cell) (verdict, error)

// verdict is what a filter says of a row. Whether something that is not known
// passes is not known either, nor whether it does not: a row passes on yes alone.
type verdict uint8

const (
	no verdict = iota
	unclear
	yes
)

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// parseFilter reads a filter; [View.Select] describes the language. It is
// modelled on scols-filter(5) of util-linux:
//
//	or    = and { "||" and }
//	and   = not { "&&" not }
//	not   = "!" not | "(" or ")" | test
//	test  = column [ operator value ]
func parseFilter(s string, columns names) (predicate, error) {
	p := &parser{input: s, columns: columns}
	if err := p.advance(); err != nil {
		return nil, err
	}
	filter, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.kind != tokenEnd {
		return nil, p.errorf("expected an operator, && or || before %q", p.raw())
	}
	return filter, nil
}

// parser reads a filter by recursive descent, one token ahead.
type parser struct {
	input   string
	columns names

	kind  tokenKind // of the current token
	text  string    // operators as symbols, words and strings as they are meant
	start int       // where the current token begins
	next  int       // where the next one is looked for
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenString
	tokenSymbol
)

func (p *parser) or() (predicate, error) {
	left, err := p.and()
	for err == nil && p.symbol("||", "or") {
		if err = p.advance(); err != nil {
			break
		}
		var right predicate
		if right, err = p.and(); err != nil {
			break
		}
		left = either(left, right)
	}
	return left, err
}

func (p *parser) and() (predicate, error) {
	left, err := p.not()
	for err == nil && p.symbol("&&", "and") {
		if err = p.advance(); err != nil {
			break
		}
		var right predicate
		if right, err = p.not(); err != nil {
			break
		}
		left = both(left, right)
	}
	return left, err
}

func (p *parser) not() (predicate, error) {
	switch {
	case p.symbol("!", "not"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.not()
		return negated(inner), err
	case p.symbol("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, p.errorf("expected )")
		}
		return inner, p.advance()
	default:
		return p.test()
	}
}

func (p *parser) test() (predicate, error) {
	if p.kind != tokenWord {
		return nil, p.errorf("expected a column: there are %s", strings.Join(p.columns, ", "))
	}
	column, err := p.columns.find(p.text)
	if err != nil {
		return nil, p.errorf("%w", err)
	}
	name := p.text
	if err := p.advance(); err != nil {
		return nil, err
	}
	operator := p.operator()
	if operator == "" {
		return func(cell func(int) Cell) (verdict, error) {
			c := cell(column)
			if c.kind == unknown {
				return unclear, nil
			}
			return verdictOf(c.truth()), nil
		}, nil
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.kind != tokenWord && p.kind != tokenString {
		return nil, p.errorf("expected a value after %s", operator)
	}
	if operator == "=~" || operator == "!~" {
		re, err := regexp.Compile(p.text)
		if err != nil {
			return nil, p.errorf("%w", err)
		}
		want := operator == "=~"
		return func(cell func(int) Cell) (verdict, error) {
			c := cell(column)
			if c.kind == unknown {
				return unclear, nil
			}
			return verdictOf(re.MatchString(c.data()) == want), nil
		}, p.advance()
	}
	value := operand(p.text)
	return func(cell func(int) Cell) (verdict, error) {
		c := cell(column)
		asked := value.text == "?" && (operator == "==" || operator == "!=")
		switch {
		case c.kind == unknown && !asked:
			return unclear, nil
		case c.kind == unknown:
			return verdictOf(operator == "=="), nil
		}
		ok, err := value.test(c, operator)
		if err != nil {
			return no, fmt.Errorf("%s %s %q: %w", name, operator, value.text, err)
		}
		return verdictOf(ok), nil
	}, p.advance()
}

func either(a, b predicate) predicate {
	return func(cell func(int) Cell) (verdict, error) {
		first, err := a(cell)
		if first == yes || err != nil {
			return first, err
		}
		second, err := b(cell)
		return max(first, second), err
	}
}

func both(a, b predicate) predicate {
	return func(cell func(int) Cell) (verdict, error) {
		first, err := a(cell)
		if first == no || err != nil {
			return first, err
		}
		second, err := b(cell)
		return min(first, second), err
	}
}

func negated(a predicate) predicate {
	return func(cell func(int) Cell) (verdict, error) {
		v, err := a(cell)
		return yes - v, err
	}
}

// symbol tells whether the current token is one of the given symbols or words.
func (p *parser) symbol(spellings ...string) bool {
	for _, s := range spellings {
		if p.kind == tokenSymbol && p.text == s || p.kind == tokenWord && strings.EqualFold(p.text, s) {
			return true
		}
	}
	return false
}

// operator returns the comparison that the current token is, or "".
func (p *parser) operator() string {
	for _, o := range []struct{ symbol, word string }{
		{"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}, {"=~", ""}, {"!~", ""},
	} {
		if p.symbol(o.symbol, o.word) {
			return o.symbol
		}
	}
	return ""
}

// advance reads the next token.
func (p *parser) advance() error {
	for p.next < len(p.input) && strings.IndexByte(" \t\n\r", p.input[p.next]) >= 0 {
		p.next++
	}
	p.start = p.next
	rest := p.input[p.start:]
	if rest == "" {
		p.kind, p.text = tokenEnd, ""
		return nil
	}
	if rest[0] == '"' || rest[0] == '\'' {
		return p.quoted(rest[0])
	}
	for _, s := range []string{"==", "!=", "<=", ">=", "=~", "!~", "&&", "||", "<", ">", "!", "(", ")"} {
		if strings.HasPrefix(rest, s) {
			p.kind, p.text = tokenSymbol, s
			p.next += len(s)
			return nil
		}
	}
	length := strings.IndexAny(rest, " \t\n\r\"'()=!<>&|~")
	switch length {
	case -1:
		length = len(rest)
	case 0:
		return p.errorf("%q is no operator: there are == != < <= > >= =~ !~ && || !", rest[:1])
	}
	p.kind, p.text = tokenWord, rest[:length]
	p.next += length
	return nil
}

// quoted reads a string. A backslash takes the meaning from a quote or another
// backslash; before anything else it is itself, so that "\d+" can be written.
func (p *parser) quoted(quote byte) error {
	var b strings.Builder
	for i := p.start + 1; i < len(p.input); i++ {
		c := p.input[i]
		if c == quote {
			p.kind, p.text, p.next = tokenString, b.String(), i+1
			return nil
		}
		if c == '\\' && i+1 < len(p.input) && (p.input[i+1] == quote || p.input[i+1] == '\\') {
			i++
			c = p.input[i]
		}
		b.WriteByte(c)
	}
	return p.errorf("the string that begins here does not end")
}

// raw returns the current token as it was written.
func (p *parser) raw() string { return p.input[p.start:p.next] }

// errorf returns an error at the current token.
func (p *parser) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if p.start >= len(p.input) {
		return fmt.Errorf("at the end of %q: %w", p.input, err)
	}
	return fmt.Errorf("at %q (character %d): %w", p.input[p.start:], utf8.RuneCountInString(p.input[:p.start])+1, err)
}

// value is the right side of a comparison: text, and a number if it is one.
type value struct {
	text   string
	number Cell // None if it is no number
}

func operand(s string) value {
	return value{text: s, number: parseNumber(s)}
}

// parseNumber reads a decimal number, perhaps with a suffix for a power of 1024.
func parseNumber(s string) Cell {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int(n)
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return Uint(n)
	}
	if s == "" {
		return None()
	}
	factor := 1.0
	if power := strings.IndexByte("KMGTP", s[len(s)-1]&^0x20); power >= 0 {
		factor = float64(uint64(1) << (10 * (power + 1)))
		s = s[:len(s)-1]
	}
	// ParseFloat also takes inf, nan, 0x1p-2 and 1_000, which nobody means.
	if strings.Trim(s, "+-.0123456789eE") != "" {
		return None()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return None()
	}
	return Float(f * factor)
}

// test compares a cell with the value.
func (v value) test(c Cell, operator string) (bool, error) {
	order := 0
	switch {
	case c.kind == none:
		empty := v.text == "" || v.text == "-"
		return operator == "==" && empty || operator == "!=" && !empty, nil
	case c.number() && v.number.number():
		order = compareNumbers(c, v.number)
	case operator == "==":
		return c.String() == v.text || c.data() == v.text, nil
	case operator == "!=":
		return c.String() != v.text && c.data() != v.text, nil
	case c.number():
		return false, fmt.Errorf("the column has numbers, and that is none")
	default:
		order = CompareNatural(c.data(), v.text)
	}
	switch operator {
	case "==":
		return order == 0, nil
	case "!=":
		return order != 0, nil
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}
