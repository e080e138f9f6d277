package proc

import (
	"bytes"
	"fmt"
	"math"
	"os"
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
		want       Stat
	}{
		{
			"usual", statText("bash", "S", 1, 4194560, 1, 123456),
			Stat{Comm: []byte("bash"), State: 'S', PPID: 1, Flags: 4194560, NumThreads: 1, StartTicks: 123456},
		},
		{
			"being reaped", "22343 (sh) X 0 -1 -1 0 -1 4227084 65 0 0 0 0 0 0 0 30 10 0 0 207",
			Stat{Comm: []byte("sh"), State: 'X', Session: -1, Flags: 4227084, StartTicks: 207},
		},
		{
			"kernel thread", statText("kworker/0:0-eve", "I", 2, 69238880, 1, 10),
			Stat{Comm: []byte("kworker/0:0-eve"), State: 'I', PPID: 2, Flags: 69238880, NumThreads: 1, StartTicks: 10},
		},
		{
			"brackets, blanks and newlines in the name", statText(") S 1 (\n(", "R", 5, 0, 2, 3),
			Stat{Comm: []byte(") S 1 (\n("), State: 'R', PPID: 5, Flags: 0, NumThreads: 2, StartTicks: 3},
		},
		{
			"any bytes in the name", statText("\x1b[31m\xff\x00", "Z", 5, 0, 1, 3),
			Stat{Comm: []byte("\x1b[31m\xff\x00"), State: 'Z', PPID: 5, Flags: 0, NumThreads: 1, StartTicks: 3},
		},
		{"no name", statText("", "D", 0, 0, 1, 0), Stat{Comm: []byte(""), State: 'D', PPID: 0, Flags: 0, NumThreads: 1, StartTicks: 0}},
		{
			"largest numbers", statText("x", "S", math.MaxInt32, uint64(math.MaxUint64), math.MaxInt32, uint64(math.MaxUint64)),
			Stat{Comm: []byte("x"), State: 'S', PPID: math.MaxInt32, Flags: math.MaxUint64, NumThreads: math.MaxInt32, StartTicks: math.MaxUint64},
		},
		{
			"it may end after the 22nd field", "7 (x) S 1 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 4 0 55",
			Stat{Comm: []byte("x"), State: 'S', PPID: 1, Flags: 9, NumThreads: 4, StartTicks: 55},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseStat([]byte(c.text))
			if err != nil || !equalStats(got, c.want) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func equalStats(a, b Stat) bool {
	return bytes.Equal(a.Comm, b.Comm) && a.State == b.State && a.PPID == b.PPID && a.Flags == b.Flags &&
		a.NumThreads == b.NumThreads && a.StartTicks == b.StartTicks
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
		got, err := ParseStat([]byte(text))
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
	s, err := ParseStat(text)
	if err != nil || s.PPID != os.Getppid() || s.StartTicks == 0 || s.NumThreads < 1 || s.State != 'R' && s.State != 'S' {
		t.Errorf("%+v, %v from %s", s, err, text)
	}
}

func TestParseStatOfSessions(t *testing.T) {
	for text, want := range map[string]Stat{
		"7 (x) S 1 7 6 34816 9 4 0 0 0 0 0 0 0 0 0 0 4 0 55":   {Session: 6, Terminal: 34816, Flags: 4}, // /dev/pts/0
		"7 (x) Z 1 7 0 -1 -1 0 0 0 0 0 0 0 0 0 0 0 4 0 55":     {Terminal: 0xffffffff},
		"7 (x) I 1 7 0 0 0 2129984 0 0 0 0 0 0 0 0 0 0 4 0 55": {Flags: 2129984},
	} {
		got, err := ParseStat([]byte(text))
		if err != nil || got.Session != want.Session || got.Terminal != want.Terminal || got.Flags != want.Flags {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got.Exiting() != (got.State != 'I') || got.Dead() != (got.State == 'Z') || got.KernelThread() != (got.State == 'I') {
			t.Errorf("%s: exiting %v, dead %v, of the kernel %v", text, got.Exiting(), got.Dead(), got.KernelThread())
		}
	}
	if got, err := ParseStat([]byte("7 (x) S 1 7 -6 0 0 4 0 0 0 0 0 0 0 0 0 0 4 0 55")); err == nil {
		t.Errorf("a session below 0: %+v", got)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statText("bash", "S", 1, 4194560, 1, 123456)), []byte("a) b"))
	f.Add([]byte("7 (x) S"), []byte(""))
	f.Add([]byte(") ("), []byte("\n"))
	f.Fuzz(func(t *testing.T, text, comm []byte) {
		s, err := ParseStat(text)
		if err == nil && (s.PPID < 0 || s.NumThreads < 0 || s.State == ' ' || s.State == '\n' || !bytes.Contains(text, s.Comm)) {
			t.Fatalf("%q: %+v", text, s)
		}
		// Whatever a process calls itself, the rest is found.
		s, err = ParseStat([]byte(statText(string(comm), "T", 11, 22, 33, 44)))
		if want := (Stat{Comm: comm, State: 'T', PPID: 11, Flags: 22, NumThreads: 33, StartTicks: 44}); err != nil || !equalStats(s, want) {
			t.Fatalf("named %q: %+v, %v", comm, s, err)
		}
	})
}

func BenchmarkParseStat(b *testing.B) {
	text := []byte("5151 (Web Content) S 1 5151 5151 0 -1 4194560 10500 0 3 0 21 8 0 0 20 0 4 0 123456 9043968 1280 " +
		"18446744073709551615 94 95 140 0 0 0 671173123 4096 1260 0 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 0\n")
	b.ReportAllocs()
	for b.Loop() {
		if s, err := ParseStat(text); err != nil || s.StartTicks != 123456 {
			b.Fatal(s, err)
		}
	}
}

// The text of a scan is parsed for every process: it must not allocate.
func TestParseStatDoesNotAllocate(t *testing.T) {
	text := []byte(statText("bash", "S", 1, 4194560, 1, 123456))
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseStat(text) }); n != 0 {
		t.Errorf("ParseStat allocates %v times", n)
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"0", 0, true},
		{"1", 1, true},
		{"4194304", 4194304, true},
		{"18446744073709551615", math.MaxUint64, true},
		{"18446744073709551616", 0, false},
		{"", 0, false},
		{"00", 0, false},
		{"01", 0, false},
		{"+1", 0, false},
		{"-1", 0, false},
		{"1_0", 0, false},
		{"1e3", 0, false},
		{"0x1", 0, false},
		{" 1", 0, false},
		{"1 ", 0, false},
		{"1\x00", 0, false},
		{"１", 0, false}, // a full-width digit
	} {
		if got, ok := Decimal(c.in); ok != c.ok || ok && got != c.want {
			t.Errorf("Decimal(%q) = %d, %v", c.in, got, ok)
		}
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "1", "01", "+1", "18446744073709551615", "18446744073709551616", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := Decimal(s)
		// Accepted is what the kernel would print, and nothing else.
		if ok != (strconv.FormatUint(n, 10) == s) {
			t.Fatalf("Decimal(%q) = %d, %v", s, n, ok)
		}
	})
}
