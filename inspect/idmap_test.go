package inspect

import (
	"math"
	"reflect"
	"testing"
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
	if got, err := ParseIDMap(""); err != nil || got != nil || got.String() != "nothing" {
		t.Errorf("an empty map: %v, %v", got, err)
	}
	for _, text := range []string{"0 0\n", "0 0 1 1\n", "a 0 1\n", "0 0 4294967296\n", "-1 0 1\n"} {
		if got, err := ParseIDMap(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestIDMapEdges(t *testing.T) {
	m := IDMap{{0, 1000, 1}, {10, 2000, 5}}
	all := IDMap{{0, 0, math.MaxUint32}}
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
}

func FuzzParseIDMap(f *testing.F) {
	f.Add("0 1000 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseIDMap(text)
		if err != nil {
			return
		}
		for _, r := range m {
			if r.Count > 0 && !m.Has(r.Inside) {
				t.Errorf("%q: %v has no %d", text, m, r.Inside)
			}
		}
	})
}
