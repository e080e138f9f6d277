package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteJSON writes doc as one JSON document and a newline: indented for eyes,
// or in one line for programs.
//
// Beyond what JSON demands, every character that [Escape] would not let through
// is written as \u…, so that a document is safe on a terminal as well. It reads
// back as the same text, with U+FFFD for each byte that is not valid UTF-8.
func WriteJSON(w io.Writer, doc any, indent bool) error {
	b, err := marshal(doc)
	if err != nil {
		return err
	}
	if indent {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, b, "", "  "); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
		b = pretty.Bytes()
	}
	return write(w, append(b, '\n'))
}

// WriteJSONList writes a document as WriteJSON does: the fields of head, which is
// a JSON object with some, and a field with a list. Memory holds one item of it as
// JSON, not all.
func WriteJSONList[T any](w io.Writer, head any, field string, items []T, indent bool) error {
	fields, err := members(head)
	if err != nil {
		return err
	}
	name, err := marshal(field)
	if err != nil {
		return err
	}
	// The pieces between: of the document, and of its items.
	begin, between, end := "", ",", "]}\n"
	const inner = "    "
	list := fmt.Sprintf("{%s,%s:[", fields, name)
	if indent {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, []byte(list+"]}"), "", "  "); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
		list, _, _ = strings.Cut(pretty.String(), "]\n}")
		end = "]\n}\n"
		if len(items) > 0 {
			begin, between, end = "\n"+inner, ",\n"+inner, "\n  ]\n}\n"
		}
	}
	if err := write(w, []byte(list+begin)); err != nil {
		return err
	}
	for i, item := range items {
		b, err := marshal(item)
		if err != nil {
			return err
		}
		if indent {
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, b, inner, "  "); err != nil {
				return fmt.Errorf("writing JSON: %w", err)
			}
			b = pretty.Bytes()
		}
		if i > 0 {
			b = append([]byte(between), b...)
		}
		if err := write(w, b); err != nil {
			return err
		}
	}
	return write(w, []byte(end))
}

// WriteNDJSON writes one JSON object a line for each item: the fields of head,
// then those of the item. So every line says by itself what it is and where it
// is from, and the lines of many machines can be thrown together. head may be
// nil. Head and items must be JSON objects; where they have a field in common,
// both are written and most readers take the item's.
func WriteNDJSON[T any](w io.Writer, head any, items []T) error {
	prefix, err := members(head)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	for i := range items {
		own, err := members(&items[i])
		if err != nil {
			return err
		}
		buf.WriteByte('{')
		buf.Write(prefix)
		if len(prefix) > 0 && len(own) > 0 {
			buf.WriteByte(',')
		}
		buf.Write(own)
		buf.WriteString("}\n")
	}
	return write(w, buf.Bytes())
}

// members returns what is between the braces of v as a JSON object.
func members(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	if b[0] != '{' {
		return nil, fmt.Errorf("writing NDJSON: %T is not an object", v)
	}
	return b[1 : len(b)-1], nil
}

// marshal returns v as compact JSON in which no character needs escaping on a
// terminal.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // people read the < and > of command lines
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return escapeRunes(bytes.TrimSuffix(buf.Bytes(), []byte("\n")), appendJSONRune), nil
}

// escapeRunes replaces the runes above ASCII and DEL that a terminal does not
// simply draw, which in JSON and YAML occur within quotes only.
func escapeRunes(b []byte, escape func([]byte, rune) []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf && c != 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if !drawable(r, size) {
			out = escape(append(out, b[done:i]...), r)
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return b
	}
	return append(out, b[done:]...)
}

// appendJSONRune appends r as RFC 8259, section 7 has it: above the Basic
// Multilingual Plane as a surrogate pair.
func appendJSONRune(b []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		return fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
	}
	return fmt.Appendf(b, `\u%04x`, r)
}
