package cgroupfs

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/linux"
)

func TestParsePressure(t *testing.T) {
	p, err := ParsePressure("some avg10=1.50 avg60=0.00 avg300=0.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n")
	if err != nil || *p.Some != (PressureLine{1.5, 0, 0.25, 77}) || p.Full == nil || p.Full.TotalUsec != 5 {
		t.Errorf("%+v, %v", p, err)
	}
	// irq.pressure has no more.
	if p, err := ParsePressure("full avg10=0 avg60=0 avg300=0 total=5"); err != nil || p.Some != nil || p.Full.TotalUsec != 5 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{"", "some", "some avg10=x avg60=0 avg300=0 total=1"} {
		if p, err := ParsePressure(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, p)
		}
	}
}

// What was refused and what could not be undone are one line, and both found.
func TestTogether(t *testing.T) {
	refusal := &Error{Op: "set", Err: unix.EINVAL, Cause: "it is odd"}
	err := together(refusal, []error{unix.ENODEV, unix.EBUSY})
	refusedWith(t, err, unix.EINVAL, "it is odd", "not all could be put back: no such device, device or resource busy")
	if !errors.Is(err, unix.EBUSY) {
		t.Error("the second is lost")
	}
	if got := linux.ErrnoText(unix.EOPNOTSUPP); got != "operation not supported (EOPNOTSUPP)" {
		t.Error(got)
	}
	if got := together(refusal, nil); !errors.Is(got, error(refusal)) || got.Error() != refusal.Error() {
		t.Errorf("%v", got)
	}
}

// Device rules and disks are the machine's to know, not the package keys'.
func TestTranslateDevices(t *testing.T) {
	tr, err := Translate(keys.TranslateOptions{To: 1}, keys.Setting{Key: "devices.allow", Value: "/dev/null rw"})
	if err != nil || len(tr.Settings) != 1 || tr.Settings[0].Value != "c 1:3 rw" {
		t.Errorf("%+v, %v", tr, err)
	}
	_, err = Translate(keys.TranslateOptions{To: 2}, keys.Setting{Key: "devices.allow", Value: "x 1:3 rwm"})
	refusedWith(t, err, unix.EINVAL, "TYPE MAJOR:MINOR")
	_, err = Translate(keys.TranslateOptions{To: 2}, keys.Setting{Key: "io.max", Value: "no-such-disk rbps=1"})
	refusedWith(t, err, unix.ENODEV, "no block device of that name")
}
