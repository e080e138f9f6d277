package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// stream makes the lines of go test -json: the Go package, the test, what
// happens, and the output if any.
func stream(t *testing.T, events ...[3]string) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		name, action, output := e[0], e[1], e[2]
		line, err := json.Marshal(event{Action: action, Package: "nsx/a", Test: name, Output: output})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		failed         bool
	}{
		{"passed", stream(
			t,
			[3]string{"TestA", "run", ""},
			[3]string{"TestA", "output", "=== RUN   TestA\n"},
			[3]string{"TestA", "output", "    a_test.go:1: chatter\n"},
			[3]string{"TestA", "output", "--- PASS: TestA (0.00s)\n"},
			[3]string{"TestA", "pass", ""},
			[3]string{"", "output", "PASS\n"},
			[3]string{"", "output", "ok  \tnsx/a\t0.1s\n"},
			[3]string{"", "pass", ""},
		), "ok  \tnsx/a\t0.1s\n", false},
		{"skipped", stream(
			t,
			[3]string{"TestA", "output", "=== RUN   TestA\n"},
			[3]string{"TestA", "output", "    a_test.go:1: needs root: this is uid 1\n"},
			[3]string{"TestA", "output", "--- SKIP: TestA (0.00s)\n"},
			[3]string{"TestA", "skip", ""},
			[3]string{"TestB/sub", "output", "    b_test.go:22: needs root: this is uid 1\n"},
			[3]string{"TestB/sub", "skip", ""},
			[3]string{"TestC", "skip", ""},
			[3]string{"", "output", "ok  \tnsx/a\t0.1s\n"},
		), "skipped 2 of nsx/a: needs root: this is uid 1 (TestA, TestB/sub)\n" +
			"skipped 1 of nsx/a: no reason given (TestC)\n" +
			"ok  \tnsx/a\t0.1s\n", false},
		{"failed", stream(
			t,
			[3]string{"TestA", "output", "=== RUN   TestA\n"},
			[3]string{"TestA", "output", "    a_test.go:1: wrong\n"},
			[3]string{"TestA", "output", "--- FAIL: TestA (0.00s)\n"},
			[3]string{"TestA", "fail", ""},
			[3]string{"", "output", "FAIL\n"},
			[3]string{"", "output", "FAIL\tnsx/a\t0.1s\n"},
			[3]string{"", "fail", ""},
		), "    a_test.go:1: wrong\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\tnsx/a\t0.1s\n", true},
		{"crashed", stream(
			t,
			[3]string{"TestA", "output", "=== RUN   TestA\n"},
			[3]string{"TestA", "output", "panic: oh\n"},
			[3]string{"", "output", "FAIL\tnsx/a\t0.1s\n"},
			[3]string{"", "fail", ""},
		), "panic: oh\nFAIL\tnsx/a\t0.1s\n", true},
		{"left something behind", stream(
			t,
			[3]string{"", "output", "testkit: the tests left something behind:\n"},
			[3]string{"", "output", "FAIL\tnsx/a\t0.1s\n"},
			[3]string{"", "fail", ""},
		), "testkit: the tests left something behind:\nFAIL\tnsx/a\t0.1s\n", true},
		{"did not compile", stream(
			t,
			[3]string{"", "build-output", "a.go:1:1: expected 'package'\n"},
			[3]string{"", "build-fail", ""},
		), "a.go:1:1: expected 'package'\n", true},
		{"not JSON", "go: cannot find main module\n", "go: cannot find main module\n", false},
	} {
		var got strings.Builder
		err := report(strings.NewReader(c.in), &got)
		if got.String() != c.want {
			t.Errorf("%s prints\n%s\nwant\n%s", c.name, got.String(), c.want)
		}
		if errors.Is(err, errFailed) != c.failed || err != nil && !c.failed {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}
