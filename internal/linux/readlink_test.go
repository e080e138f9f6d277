package linux

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadlinkat(t *testing.T) {
	dir, err := unix.Open("/proc/self", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	var want, got [64]byte
	n, err := unix.Readlinkat(dir, "ns/net", want[:])
	if err != nil {
		t.Fatal(err)
	}
	path := CString("ns/net")
	if m, err := Readlinkat(dir, path, got[:]); err != nil || m != n || got != want {
		t.Errorf("%q, %v; want %q", got[:m], err, want[:n])
	}
	if m, err := Readlinkat(dir, path, got[:3]); err != nil || m != 3 {
		t.Errorf("a short buffer: %d, %v", m, err)
	}
	if _, err := Readlinkat(dir, CString("ns/nothing"), got[:]); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no such link: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Readlinkat(dir, path, got[:]) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func TestCStringRefusesNUL(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	CString("a\x00b")
}
