package testkit

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ReapedLeader is the PID of a process that is gone, while its number lives on
// as that of its process group: pidfd_open(2) finds the number and no process.
func ReapedLeader(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strconv.Atoi(string(out[:max(0, len(out)-1)])); err != nil {
		t.Fatalf("no child: %q", out)
	}
	t.Cleanup(func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
	return cmd.Process.Pid
}
