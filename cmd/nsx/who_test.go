package main

import "testing"

func TestWordOf(t *testing.T) {
	for line, want := range map[string]string{
		"5151":                      "5151",
		"  5151 nginx":              "5151",
		"|  1234, python |":         "1234",
		"| 0 N/A":                   "0",
		":8080":                     ":8080",
		"*:8080 x":                  "*:8080",
		"[::1]:80":                  "[::1]:80",
		"::1":                       "::1",
		"tcp:8080":                  "tcp:8080",
		"/run/netns/blue":           "/run/netns/blue",
		"* web":                     "web",
		"":                          "",
		" -- | ** ":                 "",
		"podman(alice):notes other": "podman(alice):notes",
	} {
		if got := wordOf(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
