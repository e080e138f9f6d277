package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// at is results where nsx takes the given time and memory, and lsns its time.
func at(n int, nsx, lsns time.Duration, rss int64) size {
	return size{n: n, results: []series{
		cmdNSX: {{wall: nsx, rss: rss}}, cmdNSXSets: {{wall: nsx * 5 / 4, rss: 1}}, cmdNSXJSON: {{wall: nsx, rss: 1}},
		cmdPeer: {{wall: lsns}}, cmdPeerJSON: {{wall: lsns}},
	}}
}

func costly(s size) size {
	s.results[cmdNSXSets][0].wall = 2 * s.results[cmdNSX][0].wall
	return s
}

func TestMissedBars(t *testing.T) {
	const ms = time.Millisecond
	base, small := at(0, 2*ms, 10*ms, 0), at(1000, 42*ms, 220*ms, 0)
	for _, test := range []struct {
		name  string
		sizes []size
		want  string // in the only line, "" for none
	}{
		{"all well", []size{base, small, at(5000, 200*ms, 1900*ms, 0), at(10000, 402*ms, 5400*ms, 60000)}, ""},
		{"slow at 5000", []size{base, at(5000, 400*ms, 1900*ms, 0)}, "at 5000 processes nsx ls --each is 4.8 times faster than lsns, not 6"},
		{"slow at 10000", []size{base, at(10000, 700*ms, 5400*ms, 0)}, "at 10000 processes nsx ls --each is 7.7 times faster than lsns, not 9"},
		{"too big", []size{base, at(10000, 400*ms, 5400*ms, 65536)}, "nsx ls --each takes 64 MiB, not less than 64"},
		{"not linear", []size{base, small, at(10000, 802*ms, 54000*ms, 0)}, "2.0 times as long at 10,000 as at 1,000"},
		{"names that cost", []size{base, costly(at(5000, 200*ms, 1900*ms, 0))}, "at 5000 processes nsx ls takes 2.0 times as long as nsx ls --each, not 1.3"},
	} {
		got := missedBars(test.sizes)
		switch {
		case test.want == "" && len(got) > 0,
			test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestMedian(t *testing.T) {
	s := series{{wall: 9}, {wall: 1}, {wall: 4}}
	if least, most := s.span(); s.wall() != 4 || least != 1 || most != 9 {
		t.Errorf("median %d, span %d to %d", s.wall(), least, most)
	}
}
