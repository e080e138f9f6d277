package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// document is what the commands write, with all that is hard to get right.
type document struct {
	Schema string            `json:"schema"`
	ID     uint64            `json:"id"`
	Least  int64             `json:"least"`
	Share  float64           `json:"share"`
	None   *int              `json:"none"`
	OK     bool              `json:"ok"`
	Empty  []string          `json:"empty"`
	Names  []string          `json:"names"`
	NS     map[string]uint64 `json:"ns"`
}

func someDocument() document {
	return document{
		Schema: "nsx/test/1", ID: math.MaxUint64, Least: math.MinInt64, Share: 0.5, OK: true,
		Empty: []string{}, Names: []string{"<a & b>", "\x1b[2J", "日本\u202e", "tag\U000e0041"},
		NS: map[string]uint64{"net": 4026531840, "mnt": 1<<53 + 1},
	}
}

func TestJSON(t *testing.T) {
	const want = `{"schema":"nsx/test/1","id":18446744073709551615,"least":-9223372036854775808,"share":0.5,` +
		`"none":null,"ok":true,"empty":[],"names":["<a & b>","\u001b[2J","日本\u202e","tag\udb40\udc41"],` +
		`"ns":{"mnt":9007199254740993,"net":4026531840}}` + "\n"
	var b bytes.Buffer
	if err := WriteJSON(&b, someDocument(), false); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("written\n%s\nwant\n%s", b.String(), want)
	}

	var pretty, compact bytes.Buffer
	if err := WriteJSON(&pretty, someDocument(), true); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(pretty.String(), "{\n  \"schema\": \"nsx/test/1\",\n  \"id\": 18446744073709551615,\n") {
		t.Errorf("indented:\n%s", pretty.String())
	}
	if err := json.Compact(&compact, pretty.Bytes()); err != nil {
		t.Fatal(err)
	}
	if compact.String()+"\n" != want {
		t.Errorf("indented and compacted again\n%s\nwant\n%s", compact.String(), want)
	}
}

func TestNDJSON(t *testing.T) {
	type head struct {
		Schema string `json:"schema"`
		Host   string `json:"host"`
	}
	type item struct {
		Comm string `json:"comm"`
		PID  int    `json:"pid"`
	}
	items := []item{{"a\nb", 1}, {"\u2028<", 2}}
	for _, c := range []struct {
		head any
		want string
	}{
		{nil, `{"comm":"a\nb","pid":1}` + "\n" + `{"comm":"\u2028<","pid":2}` + "\n"},
		{struct{}{}, `{"comm":"a\nb","pid":1}` + "\n" + `{"comm":"\u2028<","pid":2}` + "\n"},
		{head{"s/1", "h\x1b"}, `{"schema":"s/1","host":"h\u001b","comm":"a\nb","pid":1}` + "\n" +
			`{"schema":"s/1","host":"h\u001b","comm":"\u2028<","pid":2}` + "\n"},
	} {
		var b bytes.Buffer
		if err := WriteNDJSON(&b, c.head, items); err != nil {
			t.Errorf("%+v: %v", c.head, err)
		}
		if b.String() != c.want {
			t.Errorf("with head %+v written\n%s\nwant\n%s", c.head, b.String(), c.want)
		}
	}

	var b bytes.Buffer
	if err := WriteNDJSON(&b, head{"s/1", ""}, []struct{}{{}}); err != nil || b.String() != `{"schema":"s/1","host":""}`+"\n" {
		t.Errorf("an item without fields is written as %q, error %v", b.String(), err)
	}
}

