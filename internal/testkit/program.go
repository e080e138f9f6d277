package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// Result is how a program ended. Status is -1 if a signal ended it.
type Result struct {
	Stdout, Stderr string
	Status         int
}

// Try runs a program, which is killed if it takes longer than patience, and says
// how it ended. It can be called in cleanups.
func Try(t testing.TB, patience time.Duration, argv ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A daemon may keep the descriptors; do not wait for it.
	cmd.WaitDelay = 2 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%q: %v", argv, err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Run is Try for a program that has to succeed, and returns what it prints.
func Run(t testing.TB, patience time.Duration, argv ...string) string {
	t.Helper()
	r := Try(t, patience, argv...)
	if r.Status != 0 {
		t.Fatalf("%q: status %d: %s%s", argv, r.Status, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Decode is Run for a program that prints JSON.
func Decode[T any](t testing.TB, patience time.Duration, argv ...string) (v T) {
	t.Helper()
	out := Run(t, patience, argv...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
	return v
}

// WaitFor looks for a state until it has come.
func WaitFor(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
