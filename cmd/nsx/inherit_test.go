package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/inherited"
	"nsx/internal/testkit"
)

// callerMain is a caller of nsx that ignores and blocks signals, two sets, and
// then executes the rest of its arguments.
func callerMain() {
	runtime.LockOSThread() // the mask is the thread's
	var ignored, blocked uint64
	_, err := fmt.Sscanf(os.Args[1]+" "+os.Args[2], "%x %x", &ignored, &blocked)
	path, pathErr := os.Executable()
	if err == nil && pathErr == nil {
		err = testkit.SetSignals(ignored, blocked)
	}
	panic(fmt.Sprint(err, pathErr, syscall.Exec(path, os.Args[3:], os.Environ())))
}

// What the caller ignores and blocks, the command does too, as over execve(2):
// our own program and the target's code alike.
func TestSignalsAreInherited(t *testing.T) {
	_, known := inherited.Known()
	testkit.Require(t, known, "needs a build without cgo: CGO_ENABLED=0")
	testkit.RequireNS(t, "user", "mnt", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "mnt", "net"}})
	pid := strconv.Itoa(p.PID)
	for _, c := range [][2]uint64{
		{0, 0},
		{testkit.AllSignals, testkit.AllSignals},
		{1 << (unix.SIGPIPE - 1), 1 << (unix.SIGTERM - 1)},
		{0x5555555555555555 & testkit.AllSignals, 0xaaaaaaaaaaaaaaaa & testkit.AllSignals},
	} {
		want := fmt.Sprintf("SigBlk:\t%016x\nSigIgn:\t%016x\n", c[1], c[0])
		for _, command := range [][]string{
			{"enter", pid},
			{"enter", "-t", pid, "-U", "-n"},
			{"enter", "--uts", "self"},
			{"run", "-Ur", "--pid"},
			{"foreach", "--no-headers", "self"},
			{"foreach", "--no-headers", pid},
		} {
			args := append([]string{fmt.Sprintf("%x", c[0]), fmt.Sprintf("%x", c[1]), "nsx"}, command...)
			cmd := as("nsx-test-caller", append(args, "--", "sed", "-nE", "/Sig(Ign|Blk)/p", "/proc/self/status")...)
			var said bytes.Buffer
			cmd.Stderr = &said
			got, err := cmd.Output()
			if err != nil || string(got) != want {
				t.Errorf("%s: %v %s: %q, want %q", strings.Join(command, " "), err, &said, got, want)
			}
		}
	}
}
