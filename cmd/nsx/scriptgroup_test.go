package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

var groupNumber atomic.Int32

// nameGroup names a cgroup of the script's own, without making it:
//
//	group demo
//
// makes $demo its path and $demo_v2, $demo_memory and so on its directory in
// the hierarchy that each controller is on. At the script's end it is killed
// and removed with all below it, and what was enabled for it in the root is
// disabled.
func nameGroup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: group NAME")
	}
	testkit.RequireRoot(ts.Value(tbKey{}).(testing.TB))
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	ts.Check(err)
	// Other scripts run at the same time.
	name := fmt.Sprintf("/nsx-test-cli-%d-%d-%s", os.Getpid(), groupNumber.Add(1), args[0])
	ts.Setenv(args[0], name)
	before := enabledForAll(fs)
	for _, h := range fs.Hierarchies() {
		for _, controller := range h.Controllers {
			ts.Setenv(args[0]+"_"+controller, h.Dir(name))
		}
		if h.Version == 2 {
			ts.Setenv(args[0]+"_v2", h.Dir(name))
		}
	}
	ts.Defer(func() {
		group, err := fs.Group(name)
		ts.Check(err)
		group = group.Forced()
		there, err := group.Exists()
		ts.Check(err)
		if there {
			_ = group.Thaw(context.Background())
			ts.Check(group.Kill(context.Background()))
			ts.Check(group.Remove(context.Background(), true))
		}
		for _, controller := range enabledForAll(fs) {
			if !slices.Contains(before, controller) {
				// Refused if others use it by now.
				_ = os.WriteFile(controlFile(fs), []byte("-"+controller), 0)
			}
		}
	})
}

// versionHas says whether a hierarchy of that version is mounted and, if a
// controller is named, whether that is on it.
func versionHas(version, controller string) (bool, error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(fs.Hierarchies(), func(h cgroupfs.Hierarchy) bool {
		return strconv.Itoa(h.Version) == version && (controller == "" || slices.Contains(h.Controllers, controller))
	}), nil
}

// controlFile is the file that enables controllers for all groups of v2, or
// empty.
func controlFile(fs *cgroupfs.FS) string {
	for _, h := range fs.Hierarchies() {
		if h.Version == 2 {
			return filepath.Join(h.Mount, "cgroup.subtree_control")
		}
	}
	return ""
}

func enabledForAll(fs *cgroupfs.FS) []string {
	text, _ := os.ReadFile(controlFile(fs))
	return strings.Fields(string(text))
}

// copyNSX makes $NSX a copy of nsx that other users may execute: the scripts'
// own lies in a directory of root's.
func copyNSX(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: copynsx")
	}
	dir, err := os.MkdirTemp("/tmp", "nsx-test-")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o755))
	from, err := os.Open("/proc/self/exe")
	ts.Check(err)
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "nsx"), os.O_CREATE|os.O_WRONLY, 0o755)
	ts.Check(err)
	_, err = io.Copy(to, from)
	ts.Check(err)
	ts.Check(to.Close())
	ts.Setenv("NSX", to.Name())
}

// workload is a program that uses something up, for the scripts:
//
//	workload spin 1s     computes for that time and prints the processor time it got, in ms
//	workload allocate 64 touches so many MiB and prints "allocated"
//	workload fork 20     starts so many children and prints how many it could, and why not more
//	workload threads 3   prints its own threads, one a line, and lives for a minute
//
// Nothing of it lives longer than a minute.
func workload() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: workload KIND AMOUNT")
		os.Exit(2)
	}
	time.AfterFunc(time.Minute, func() { os.Exit(3) })
	n := 0
	_, _ = fmt.Sscan(os.Args[2], &n) // spin has a time there
	switch os.Args[1] {
	case "spin":
		spin(os.Args[2])
	case "allocate":
		all := make([][]byte, n)
		for i := range all {
			all[i] = make([]byte, 1<<20)
			for j := 0; j < len(all[i]); j += 4096 {
				all[i][j] = 1
			}
		}
		fmt.Println("allocated", len(all))
	case "fork":
		fork(n)
	case "threads":
		threads(n)
	}
}

func spin(word string) {
	span, err := time.ParseDuration(word)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for end := time.Now().Add(span); time.Now().Before(end); {
		continue
	}
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	fmt.Println((used.Utime.Nano() + used.Stime.Nano()) / 1e6)
}

func fork(n int) {
	for i := range n {
		cmd := exec.Command("sleep", "30")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			fmt.Println("forks:", i, err)
			return
		}
	}
	fmt.Println("forks:", n)
}

func threads(n int) {
	for range n {
		go func() { _ = syscall.Pause() }()
	}
	time.Sleep(100 * time.Millisecond)
	entries, _ := os.ReadDir("/proc/self/task")
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	time.Sleep(time.Minute)
}
