package inspect

import (
	"os"
	"slices"
	"testing"
)

func TestGaps(t *testing.T) {
	asRoot := ""
	if os.Geteuid() != 0 {
		asRoot = ": run as root"
	}
	pids := func(list string) string {
		if asRoot != "" {
			return asRoot
		}
		return list
	}
	processes := []Process{{PID: 1}, {PID: 2}, {PID: 3}, {PID: 4}, {PID: 5}}
	for _, c := range []struct {
		name string
		s    Snapshot
		want []string
	}{
		{"none", Snapshot{Processes: processes}, nil},
		{
			"one",
			Snapshot{Processes: processes, Unreadable: []Unreadable{{1, "namespaces", "EACCES"}}},
			[]string{"1 of 5 processes unreadable" + pids(" (EACCES): PID 1")},
		},
		{
			"those that are not listed count too",
			Snapshot{Processes: processes[:2], Unreadable: []Unreadable{
				{1, "namespaces", "EACCES"}, {7, "namespaces", "EPERM"}, {8, "namespaces", "EPERM"}, {9, "namespaces", "EPERM"},
			}},
			[]string{"4 of 5 processes unreadable" + pids(" (EACCES, EPERM): PID 1, 7, 8, …")},
		},
		{
			"what root cannot read either",
			Snapshot{Processes: processes, Unreadable: []Unreadable{{2, "cmdline", "no answer within 500ms"}}},
			[]string{"1 of 5 processes' cmdline unreadable (no answer within 500ms): PID 2"},
		},
		{
			"what root may read, and what it may not",
			Snapshot{Processes: processes, Unreadable: []Unreadable{{1, "namespaces", "EACCES"}, {2, "namespaces", "EMFILE"}}},
			[]string{"2 of 5 processes unreadable (EACCES, EMFILE): PID 1, 2"},
		},
		{
			"hidden",
			Snapshot{Processes: processes, Hidden: "hidepid=invisible"},
			[]string{"/proc is mounted with hidepid=invisible and hides the processes of others: run as root"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.Gaps(); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
