package testkit

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ReadBlocks says whether reading a file, to its end, is not done after d. It
// is a child process that reads, so that not even a wait in the kernel can
// hold up the test.
func ReadBlocks(t testing.TB, path string, d time.Duration) bool {
	t.Helper()
	h, err := launch{role: "reader", spec: path}.start()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	defer h.kill(0)
	var n int64
	err = h.answer(&n, d)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("testkit: read %s: %v", path, err)
	}
	return err != nil
}

// RequireStuck skips the test unless a fixture in mode Stuck can be made and
// really holds up those who read its cmdline.
func RequireStuck(t testing.TB, c Config) *Proc {
	t.Helper()
	c.Mode = Stuck
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) == unix.EACCES {
		RequireRoot(t)
	}
	p, err := start(c)
	if err != nil {
		skip(t, "needs a process whose memory cannot be read: %v", err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	wait := 200 * time.Millisecond
	if os.Getenv(SlowEnv) != "" {
		wait = 3 * time.Second
	}
	if !ReadBlocks(t, p.Path("cmdline"), wait) {
		skip(t, "needs a kernel on which reading cmdline can get stuck")
	}
	return p
}
