package inspect

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParseLink(t *testing.T) {
	for _, c := range []struct {
		text string
		typ  Type
		want uint64
		ok   bool
	}{
		{"net:[4026531833]", Net, 4026531833, true},
		{"pid:[4026531836]", PID, 4026531836, true},
		{"mnt:[1]", Mnt, 1, true},
		{"net:[18446744073709551615]", Net, math.MaxUint64, true},
		{"net:[4026531833]", UTS, 0, false},
		{"net:[0]", Net, 0, false},
		{"net:[]", Net, 0, false},
		{"net:[1", Net, 0, false},
		{"net:1]", Net, 0, false},
		{"net:[1] ", Net, 0, false},
		{"net:[1 (deleted)]", Net, 0, false},
		{"network:[1]", Net, 0, false},
		{"net[1]:", Net, 0, false},
		{"net", Net, 0, false},
		{"", Net, 0, false},
		{"/proc/1/ns/net", Net, 0, false},
	} {
		got, ok := parseLink([]byte(c.text), c.typ)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseLink(%q, %s) = %d, %v", c.text, c.typ, got, ok)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add([]byte("net:[4026531833]"), uint8(Net))
	f.Add([]byte("net:["), uint8(Net))
	f.Add([]byte(":[]"), uint8(UTS))
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		typ := Types[n%NumTypes]
		inode, ok := parseLink(text, typ)
		if ok != (inode != 0 && (ID{typ, inode}).String() == string(text)) {
			t.Fatalf("parseLink(%q, %s) = %d, %v", text, typ, inode, ok)
		}
	})
}

func TestParseCmdline(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{}},
		{"\x00", []string{}},
		{"\x00\x00\x00", []string{}},
		{"sh\x00", []string{"sh"}},
		{"sh\x00-c\x00true\x00", []string{"sh", "-c", "true"}},
		{"a\x00\x00b\x00", []string{"a", "", "b"}},
		{"\x00a\x00", []string{"", "a"}},
		{"nginx: worker process", []string{"nginx: worker process"}},
		{"postgres: writer\x00\x00\x00\x00", []string{"postgres: writer"}},
		{"\x1b[2J\n\xff\x00", []string{"\x1b[2J\n\xff"}},
	} {
		got := parseCmdline([]byte(c.text))
		if got == nil || !slices.Equal(got, c.want) {
			t.Errorf("parseCmdline(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add([]byte("sh\x00-c\x00true\x00"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		args := parseCmdline(text)
		// Nothing is lost but the NULs at the end.
		if got := strings.Join(args, "\x00"); got != strings.TrimRight(string(text), "\x00") {
			t.Fatalf("%q became %q", text, args)
		}
		if args == nil || len(args) > 0 && args[len(args)-1] == "" {
			t.Fatalf("%q became %q", text, args)
		}
	})
}

// The text of a scan is parsed for every process: it must not allocate.
func TestParseLinkDoesNotAllocate(t *testing.T) {
	link := []byte("cgroup:[" + strconv.Itoa(4026531835) + "]")
	if n := testing.AllocsPerRun(100, func() { parseLink(link, Cgroup) }); n != 0 {
		t.Errorf("parseLink allocates %v times", n)
	}
}
