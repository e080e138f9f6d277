package proc

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	text := "Name:\tx\nTgid:\t5\nPPid:\t3\nTracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t4 24 4294967294 \nNSpid:\t5\t70\n" +
		"CapInh:\t1\nCapPrm:\t7\nCapEff:\t3\nCapBnd:\t00000000a80425fb\nCapAmb:\t1\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"
	want := Status{
		PID: 5, PPID: 3, Tracer: 9, UID: 2, GID: 6, UIDs: [4]uint32{1, 2, 3, 4}, GIDs: [4]uint32{5, 6, 7, 8}, Groups: []uint32{4, 24, 4294967294},
		NSPID: 70, Inheritable: 1, Permitted: 7, Effective: 3, Bounding: 0xa80425fb, Ambient: 1, NoNewPrivs: true, Seccomp: 2, Filters: 3,
	}
	if got, err := ParseStatus(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	// Linux 4.0 had less to say.
	want = Status{UID: 2, GID: 6, UIDs: [4]uint32{1, 2, 3, 4}, GIDs: [4]uint32{5, 6, 7, 8}, Bounding: 1, Filters: -1}
	if got, err := ParseStatus("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapBnd:\t0000000000000001\n"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"Tgid:\t5\nNSpid:\t5\nSeccomp:\t0\n", strings.Repeat("Uid:\t1\t1\t1\t1\n", 3), strings.Replace(text, "\t70", "\tx", 1), strings.Replace(text, "Seccomp:\t2\n", "Seccomp:\t99999999999999999999\n", 1), strings.Replace(text, " 24 ", " x ", 1), "", "Uid:\t1\t2\t3\t4\n", "Uid:\tx\tx\tx\tx\nGid:\t1\t1\t1\t1\nCapBnd:\t0\n", "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nCapBnd:\tz\n"} {
		if got, err := ParseStatus(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapBnd:\t0\n")
	f.Add("Name:\tx\nTgid:\t5\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t5\t70\nCapBnd:\t1\nNoNewPrivs:\t1\nSeccomp:\t2\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStatus(text)
		if err != nil {
			if !reflect.DeepEqual(s, Status{}) {
				t.Errorf("%q: %+v besides an error", text, s)
			}
			return
		}
		for _, name := range []string{"Uid:", "Gid:", "CapBnd:"} {
			if !strings.HasPrefix(text, name) && !strings.Contains(text, "\n"+name) {
				t.Errorf("%q: %+v without %s", text, s, name)
			}
		}
	})
}
