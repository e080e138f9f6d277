package output

import "testing"

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("ParseFormat(%s) = %q, %v", f, got, err)
		}
	}
	for _, s := range []string{"", "Table", "json ", "xml"} {
		if got, err := ParseFormat(s); got != "" || err == nil {
			t.Errorf("ParseFormat(%q) = %q, %v", s, got, err)
		}
	}
}
