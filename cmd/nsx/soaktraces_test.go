package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

// soakGroup is the group below which all groups of this process's soak are.
func soakGroup() string { return fmt.Sprintf("/nsx-test-soak-%d", os.Getpid()) }

// checkTraces fails the test if at its end there are groups or mounts that were
// not there before, or children that live on. Descriptors are testkit's to check.
func (v *visit) checkTraces() {
	before := traces(v.T)
	v.Cleanup(func() {
		for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			v.reapOrphans()
			left := slices.DeleteFunc(traces(v.T), func(trace string) bool { return slices.Contains(before, trace) })
			if len(left) == 0 && len(testkit.Children()) == 0 {
				return
			}
			if time.Now().After(deadline) {
				v.Errorf("left behind: %q, processes %v", left, testkit.Children())
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

// reapInside reaps what an nsx that was killed has left in the target's PID
// namespace: the child that became, or was to become, the command. That is
// ours, since we adopt orphans, and it has to be dead, as nsx is: PDEATHSIG.
//
// A PID namespace ends only when all in it are reaped (zap_pid_ns_processes in
// kernel/pid_namespace.c): its init, the target, would wait for us, and we for
// the target. Elsewhere process 1 or a user's service manager reaps them.
func (v *visit) reapInside(p *testkit.Proc) {
	pidns := p.NS("pid")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		living := 0
		for _, pid := range testkit.Children() {
			inode, err := testkit.ReadNS(fmt.Sprintf("/proc/%d/ns/pid", pid))
			if pid == p.PID || err != nil || inode != pidns {
				continue
			}
			if dead, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && dead == pid {
				v.Orphans++
			} else {
				living = pid
			}
		}
		if living == 0 {
			return
		}
		if time.Now().After(deadline) {
			v.Fatalf("nsx is gone, and process %d in the target lives on", living)
		}
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second) // also for cleanups
	defer cancel()
	if there, _ := group.Exists(); there {
		if err := group.Kill(ctx); err != nil {
			t.Logf("killing what is left: %v", err)
		}
		if err := group.Remove(ctx, true); err != nil {
			t.Errorf("removing what is left: %v", err)
		}
	}
}
