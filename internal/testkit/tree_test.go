package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	CheckLeaks(t)
	root := TreeTxtar(t, "-- 7/comm --\nseven\n-- 7/ns/net -> net:[4026531840] --\n-- 7/fd/ --\n-- 7/cmdline (fifo) --\n-- 7/environ (unreadable) --\nA=b\n")
	if got, err := os.ReadFile(filepath.Join(root, "7/comm")); string(got) != "seven\n" {
		t.Errorf("comm %q, %v", got, err)
	}
	if got, err := ReadNS(filepath.Join(root, "7/ns/net")); got != 4026531840 {
		t.Errorf("net %d, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(root, "7/fd")); err != nil || !info.IsDir() {
		t.Errorf("fd: %v", err)
	}
	if !ReadBlocks(t, filepath.Join(root, "7/cmdline"), 50*time.Millisecond) {
		t.Error("reading the FIFO does not block")
	}
	if ReadBlocks(t, filepath.Join(root, "7/comm"), 10*time.Second) {
		t.Error("reading a plain file blocks")
	}
	if _, err := os.ReadFile(filepath.Join(root, "7/environ")); os.Geteuid() != 0 && !errors.Is(err, os.ErrPermission) {
		t.Errorf("environ: %v", err)
	}
}

func TestProcTree(t *testing.T) {
	CheckLeaks(t)
	proc := ProcTree(t,
		FakeProcess{PID: 1, Comm: "init"},
		FakeProcess{
			PID: 40, PPID: 1, Comm: "a) b", UID: 7, NS: map[string]uint64{"net": 4026539999, "time": 0},
			Threads: []FakeThread{{TID: 41, NS: map[string]uint64{"uts": 4026538888}}},
			Extra:   map[string]string{"cmdline (fifo)": "", "ns/mnt -> mnt:[1]": ""},
		},
		FakeProcess{PID: 50, State: 'Z'},
	)
	if state, err := stateOf(proc + "/40/stat"); state != 'S' {
		t.Errorf("state %c, %v", state, err)
	}
	for path, want := range map[string]uint64{
		"/1/ns/net": InitNS["net"], "/40/ns/net": 4026539999, "/40/ns/mnt": 1, "/40/ns/time": 0,
		"/40/task/41/ns/uts": 4026538888, "/40/task/41/ns/net": 4026539999, "/40/task/40/ns/uts": InitNS["uts"],
		"/50/ns/user": InitNS["user"], "/50/ns/net": 0, "/40/ns/pid_for_children": InitNS["pid"],
	} {
		got, err := ReadNS(proc + path)
		if got != want || (want == 0) != errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %d, %v, want %d", path, got, err, want)
		}
	}
	if got, _ := os.ReadFile(proc + "/40/status"); !strings.Contains(string(got), "\nUid:\t7\t7\t7\t7\n") {
		t.Errorf("status: %s", got)
	}
	if !ReadBlocks(t, proc+"/40/cmdline", 50*time.Millisecond) {
		t.Error("cmdline is no FIFO")
	}
	// A fake stat has as many fields as the kernel's.
	fake, _ := os.ReadFile(proc + "/1/stat")
	real, _ := os.ReadFile("/proc/self/stat")
	if a, b := len(strings.Fields(string(fake))), strings.Count(string(real[strings.LastIndex(string(real), ")"):]), " ")+2; a != b {
		t.Errorf("%d fields, the kernel's has %d", a, b)
	}
}
