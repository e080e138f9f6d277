package output

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes s safe to print on a terminal. What a terminal would not simply
// draw is shown in the notation of Go and C:
//
//   - control characters, and bytes that are not valid UTF-8, as \x1b, \x0a, \xff;
//   - other characters that are invisible or steer the layout (bidirectional
//     and zero-width marks, C1 controls, line separators, blanks other than the
//     space, unassigned and private characters) as \u202e or \U000e0001.
//
// A backslash stays as it is, because the names of systemd units and their
// cgroups are full of them (dev-disk-by\x2duuid) and must survive being copied
// from the screen. So a name that really consists of a backslash, an x, a 1 and
// a b looks like one with an escape byte; the document formats tell them apart.
//
// Escape returns s itself if there is nothing to escape.
func Escape(s string) string {
	clean := plainASCII(s)
	if clean == len(s) {
		return s
	}
	for clean < len(s) {
		r, size := utf8.DecodeRuneInString(s[clean:])
		if !drawable(r, size) {
			return s[:clean] + escapeFrom(s[clean:])
		}
		clean += size
	}
	return s
}

func escapeFrom(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case drawable(r, size):
			b.WriteString(s[i : i+size])
		case size == 1: // a control character or an invalid byte
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// plainASCII returns the length of the prefix of s that is printable ASCII.
func plainASCII(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return i
		}
	}
	return len(s)
}

// drawable tells whether a terminal draws r, which was decoded from size bytes,
// as itself.
func drawable(r rune, size int) bool {
	if r == utf8.RuneError && size == 1 {
		return false
	}
	// IsPrint leaves out what Unicode calls default ignorable although it
	// counts as letter or mark: fillers, joiners, variation selectors.
	return unicode.IsPrint(r) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
