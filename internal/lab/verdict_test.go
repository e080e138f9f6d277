package main

import (
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
