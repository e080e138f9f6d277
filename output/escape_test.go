package output

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain text ~!", "plain text ~!"},
		{"\x1b[2J", `\x1b[2J`},
		{"a\nb\tc\rd", `a\x0ab\x09c\x0dd`},
		{"\x00\x07\x7f", `\x00\x07\x7f`},
		{"Größe 日本語 🦀 é", "Größe 日本語 🦀 é"},
		{"\xff\xfe", `\xff\xfe`},
		{"cut\xe6\x97", `cut\xe6\x97`},
		{"\ufffd", "\ufffd"}, // the character itself is valid, unlike an invalid byte
		{"\u009b31m", `\u009b31m`},
		{"user\u202etxt.exe", `user\u202etxt.exe`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"line\u2028end", `line\u2028end`},
		{"no\u00a0break", `no\u00a0break`},
		{"filler\u3164", `filler\u3164`},
		{"heart\ufe0f", `heart\ufe0f`},
		{"tag\U000e0041", `tag\U000e0041`},
		{`dev-disk-by\x2duuid`, `dev-disk-by\x2duuid`},
		{`C:\new`, `C:\new`},
		{"\xed\xa0\x80", `\xed\xa0\x80`}, // a surrogate in UTF-8
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestEscapeOfCleanTextDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"/usr/lib/systemd/systemd --system", "Größe 日本語 é"} {
		if n := testing.AllocsPerRun(100, func() { Escape(s) }); n != 0 {
			t.Errorf("Escape(%q) allocates %v times", s, n)
		}
	}
}

// TestEscapeOfEveryRune looks at all of Unicode, by rules written differently
// from those of the code.
func TestEscapeOfEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		checkSafe(t, Escape(string(r)))
	}
	for b := range 256 {
		checkSafe(t, Escape(string([]byte{'a', byte(b), 'z'})))
	}
}

// checkSafe fails if s holds anything that steers a terminal.
func checkSafe(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%q is not valid UTF-8", s)
	}
	for _, r := range s {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0,
			r == 0xad, r == 0x61c, r == 0xfeff, r == 0x3164, r == 0xffa0, r == 0x34f,
			r >= 0x200b && r <= 0x200f, // zero width, marks
			r >= 0x2028 && r <= 0x202e, // separators, embeddings, overrides
			r >= 0x2060 && r <= 0x206f, // joiners, isolates
			r >= 0xfe00 && r <= 0xfe0f, r >= 0xfff9 && r <= 0xfffb,
			r >= 0xe0000 && r <= 0xe0fff,
			unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Cc, r):
			t.Errorf("%q holds %U", s, r)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "sh", "\x1b]0;title\x07", "\u202e", "\xff", `\x1b`, "日本", "\xc2\x9b", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		checkSafe(t, got)
		if again := Escape(got); again != got {
			t.Errorf("escaping %q again gives %q", got, again)
		}
		if strings.Count(got, `\`) < strings.Count(s, `\`) {
			t.Errorf("%q lost a backslash: %q", s, got)
		}
	})
}
