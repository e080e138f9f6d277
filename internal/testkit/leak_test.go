package testkit

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestLeaksAreSeen(t *testing.T) {
	CheckLeaks(t)
	before := takeSnapshot()
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() { <-stop }()
	h, err := launch{role: "fixture", spec: order{}}.start()
	if err != nil {
		t.Fatal(err)
	}
	leaks := strings.Join(before.added(takeSnapshot()), "\n")
	for _, want := range []string{"/dev/null", "TestLeaksAreSeen", "child process"} {
		if !strings.Contains(leaks, want) {
			t.Errorf("%s not reported: %s", want, leaks)
		}
	}
	f.Close()
	close(stop)
	h.kill(0)
	if leaks := before.leaks(); len(leaks) > 0 {
		t.Errorf("all cleaned up, yet: %s", leaks)
	}
}

func TestGates(t *testing.T) {
	for _, gate := range []func(testing.TB){
		func(t testing.TB) { RequireProgram(t, "no-such-program") },
		func(t testing.TB) { RequireCgroup1(t, "no-such-controller") },
		func(t testing.TB) { RequireNS(t, "bogus") },
		func(t testing.TB) { RequireKernel(t, 99, 0) },
	} {
		for _, env := range []string{"", "1", "user"} {
			t.Setenv(NoSkipEnv, env)
			rec := &recorder{TB: t}
			done := make(chan struct{})
			go func() { defer close(done); gate(rec) }()
			<-done
			if rec.failed != (env != "") || rec.skipped != (env == "") {
				t.Errorf("%s=%q: skipped %v, failed %v", NoSkipEnv, env, rec.skipped, rec.failed)
			}
		}
	}
}

// recorder notes what a gate decides.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Skipf(string, ...any)  { r.skipped = true; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }
