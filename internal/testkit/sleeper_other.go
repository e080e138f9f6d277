//go:build !amd64 && !arm64

package testkit

// newSleeper has no program for this architecture.
func newSleeper() (fd int, err error) { return -1, nil }
