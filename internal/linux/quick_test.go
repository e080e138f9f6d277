package linux

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestQuick(t *testing.T) {
	for _, q := range []Quick{false, true} {
		dir, err := q.Openat(unix.AT_FDCWD, CString("/proc/self"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		var want, got [64]byte
		n, err := unix.Readlinkat(dir, "ns/net", want[:])
		if err != nil {
			t.Fatal(err)
		}
		path := CString("ns/net")
		if m, err := q.Readlinkat(dir, path, got[:]); err != nil || m != n || got != want {
			t.Errorf("%q, %v; want %q", got[:m], err, want[:n])
		}
		if m, err := q.Readlinkat(dir, path, got[:3]); err != nil || m != 3 {
			t.Errorf("a short buffer: %d, %v", m, err)
		}
		if _, err := q.Readlinkat(dir, CString("ns/nothing"), got[:]); !errors.Is(err, unix.ENOENT) {
			t.Errorf("no such link: %v", err)
		}
		if _, err := q.Openat(dir, CString("nothing"), unix.O_RDONLY); !errors.Is(err, unix.ENOENT) {
			t.Errorf("no such file: %v", err)
		}
		comm := CString("comm")
		read := func() {
			fd, err := q.Openat(dir, comm, unix.O_RDONLY|unix.O_CLOEXEC)
			if err != nil {
				t.Error(err)
			}
			if n, err = q.Read(fd, got[:]); err != nil {
				t.Error(err)
			}
			q.Close(fd)
			if _, err := q.Read(fd, got[:]); !errors.Is(err, unix.EBADF) {
				t.Errorf("after Close: %v", err)
			}
		}
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("it allocates %v times", n)
		}
		if name, err := os.ReadFile("/proc/self/comm"); string(got[:n]) != string(name) {
			t.Errorf("read %q, want %q, %v", got[:n], name, err)
		}
		q.Close(dir)
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
