package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// until asks again and again, at first often, whether something is done. It
// ends with done's error, or ctx's: it asks at least once, unless ctx is
// cancelled from the beginning.
func until(ctx context.Context, done func() (bool, error)) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if errors.Is(ctx.Err(), context.Canceled) {
			return ended(ctx)
		}
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits, or ends with ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-timer.C:
		return nil
	}
}

// bounded gives a context without a deadline one.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// interrupted is nil, or says that ctx has ended.
func interrupted(ctx context.Context, op string) error {
	if ctx.Err() == nil {
		return nil
	}
	return &Error{Op: op, Err: ended(ctx)}
}

// ended is why a context that has ended did so: errors.Is finds ctx.Err() in it.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// late is the errno of what was not done in time. errors.Is finds it, and
// context.DeadlineExceeded.
type late struct{ errno unix.Errno }

func (e late) Error() string   { return e.errno.Error() }
func (e late) Unwrap() []error { return []error{e.errno, context.DeadlineExceeded} }
