package inspect

import (
	"os"
	"testing"
)

func TestParseStatus(t *testing.T) {
	text := "Name:\tx\nTgid:\t5\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t5\t70\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	want := Status{PID: 5, UID: 2, GID: 6, NSPID: 70, Bounding: 0xa80425fb, NoNewPrivs: true, Seccomp: 2}
	if got, err := parseStatus(text); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"", "Uid:\t1\t2\t3\t4\n", "Uid:\tx\tx\tx\tx\nGid:\t1\t1\t1\t1\nCapBnd:\t0\n", "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nCapBnd:\tz\n"} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

func TestStatusOfSelf(t *testing.T) {
	got, err := resolve(t, "self").Status()
	if err != nil || got.PID != os.Getpid() || got.UID != uint32(os.Geteuid()) || got.GID != uint32(os.Getegid()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapBnd:\t0\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseStatus(text) })
}
