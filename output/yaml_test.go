package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func writtenYAML(t *testing.T, doc any) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteYAML(&b, doc); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readYAML(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(b, &v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

// TestYAML: the same fields as in TestJSON, in the same order, no number
// rounded.
func TestYAML(t *testing.T) {
	const want = `schema: nsx/test/1
id: 18446744073709551615
least: -9223372036854775808
share: 0.5
none: null
ok: true
empty: []
names:
  - <a & b>
  - "\e[2J"
  - "日本\u202e"
  - "tag\U000E0041"
ns:
  mnt: 9007199254740993
  net: 4026531840
`
	if got := writtenYAML(t, someDocument()); got != want {
		t.Errorf("written\n%s\nwant\n%s", got, want)
	}
	for _, c := range []struct {
		doc  any
		want string
	}{
		{nil, "null\n"},
		{[]int{}, "[]\n"},
		{struct{}{}, "{}\n"},
		{[]any{[]int{1, 2}, map[string]int{"a": 1}, map[string]int{}}, "- - 1\n  - 2\n- a: 1\n- {}\n"},
		{"text", "text\n"},
	} {
		if got := writtenYAML(t, c.doc); got != c.want {
			t.Errorf("%+v is written as %q, want %q", c.doc, got, c.want)
		}
	}
}

// plain11 is what YAML 1.1 readers take for something else than text if it is
// not quoted: https://yaml.org/type/ (bool, float, int, merge, null, timestamp,
// value), with the numbers in base 60 and the octal ones that 1.2 dropped.
var plain11 = regexp.MustCompile(`^(?:` +
	`y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF` +
	`|[-+]?(?:[0-9][0-9_]*)?\.[0-9.]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*` +
	`|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)` +
	`|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+` +
	`|<<|=|~|null|Null|NULL|` +
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*` +
	`)$`)

// TestYAMLTraps: text stays text, for readers of YAML 1.1 and 1.2, as a value
// and as a key.
func TestYAMLTraps(t *testing.T) {
	for _, s := range []string{
		"", " ", " lead", "trail ", "a: b", "a:", ":", "- x", "-", "--", "---", "...", "? x", "?", "a #b", "#a", "@a", "`a", "%a",
		"!a", "&a", "*a", "|", ">", "[a]", "{a}", "a,b", "]", "}", "'a'", "\"a\"", "a'b", `a\b`, `\x1b`, "\t", "a\tb",
		"a\nb", "a\n", "\n", "\r\n", "\u0085", "\u2028", "\ufeff", "\x00", "\x7f", "\u00a0",
		"y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
		"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~", "=", "<<",
		"0", "1", "-1", "+1", "012", "0o12", "0x1F", "0b1", "1_000", "1.5", "1.", ".5", "1e3", "1E3", "1.5e+3", "+.5", "1:30", "1:30:00.5", "190:20:30",
		".inf", "-.Inf", "+.INF", ".nan", ".NaN", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "18446744073709551616", "0.", "00", "08",
		strings.Repeat("long ", 100), strings.Repeat("key", 100), strings.Repeat("é\x1b ", 60),
	} {
		text := writtenYAML(t, map[string]any{"value": s, "k" + s: 1, s: []string{s}})
		got, ok := readYAML(t, []byte(text)).(map[string]any)
		if !ok || got["value"] != s || got["k"+s] != 1 || !reflect.DeepEqual(got[s], []any{s}) {
			t.Errorf("%q is written as\n%s\nand reads back as %#v", s, text, got)
		}
		if alone := strings.TrimSuffix(writtenYAML(t, s), "\n"); plain11.MatchString(alone) {
			t.Errorf("%q is written as %s, which YAML 1.1 does not take for text", s, alone)
		}
	}
}

// TestYAMLNumbers: a number stays a number, and the same one. YAML 1.1 knows
// floats by their point, and their exponents by a sign.
func TestYAMLNumbers(t *testing.T) {
	float11 := regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?$|^[-+]?[0-9]+\.[0-9]+[eE][-+][0-9]+$`)
	for _, c := range []struct {
		number any
		want   string
	}{
		{0, "0"},
		{-1, "-1"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{1.5, "1.5"},
		{1e20, "100000000000000000000.0"},
		{1e21, "1.0e+21"},
		{-1.5e300, "-1.5e+300"},
		{1e-7, "1.0e-7"},
		{math.SmallestNonzeroFloat64, "5.0e-324"},
		{json.Number("1E5"), "1.0E+5"},
	} {
		got := strings.TrimSuffix(writtenYAML(t, c.number), "\n")
		if got != c.want {
			t.Errorf("%v is written as %s, want %s", c.number, got, c.want)
		}
		if !float11.MatchString(got) {
			t.Errorf("%v is written as %s, which YAML 1.1 takes for text", c.number, got)
		}
		if f, ok := c.number.(float64); ok {
			var back float64
			if err := yaml.Unmarshal([]byte(got), &back); err != nil || back != f {
				t.Errorf("%v is written as %s and reads back as %v, %v", f, got, back, err)
			}
		}
	}
}

// TestFieldOrder: JSON and YAML have the same fields in the same order.
func TestFieldOrder(t *testing.T) {
	type inner struct{ Z, A, M int }
	type outer struct {
		Zulu  int
		Alpha []inner
		Mike  inner
	}
	doc := outer{Alpha: []inner{{}, {}}}
	var b bytes.Buffer
	if err := WriteJSON(&b, doc, true); err != nil {
		t.Fatal(err)
	}
	field := regexp.MustCompile(`\w+"?:`)
	fields := func(s string) string {
		return strings.ReplaceAll(fmt.Sprint(field.FindAllString(s, -1)), `"`, "")
	}
	const want = "[Zulu: Alpha: Z: A: M: Z: A: M: Mike: Z: A: M:]"
	if got := fields(b.String()); got != want {
		t.Errorf("JSON has the fields %s, want %s", got, want)
	}
	if got := fields(writtenYAML(t, doc)); got != want {
		t.Errorf("YAML has the fields %s, want %s", got, want)
	}
}