func TestWhatIsNoDocument(t *testing.T) {
	w := failing{errors.New("must not be written to")}
	for name, err := range map[string]error{
		"a channel as JSON":        WriteJSON(w, make(chan int), true),
		"a channel as YAML":        WriteYAML(w, map[string]any{"c": make(chan int)}),
		"not a number as JSON":     WriteJSON(w, math.NaN(), false),
		"a list of numbers":        WriteNDJSON(w, nil, []int{1}),
		"a head that is a number":  WriteNDJSON(w, 1, []proc{{}}),
		"a head that is nil":       WriteNDJSON(w, (*proc)(nil), []proc{{}}),
		"one item that is no row":  WriteNDJSON(w, nil, []any{proc{}, "text"}),
		"one item that is nothing": WriteNDJSON(w, nil, []*proc{{}, nil}),
	} {
		if err == nil || errors.Is(err, w.err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestDocumentsOfEveryRune: whatever a document holds, it steers no terminal and
// reads back as it was.
func TestDocumentsOfEveryRune(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) {
			all.WriteRune(r)
		}
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, all.String(), false); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back != all.String() {
		t.Error("some character does not read back from JSON as itself")
	}
	checkSafe(t, strings.TrimSuffix(b.String(), "\n"))

	text := writtenYAML(t, all.String())
	if readYAML(t, []byte(text)) != all.String() {
		t.Error("some character does not read back from YAML as itself")
	}
	checkSafe(t, strings.TrimSuffix(text, "\n"))
}

// TestInvalidUTF8InDocuments: JSON cannot hold such bytes. Each becomes U+FFFD,
// escaped in JSON and drawn in YAML, as the package says.
func TestInvalidUTF8InDocuments(t *testing.T) {
	doc := map[string]string{"a\xff": "b\xe6\x97c"}
	for name, write := range map[string]func(io.Writer, any) error{
		"JSON": func(w io.Writer, doc any) error { return WriteJSON(w, doc, false) },
		"YAML": WriteYAML,
	} {
		var b bytes.Buffer
		if err := write(&b, doc); err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(b.Bytes()) {
			t.Errorf("%s %q is not valid UTF-8", name, b.String())
		}
		back := readYAML(t, b.Bytes()) // reads JSON as well
		if got := back.(map[string]any)["a\ufffd"]; got != "b\ufffd\ufffdc" {
			t.Errorf("%s reads back as %q", name, back)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"", "y", "=", "\x1b]0;t\x07", "a: b # c", "\u2028\u0085", "\xff", "- x\n  y\n", "1e3", "\ufeff"} {
		f.Add(s, int64(-1), uint64(math.MaxUint64), 1e21)
	}
	f.Fuzz(func(t *testing.T, s string, i int64, u uint64, x float64) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return
		}
		doc := map[string]any{"text": s, "k" + s: []any{s, i, u, x}}
		var asJSON, asYAML bytes.Buffer
		if err := WriteJSON(&asJSON, doc, true); err != nil {
			t.Fatal(err)
		}
		if err := WriteYAML(&asYAML, doc); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{asJSON.String(), asYAML.String()} {
			for line := range strings.Lines(text) {
				checkSafe(t, strings.TrimSuffix(line, "\n"))
			}
		}
		want := strings.ToValidUTF8(s, "") // the rest of s
		var back map[string]any
		if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		got := readYAML(t, asYAML.Bytes()).(map[string]any)
		if got["text"] != back["text"] {
			t.Errorf("%q reads back as %q from JSON and as %q from YAML", s, back["text"], got["text"])
		}
		if utf8.ValidString(s) && back["text"] != s {
			t.Errorf("%q reads back as %q", s, back["text"])
		}
		if strings.ReplaceAll(back["text"].(string), "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("%q reads back as %q", s, back["text"])
		}
	})
}

// What is written piece by piece is the same document.
func TestJSONList(t *testing.T) {
	type head struct {
		Schema string `json:"schema"`
		Host   string `json:"host"`
	}
	type item struct {
		Name string         `json:"name"`
		Of   map[string]int `json:"of"`
	}
	h := head{"nsx/x/1", "a]\n}\x1b"}
	for _, items := range [][]item{{}, {{"a", nil}}, {{"a", map[string]int{"x": 1}}, {"b\x9b", map[string]int{}}, {}}} {
		for _, indent := range []bool{false, true} {
			var got, want bytes.Buffer
			if err := WriteJSONList(&got, h, "items", items, indent); err != nil {
				t.Fatal(err)
			}
			whole := struct {
				head
				Items []item `json:"items"`
			}{h, items}
			if err := WriteJSON(&want, whole, indent); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("%q, want %q", &got, &want)
			}
		}
	}
}
