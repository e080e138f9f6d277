package inspect

import (
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

func TestParseIDMap(t *testing.T) {
	got, err := ParseIDMap("         0       1000          1\n         1     100000      65536\n")
	want := IDMap{{0, 1000, 1}, {1, 100000, 65536}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got.String() != "0 from 1000, 1-65536 from 100000" {
		t.Errorf("%s", got)
	}
	if got := IDMap(slices.Repeat([]IDRange{{1, 2, 1}}, 340)).String(); len(got) > 150 || !strings.HasSuffix(got, ", and 334 ranges more") {
		t.Errorf("340 ranges: %s", got)
	}
	if got, err := ParseIDMap(""); err != nil || got == nil || len(got) != 0 || got.String() != "nothing" {
		t.Errorf("an empty map: %v, %v", got, err)
	}
	for _, text := range []string{
		"0 0\n", "0 0 1 1\n", "a 0 1\n", "0 0 4294967296\n", "-1 0 1\n", "\n",
		"0 0 0\n", "4294967295 0 1\n", "1 0 4294967295\n",
	} {
		if got, err := ParseIDMap(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestIDMapEdges(t *testing.T) {
	m := IDMap{{0, 1000, 1}, {10, 2000, 5}}
	all := IDMap{{0, 0, math.MaxUint32}}
	last := IDMap{{math.MaxUint32 - 1, 7, 1}}
	hidden := IDMap{{0, math.MaxUint32, math.MaxUint32}} // as read in another user namespace
	for _, c := range []struct {
		m             IDMap
		outside, want uint32
		ok            bool
	}{
		{m, 1000, 0, true},
		{m, 999, 0, false},
		{m, 1001, 0, false},
		{m, 2000, 10, true},
		{m, 2004, 14, true},
		{m, 2005, 0, false},
		{all, 0, 0, true},
		{all, math.MaxUint32 - 1, math.MaxUint32 - 1, true},
		{all, math.MaxUint32, 0, false},
		{last, 7, math.MaxUint32 - 1, true},
		{last, 8, 0, false},
		{hidden, math.MaxUint32, 0, false},
		{hidden, 0, 0, false},
		{nil, 0, 0, false},
	} {
		if got, ok := c.m.Inside(c.outside); got != c.want || ok != c.ok {
			t.Errorf("%s: %d is %d, %v inside; want %d, %v", c.m, c.outside, got, ok, c.want, c.ok)
		}
	}
	for id, want := range map[uint32]bool{0: true, 1: false, 9: false, 10: true, 14: true, 15: false} {
		if m.Has(id) != want {
			t.Errorf("%s: Has(%d) is %v", m, id, !want)
		}
	}
	if !all.Has(0) || !all.Has(math.MaxUint32-1) || all.Has(math.MaxUint32) || !last.Has(math.MaxUint32-1) || last.Has(math.MaxUint32) || !hidden.Has(0) {
		t.Errorf("%s, %s, %s", all, last, hidden)
	}
	if got := IDMap.String(all); got != "0-4294967294 from 0" {
		t.Error(got)
	}
}

func TestIDMapOfAProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: []string{"user"}})
	target := resolve(t, strconv.Itoa(p.PID))
	for name, own := range map[string]int{"uid_map": os.Geteuid(), "gid_map": os.Getegid()} {
		m, err := target.IDMap(name)
		if inside, ok := m.Inside(uint32(own)); err != nil || inside != 0 || !ok || !m.Has(0) || m.Has(math.MaxUint32) {
			t.Errorf("%s: %s, %v; %d is %d, %v", name, m, err, own, inside, ok)
		}
	}
	p.Kill()
	if m, err := target.IDMap("uid_map"); !errors.Is(err, ErrGone) {
		t.Errorf("of a dead process: %s, %v", m, err)
	}
}

func FuzzParseIDMap(f *testing.F) {
	f.Add("0 1000 1\n")
	f.Add("0 4294967295 4294967295\n1 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseIDMap(text)
		if err != nil {
			return
		}
		for _, r := range m {
			if r.Count == 0 || !m.Has(r.Inside) || !m.Has(r.Inside+r.Count-1) || m.Has(math.MaxUint32) {
				t.Errorf("%q: %s", text, m)
			}
			if inside, ok := m.Inside(r.Outside); ok && !m.Has(inside) {
				t.Errorf("%q: %d is %d, which is not in %s", text, r.Outside, inside, m)
			}
		}
	})
}

// What unshare(1) of util-linux 2.42 maps in these cases.
func TestAround(t *testing.T) {
	for _, c := range []struct {
		name      string
		r, single IDRange
		want      string
	}{
		{"apart", IDRange{Inside: 10, Outside: 100, Count: 5}, IDRange{Inside: 0, Outside: 0, Count: 1}, "10-14 from 100"},
		{"root first", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 0, Outside: 7, Count: 1}, "1-4 from 100"},
		{"in the middle", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 2, Outside: 7, Count: 1}, "0-1 from 100, 3-4 from 102"},
		{"the last", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 4, Outside: 7, Count: 1}, "0-3 from 100"},
		{"outside only", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 9, Outside: 102, Count: 1}, "0-1 from 100, 2-3 from 103"},
		{"both", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 1, Outside: 103, Count: 1}, "0 from 100, 2-3 from 101, 4 from 104"},
		{"nothing left", IDRange{Inside: 3, Outside: 3, Count: 1}, IDRange{Inside: 3, Outside: 9, Count: 1}, "nothing"},
		{"to the last id", IDRange{Inside: 0, Outside: 0, Count: 1<<32 - 1}, IDRange{Inside: 5, Outside: 5, Count: 1}, "0-4 from 0, 6-4294967294 from 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.r.Around(c.single).String(); got != c.want {
				t.Errorf("%v around %v: %s, want %s", c.r, c.single, got, c.want)
			}
		})
	}
}

// What unshare(1) maps by --map-auto, which since util-linux 2.40 (but for 2.41 and
// 2.42) loses no id to the one that is mapped by itself.
func TestBeside(t *testing.T) {
	for _, c := range []struct {
		name      string
		r, single IDRange
		want      string
	}{
		{"root first", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 0, Outside: 7, Count: 1}, "1-5 from 100"},
		{"a single one", IDRange{Inside: 0, Outside: 100, Count: 1}, IDRange{Inside: 0, Outside: 7, Count: 1}, "1 from 100"},
		{"in the middle", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 2, Outside: 7, Count: 1}, "0-1 from 100, 3-5 from 102"},
		{"just behind", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 5, Outside: 7, Count: 1}, "0-4 from 100"},
		{"apart", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 1000, Outside: 1000, Count: 1}, "0-4 from 100"},
		{"our own granted to us", IDRange{Inside: 0, Outside: 100, Count: 5}, IDRange{Inside: 0, Outside: 102, Count: 1}, "1-2 from 100, 3-4 from 103"},
		{"every id", IDRange{Inside: 0, Outside: 0, Count: 1<<32 - 1}, IDRange{Inside: 0, Outside: 7, Count: 1}, "1-7 from 0, 8-4294967294 from 8"},
		{"up to the last", IDRange{Inside: 0, Outside: 0, Count: 1<<32 - 1}, IDRange{Inside: 1<<32 - 2, Outside: 1<<32 - 2, Count: 1}, "0-4294967293 from 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.r.Beside(c.single).String(); got != c.want {
				t.Errorf("%v beside %v: %s, want %s", c.r, c.single, got, c.want)
			}
		})
	}
}
