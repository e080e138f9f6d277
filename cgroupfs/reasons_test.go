package cgroupfs

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
)

// Beside the errno an error has a reason: its own, or that of the errno.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want []error
	}{
		{&Error{Err: unix.ENODEV}, []error{unix.ENODEV, ErrGone, fs.ErrNotExist}},
		{&Error{Err: unix.ESRCH}, []error{unix.ESRCH, ErrGone, fs.ErrNotExist}},
		{&Error{Err: fs.ErrNotExist}, []error{ErrGone}},
		{&Error{Err: unix.EROFS}, []error{ErrReadOnly, ErrPermission}},
		{&Error{Err: unix.EPERM, Reason: ErrOwned}, []error{unix.EPERM, fs.ErrPermission, ErrOwned}},
		{&Error{Err: unix.EACCES, Reason: ErrNotDelegated}, []error{ErrNotDelegated, ErrPermission}},
		{&Error{Err: late{unix.ETIMEDOUT}}, []error{ErrBusy, unix.ETIMEDOUT, context.DeadlineExceeded}},
		{&Error{Err: unix.EBUSY, Reason: ErrFrozen}, []error{ErrFrozen, ErrBusy}},
		{&Error{Err: unix.EXDEV}, []error{ErrOutside}},
		{&Error{Err: unix.EAGAIN}, []error{ErrLimit}},
		{&Error{Err: unix.EINVAL}, []error{ErrValue}},
		{&Error{Err: unix.EOPNOTSUPP}, []error{ErrUnsupported}},
	} {
		for _, want := range c.want {
			if !errors.Is(c.err, want) {
				t.Errorf("%v is not %q", c.err, want)
			}
		}
	}
	// One reason, not two: who is owned by another lacks no right of ours.
	if err := error(&Error{Err: unix.EPERM, Reason: ErrOwned}); errors.Is(err, ErrPermission) {
		t.Errorf("%v is called a missing right", err)
	}
	if err := error(&Error{Err: context.Canceled}); errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What is wrong usage is that in all packages, and other refusals of words are not.
func TestUsage(t *testing.T) {
	for name, try := range map[string]func() error{
		"a path":    func() error { _, err := ParseGroupPath("/a/../b"); return err },
		"a size":    func() error { _, err := keys.ParseSize("lots"); return err },
		"a setting": func() error { _, err := keys.ParseSetting("memory.max"); return err },
		"a device":  func() error { _, err := ParseDevice("//"); return err },
	} {
		if err := try(); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := keys.NoLimit("cgroup.procs"); !errors.Is(err, ErrNoLimit) || !errors.Is(err, unix.EPERM) || errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
	_, err := keys.Translate(keys.TranslateOptions{To: 1}, keys.Setting{Key: "memory.swap.max", Value: "1G"})
	if err == nil || errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
}
