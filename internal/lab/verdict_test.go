package main

import (
	"errors"
	"strings"
	"testing"
)

const sample = `=== PACKAGE cgroupfs
=== RUN   TestGood
--- PASS: TestGood (0.1s)
=== RUN   TestV1
    v1_test.go:26: needs the cgroup v1 hierarchy of memory to be mounted
--- SKIP: TestV1 (0.0s)
=== STATUS 0 after 1.0 s
NSX-EXIT 0
`

// A skip is excused only where the table says that the cell lacks it.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		version, layout string
		lacks           int
	}{{"6.1", "v2", 1}, {"6.1", "v1", 0}, {"6.1", "hybrid", 0}, {"6.12", "v1", 1}, {"7.2", "hybrid", 1}} {
		v := judge(cell{kernel: kernel{version: test.version}, layout: test.layout}, sample, nil)
		if v.passed != 1 || len(v.lacks) != test.lacks || len(v.failed) != 1-test.lacks || v.green() != (test.lacks == 1) {
			t.Errorf("%s %s: %+v", test.version, test.layout, v)
		}
	}
	c := cell{kernel: kernel{version: "6.1"}, layout: "v2"}
	if v := judge(c, strings.Replace(sample, "STATUS 0", "STATUS 1", 1), nil); v.green() || len(v.problems) != 1 {
		t.Errorf("a binary that failed without a failed test: %+v", v)
	}
	if v := judge(c, strings.Replace(sample, "PASS:", "FAIL:", 1), nil); v.green() || len(v.failed) != 1 {
		t.Errorf("a failed test: %+v", v)
	}
	older := strings.Replace(sample, "needs the cgroup v1 hierarchy of memory to be mounted", "needs Linux 6.6: this is 6.1.0 on amd64", 1)
	if v := judge(c, older, nil); !v.green() || len(v.lacks) != 1 {
		t.Errorf("6.1 lacks what 6.6 has: %+v", v)
	}
	if c := (cell{kernel: kernel{version: "6.12"}, layout: "v2"}); judge(c, older, nil).green() {
		t.Error("6.12 may lack what 6.6 has")
	}
	// What a test says first is why it failed.
	twice := strings.Replace(sample, "--- PASS", "    a_test.go:1: first\n    a_test.go:2: second\n--- FAIL", 1)
	if v := judge(c, twice, nil); len(v.failed) != 1 || v.failed[0] != "cgroupfs.TestGood: first" {
		t.Errorf("a test that said two things: %+v", v)
	}
	// Only a script whose name says so is for one version.
	for name, lacks := range map[string]int{"TestScripts/cgroup-set-v1": 1, "TestScripts/cgroup-set": 0} {
		if v := judge(c, strings.ReplaceAll(sample, "TestV1", name), nil); len(v.lacks) != lacks {
			t.Errorf("%s: %+v", name, v)
		}
	}
	// A script's log comes after the reason for its skip.
	logged := strings.Replace(sample, "--- SKIP", "    testscript.go:584: WORK=$WORK\n--- SKIP", 1)
	if v := judge(c, logged, nil); !v.green() {
		t.Errorf("a script was skipped: %+v", v)
	}
	if judge(c, "NSX-EXIT 0\n", nil).green() {
		t.Error("nothing ran, and the cell is green")
	}
}

// A machine is started again for what is the emulator's fault, and for nothing else.
func TestEmulatorsFault(t *testing.T) {
	const trap = "[  103.2] Oops: int3: 0000 [#1] SMP NOPTI\r\n[  103.3] Kernel panic - not syncing: Fatal exception in interrupt\r\n"
	early, middle := "=== BOOTED\n", "=== BOOTED\n=== RUN   TestGood\n--- PASS: TestGood (0.1s)\n=== RUN   TestNext\n"
	noEnd := errors.New("it did not come to its end")
	for name, c := range map[string]struct {
		log, console string
		err          error
		restarts     []string
		again        string // how the reason begins; "" if there is none
	}{
		"all went well":               {sample, "", nil, nil, ""},
		"a trap at boot":              {"", trap, noEnd, nil, "after 0 tests: "},
		"a trap in the middle":        {middle, trap, noEnd, nil, "after 1 tests: [  103.2] Oops: int3"},
		"as older kernels say it":     {middle, "int3: 0000 [#1] PREEMPT SMP\n", noEnd, nil, "after 1 tests: int3"},
		"another trap":                {middle, trap, noEnd, []string{"after 1 tests: x"}, "after 1 tests: "},
		"too many traps":              {middle, trap, noEnd, []string{"a", "b", "c"}, ""},
		"a trap after another oops":   {middle, strings.Replace("BUG: x [#1]\n"+trap, "int3: 0000 [#1]", "int3: 0000 [#2]", 1), noEnd, nil, ""},
		"another panic in the middle": {middle, "Kernel panic - not syncing: Attempted to kill init!\n", noEnd, nil, ""},
		"another panic at boot":       {early, "Kernel panic - not syncing: VFS\n", noEnd, nil, "before its first test: "},
		"another panic at boot again": {early, "Kernel panic - not syncing: VFS\n", noEnd, []string{"before its first test: x"}, ""},
		"tests that failed":           {sample, trap, noEnd, nil, ""},
	} {
		got := emulatorsFault(c.log, c.console, c.err, c.restarts)
		if (got == "") != (c.again == "") || !strings.HasPrefix(got, c.again) {
			t.Errorf("%s: %q", name, got)
		}
	}
	v := judge(cell{kernel: kernel{version: "6.1"}, layout: "v2"}, sample, nil)
	v.restarts = []string{"after 88 tests: int3"}
	if !v.green() || !strings.Contains(v.text(), "started again: after 88 tests: int3") {
		t.Errorf("%s", v.text())
	}
}
