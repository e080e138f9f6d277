package linux

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamespaceOfSelf(t *testing.T) {
	fd, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if typ, err := NSType(fd); err != nil || typ != unix.CLONE_NEWUSER {
		t.Errorf("NSType = %#x, %v; want CLONE_NEWUSER", typ, err)
	}
	if _, err := NSOwnerUID(fd); err != nil {
		t.Errorf("NSOwnerUID: %v", err)
	}
	if id, err := NSID(fd); err == nil && id == 0 {
		t.Error("NSID = 0")
	} else if err != nil && !errors.Is(err, unix.ENOTTY) {
		t.Errorf("NSID: %v; want an id, or ENOTTY from a kernel before 6.18", err)
	}
	if parent, err := NSParent(fd); err == nil {
		unix.Close(parent)
		t.Error("NSParent of our own user namespace succeeded: it is outside our view")
	} else if !errors.Is(err, unix.EPERM) {
		t.Errorf("NSParent: %v; want EPERM", err)
	}
}

func TestNoNamespace(t *testing.T) {
	fd, err := unix.Open("/proc/self/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := NSType(fd); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("NSType of a plain file: %v; want ENOTTY", err)
	}
}
