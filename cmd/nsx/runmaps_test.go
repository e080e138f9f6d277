package main

import (
	"testing"

	"nsx/inspect"
)

// What unshare(1) of util-linux 2.42 maps in these cases.
func TestAround(t *testing.T) {
	for _, c := range []struct {
		name      string
		r, single inspect.IDRange
		want      string
	}{
		{"apart", inspect.IDRange{Inside: 10, Outside: 100, Count: 5}, inspect.IDRange{Inside: 0, Outside: 0, Count: 1}, "10-14 from 100"},
		{"root first", inspect.IDRange{Inside: 0, Outside: 100, Count: 5}, inspect.IDRange{Inside: 0, Outside: 7, Count: 1}, "1-4 from 100"},
		{"in the middle", inspect.IDRange{Inside: 0, Outside: 100, Count: 5}, inspect.IDRange{Inside: 2, Outside: 7, Count: 1}, "0-1 from 100, 3-4 from 102"},
		{"the last", inspect.IDRange{Inside: 0, Outside: 100, Count: 5}, inspect.IDRange{Inside: 4, Outside: 7, Count: 1}, "0-3 from 100"},
		{"outside only", inspect.IDRange{Inside: 0, Outside: 100, Count: 5}, inspect.IDRange{Inside: 9, Outside: 102, Count: 1}, "0-1 from 100, 2-3 from 103"},
		{"both", inspect.IDRange{Inside: 0, Outside: 100, Count: 5}, inspect.IDRange{Inside: 1, Outside: 103, Count: 1}, "0 from 100, 2-3 from 101, 4 from 104"},
		{"nothing left", inspect.IDRange{Inside: 3, Outside: 3, Count: 1}, inspect.IDRange{Inside: 3, Outside: 9, Count: 1}, "nothing"},
		{"to the last id", inspect.IDRange{Inside: 0, Outside: 0, Count: 1<<32 - 1}, inspect.IDRange{Inside: 5, Outside: 5, Count: 1}, "0-4 from 0, 6-4294967294 from 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := around(c.r, c.single).String(); got != c.want {
				t.Errorf("%v around %v: %s, want %s", c.r, c.single, got, c.want)
			}
		})
	}
}
