package keys

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for word, want := range map[string]int64{
		"0": 0, "1": 1, "010": 10, "1K": 1024, "1k": 1024, "1KiB": 1024, "1.5G": 3 << 29, "512M": 512 << 20, "0.5K": 512,
		"max": Unlimited, "-1": Unlimited, "9223372036854771712": Unlimited, "9223372036854710272": Unlimited,
		"9223372036854700000": 9223372036854700000, "7E": 7 << 60, "2P": 2 << 50, "3TiB": 3 << 40, "7B": 7,
		"512Mi": 512 << 20, "1ki": 1024, "1.5Gi": 3 << 29, ".5K": 512, ".5Gi": 1 << 29,
		// What the kernel takes for no limit (page_counter_memparse).
		"8E": Unlimited, "18446744073709551615": Unlimited, "9223372036860000000": Unlimited,
	} {
		if got, err := ParseSize(word); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"", "-2", "0x10", "1KB", "1mb", "1.1", "0.3K", "16E", "18446744073709551616", "99999999999999999999", "1e3", " 1", "1 ", "K", "1KK", "1KiK", "1i", "1Bi", "1iB", "50%", "500m!", "+1", ".", ".K", "1.K", "1_000", "١"} {
		if got, err := ParseSize(word); err == nil {
			t.Errorf("%q: %d, want an error", word, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1K", 1536: "1.5K", 1537: "1537", 3 << 29: "1.5G", Unlimited: "max", 1 << 60: "1E"} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.5G")
	f.Add("0.0009765625M")
	f.Fuzz(func(t *testing.T, word string) {
		n, err := ParseSize(word)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("%q gave %d", word, n)
		}
		if again, err := ParseSize(FormatSize(n)); err != nil || again != n {
			t.Errorf("%q gave %d, shown as %s, read as %d, %v", word, n, FormatSize(n), again, err)
		}
	})
}

func TestParseCPUs(t *testing.T) {
	for word, want := range map[string]CPUMax{
		"1": {100000, 100000}, "1.5": {150000, 100000}, "0.01": {1000, 100000}, "0.12345": {12345, 100000},
		"max": {Unlimited, 100000}, "-1": {Unlimited, 100000}, "128": {12800000, 100000},
		".5": {50000, 100000}, "500m": {50000, 100000}, "1500m": {150000, 100000}, "10.5m": {1050, 100000}, "50%": {50000, 100000}, "250%": {250000, 100000},
	} {
		if got, err := ParseCPUs(word); err != nil || got != want {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "0", "0.009", "0.123456", "-1.5", "1e2", "99999999999", "1.", ".", "m", "%", "0.5%", "1M", "1.0001m", "50%%", "50 %", "NaN"} {
		if got, err := ParseCPUs(word); err == nil {
			t.Errorf("%q: %v, want an error", word, got)
		}
	}
}

func TestCPUList(t *testing.T) {
	for word, want := range map[string]string{
		"": "", "0": "0", "0-3": "0-3", "0,1": "0-1", "3,1,2,7": "1-3,7", "0-7:2/4": "0-1,4-5", "1,1-2": "1-2", " 0-1\n": "0-1",
		",0,1,": "0-1", "0-1,": "0-1", "1, 0, 0-1": "0-1", "0 1": "0-1", "0\t2": "0,2", "1,,2": "1-2", ",": "",
	} {
		list, err := ParseCPUList(word)
		if got := FormatCPUList(list); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", word, got, err, want)
		}
	}
	for _, word := range []string{"a", "1-", "-1", "3-1", "0 - 1", "0-70000", "all", "N", "0-N", "0-7:4/2", "0-7:0/2", "1:1/2", "0x1", "+1"} {
		if list, err := ParseCPUList(word); err == nil {
			t.Errorf("%q: %v, want an error", word, list)
		}
	}
}

// TestCPUListOfAMachine: what bitmap_parselist of the kernel knows of the machine.
func TestCPUListOfAMachine(t *testing.T) {
	for word, want := range map[string]string{
		"all": "0-7", "ALL": "0-7", "N": "7", "2-N": "2-7", "N-N": "7", "all:1/2": "0,2,4,6", "0 N": "0,7",
	} {
		list, err := ParseCPUListUpTo(word, 7)
		if got := FormatCPUList(list); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", word, got, err, want)
		}
	}
	for _, word := range []string{"n", "alle", "N-1", "-N", "all-2"} {
		if list, err := ParseCPUListUpTo(word, 7); err == nil {
			t.Errorf("%q: %v, want an error", word, list)
		}
	}
}

func FuzzCPUList(f *testing.F) {
	f.Add("0-3,5")
	f.Add("0-31:2/8")
	f.Fuzz(func(t *testing.T, word string) {
		list, err := ParseCPUList(word)
		if err != nil {
			return
		}
		again, err := ParseCPUList(FormatCPUList(list))
		if err != nil || !slices.Equal(again, list) || !slices.IsSorted(list) {
			t.Errorf("%q gave %v, again %v, %v", word, list, again, err)
		}
	})
}

func TestParseIOMax(t *testing.T) {
	m, err := ParseIOMax("8:16 rbps=10M wiops=max")
	if err != nil || m.String() != "8:16 rbps=10485760 wiops=max" {
		t.Errorf("%s, %v", m, err)
	}
	for _, text := range []string{"", "8:16", "8:16 rbps=0", "8:16 rbps=1 rbps=2", "8:16 bps=1", "8:16 rbps", "8:16 rbps=1 2", "x/y rbps=1", "4096:0 rbps=1", "no-such-disk rbps=1", "/dev/null rbps=1"} {
		if m, err := ParseIOMax(text); err == nil {
			t.Errorf("%q: %s, want an error", text, m)
		}
	}
}

func FuzzIOMax(f *testing.F) {
	f.Add("254:0 rbps=1M wbps=max riops=1 wiops=2")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "/") || !strings.Contains(text, ":") {
			return // files of this machine
		}
		m, err := ParseIOMax(text)
		if err != nil {
			return
		}
		if again, err := ParseIOMax(m.String()); err != nil || again.String() != m.String() {
			t.Errorf("%q gave %s, again %s, %v", text, m, again, err)
		}
	})
}

func TestParseHugetlb(t *testing.T) {
	if page, n, err := ParseHugetlb("2M=64M"); err != nil || page != "2MB" || n != 64<<20 {
		t.Error(page, n, err)
	}
	if page, n, err := ParseHugetlb("1GB=max"); err != nil || page != "1GB" || n != math.MaxInt64 {
		t.Error(page, n, err)
	}
	for _, word := range []string{"2M", "3M=1", "=1", "2M=", "max=1"} {
		if page, n, err := ParseHugetlb(word); err == nil {
			t.Errorf("%q: %s %d, want an error", word, page, n)
		}
	}
}
