package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// Where a file server does not answer, the command never starts. A signal ends
// nsx all the same, within a moment and by that signal; what was to start the
// command cannot be killed, and ends when the server does.
func TestSignalBeforeStart(t *testing.T) {
	testkit.RequireRoot(t) // /dev/fuse may be root's alone
	testkit.RequireProgram(t, "nsenter")
	testkit.RequireNS(t, "mnt")
	dir := t.TempDir()
	p := testkit.Start(t, testkit.Config{New: []string{"mnt"}, Mode: testkit.DeadDir, Dir: dir})
	pid, dead, nsx := strconv.Itoa(p.PID), dir+"/dead/x", dir+"/nsx"
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, nsx)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"the target's":         {"enter", pid, "--", dead},
		"our own":              {"enter", "--uts", "self", "--", dead},
		"new namespaces":       {"run", "-u", "--", dead},
		"one of many":          {"foreach", "self", "--", dead},
		"one of many captured": {"foreach", "--prefix", "self", "--", dead},
		"the target's of many": {"foreach", "--prefix", pid, "--", dead},
	} {
		for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
			cmd := exec.Command(nsx, command...)
			if !strings.Contains(name, "target") { // the file system is in its mount namespace
				cmd = exec.Command("nsenter", append([]string{"-t", pid, "-m", "--", nsx}, command...)...)
			}
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
			cmd.WaitDelay = time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond) // it is still busy, or waits
			began := time.Now()
			_ = cmd.Process.Signal(sig)
			kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			kill.Stop()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if took := time.Since(began); !status.Signaled() || status.Signal() != sig || took > 3*time.Second {
				t.Errorf("%s, %v: %v after %v: %s", name, sig, cmd.ProcessState, took, &said)
			}
		}
	}
}

// The init of a PID namespace hears nothing that it does not catch. nsx hears it.
func TestSignalForInit(t *testing.T) {
	testkit.RequireNS(t, "user", "pid")
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		cmd := as("nsx", "run", "-Ur", "-p", "--", "cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		word := ""
		fmt.Fprintln(in, "ready")
		if _, err := fmt.Fscan(out, &word); err != nil {
			t.Error(err)
		}
		_ = cmd.Process.Signal(sig)
		_ = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
			t.Errorf("%v: %v", sig, cmd.ProcessState)
		}
	}
}
