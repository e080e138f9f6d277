package inspect

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statText is a line of /proc/PID/stat.
func statText(comm, state string, ppid, flags, threads, start any) string {
	return fmt.Sprintf("7 (%s) %s %v 7 7 0 -1 %v 1 2 3 4 5 6 7 8 20 0 %v 0 %v 9043968 1280 18446744073709551615\n",
		comm, state, ppid, flags, threads, start)
}

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       stat
	}{
		{
			"usual", statText("bash", "S", 1, 4194560, 1, 123456),
			stat{[]byte("bash"), 'S', 1, 4194560, 1, 123456},
		},
		{
			"kernel thread", statText("kworker/0:0-eve", "I", 2, 69238880, 1, 10),
			stat{[]byte("kworker/0:0-eve"), 'I', 2, 69238880, 1, 10},
		},
		{
			"brackets, blanks and newlines in the name", statText(") S 1 (\n(", "R", 5, 0, 2, 3),
			stat{[]byte(") S 1 (\n("), 'R', 5, 0, 2, 3},
		},
		{
			"any bytes in the name", statText("\x1b[31m\xff\x00", "Z", 5, 0, 1, 3),
			stat{[]byte("\x1b[31m\xff\x00"), 'Z', 5, 0, 1, 3},
		},
		{"no name", statText("", "D", 0, 0, 1, 0), stat{[]byte(""), 'D', 0, 0, 1, 0}},
		{
			"largest numbers", statText("x", "S", math.MaxInt32, uint64(math.MaxUint64), math.MaxInt32, uint64(math.MaxUint64)),
			stat{[]byte("x"), 'S', math.MaxInt32, math.MaxUint64, math.MaxInt32, math.MaxUint64},
		},
		{
			"it may end after the 22nd field", "7 (x) S 1 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 4 0 55",
			stat{[]byte("x"), 'S', 1, 9, 4, 55},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat([]byte(c.text))
			if err != nil || !equalStats(got, c.want) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func equalStats(a, b stat) bool {
	return bytes.Equal(a.comm, b.comm) && a.state == b.state && a.ppid == b.ppid && a.flags == b.flags &&
		a.numThreads == b.numThreads && a.startTicks == b.startTicks
}

func TestParseStatRefuses(t *testing.T) {
	for _, text := range []string{
		"", "\n", "7", "7 bash S 1", "7 (bash", "7 bash)", "7 )bash( S 1", "7 (bash)", "7 (bash) ", "7 (bash)\n",
		"7 (bash) S 1 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 4 0",       // 21 fields
		"7 (bash) S 1 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 4 0\n55\n", // a newline ends it
		statText("bash", "S", -1, 0, 1, 0),
		statText("bash", "S", "x", 0, 1, 0),
		statText("bash", "S", math.MaxInt32+1, 0, 1, 0),
		statText("bash", "S", 1, "-", 1, 0),
		statText("bash", "S", 1, 0, "1.5", 0),
		statText("bash", "S", 1, 0, 1, "18446744073709551616"),
		strings.Repeat("A", 1<<16),
	} {
		got, err := parseStat([]byte(text))
		if err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		} else if len(err.Error()) > 400 {
			t.Errorf("%q: the error repeats it all", text)
		}
	}
}

func TestParseStatOfSelf(t *testing.T) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseStat(text)
	if err != nil || s.ppid != os.Getppid() || s.startTicks == 0 || s.numThreads < 1 || s.state != 'R' && s.state != 'S' {
		t.Errorf("%+v, %v from %s", s, err, text)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statText("bash", "S", 1, 4194560, 1, 123456)), []byte("a) b"))
	f.Add([]byte("7 (x) S"), []byte(""))
	f.Add([]byte(") ("), []byte("\n"))
	f.Fuzz(func(t *testing.T, text, comm []byte) {
		s, err := parseStat(text)
		if err == nil && (s.ppid < 0 || s.numThreads < 0 || s.state == ' ' || s.state == '\n' || !bytes.Contains(text, s.comm)) {
			t.Fatalf("%q: %+v", text, s)
		}
		// Whatever a process calls itself, the rest is found.
		s, err = parseStat([]byte(statText(string(comm), "T", 11, 22, 33, 44)))
		if want := (stat{comm, 'T', 11, 22, 33, 44}); err != nil || !equalStats(s, want) {
			t.Fatalf("named %q: %+v, %v", comm, s, err)
		}
	})
}

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
		typ := Type(n % NumTypes)
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
func TestParsersDoNotAllocate(t *testing.T) {
	text, link := []byte(statText("bash", "S", 1, 4194560, 1, 123456)), []byte("cgroup:["+strconv.Itoa(4026531835)+"]")
	if n := testing.AllocsPerRun(100, func() { _, _ = parseStat(text) }); n != 0 {
		t.Errorf("parseStat allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { parseLink(link, Cgroup) }); n != 0 {
		t.Errorf("parseLink allocates %v times", n)
	}
}
