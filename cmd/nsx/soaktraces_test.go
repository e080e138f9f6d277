package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
)

// soakGroup is the group below which all groups of this process's soak are.
func soakGroup() string { return fmt.Sprintf("/nsx-test-soak-%d", os.Getpid()) }

// checkTraces fails the test if at its end there are groups, mounts or orphans
// that were not there before. Descriptors and children are testkit's to check.
func (v *visit) checkTraces() {
	before := traces(v.T)
	v.Cleanup(func() {
		v.reapOrphans()
		for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			left := slices.DeleteFunc(traces(v.T), func(trace string) bool { return slices.Contains(before, trace) })
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				v.Errorf("left behind: %q", left)
				return
			}
		}
	})
}

// traces lists our groups, and the mounts in directories of this test.
func traces(t *testing.T) []string {
	var list []string
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err == nil {
		for _, h := range fs.Hierarchies() {
			if dir := h.Dir(soakGroup()); exists(dir) {
				list = append(list, dir)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.Contains(fields[4], "TestSoak") {
			list = append(list, line)
		}
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// reapOrphans reaps the dead whose parents died before they could. There must
// be no child left that somebody waits for.
func (v *visit) reapOrphans() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return
		}
		v.Orphans++
	}
}

// removeSoakGroups kills and removes all of our groups.
func removeSoakGroups(t *testing.T) {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return
	}
	group, err := fs.Group(soakGroup())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range fs.Hierarchies() {
		// The freezer of v1 keeps from dying who is in there.
		_ = filepath.WalkDir(h.Dir(soakGroup()), func(path string, d os.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				_ = os.WriteFile(filepath.Join(path, "freezer.state"), []byte("THAWED"), 0)
			}
			return nil
		})
	}
	if group.Exists() {
		if err := group.Kill(t.Context()); err != nil {
			t.Logf("killing what is left: %v", err)
		}
		if err := group.Remove(t.Context(), true); err != nil {
			t.Errorf("removing what is left: %v", err)
		}
	}
}
