package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

// frozenFile is a group's file that holds 1 if it is told to freeze.
func frozenFile(h cgroupfs.Hierarchy, group string) string {
	if h.Version == 2 {
		return filepath.Join(h.Dir(group), "cgroup.freeze")
	}
	return filepath.Join(h.Dir(group), "freezer.self_freezing")
}

// A signal in the middle of freeze or kill, whichever it is, leaves no group
// frozen. A process that does not stop makes the middle long.
func TestSignalsLeaveNothingFrozen(t *testing.T) {
	testkit.RequireRoot(t)
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stuck := testkit.RequireStuck(t, testkit.Config{})
	for _, h := range fs.Hierarchies() {
		if h.Version == 1 && strings.Join(h.Controllers, "") != "freezer" {
			continue
		}
		name := fmt.Sprintf("/nsx-test-signal-%d", os.Getpid())
		dir := h.Dir(name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer removeEmptied(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(stuck.PID)), 0); err != nil {
			t.Fatal(err)
		}
		file := frozenFile(h, name)
		for _, verb := range []string{"freeze", "kill"} {
			if verb == "kill" && h.Version == 2 {
				continue // by cgroup.kill, which freezes nobody
			}
			for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGKILL} {
				t.Run(fmt.Sprintf("v%d %s %s", h.Version, verb, unix.SignalName(sig)), func(t *testing.T) {
					endBySignal(t, sig, func() bool { return isOne(file) }, "cgroup", verb, name)
					testkit.WaitFor(t, 5*time.Second, "a group that is not told to freeze", func() bool { return !isOne(file) })
				})
			}
		}
	}
	stuck.Kill()
}

// endBySignal runs nsx, sends it a signal when the time has come, and looks that
// it dies of that.
func endBySignal(t *testing.T, sig syscall.Signal, when func() bool, args ...string) {
	t.Helper()
	cmd := exec.Command("nsx", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, 5*time.Second, "the middle of "+args[1], when)
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatalf("it had ended: %s", &stderr)
	}
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != sig {
		t.Errorf("%s after %s: %s", cmd.ProcessState, unix.SignalName(sig), &stderr)
	}
	if said := "interrupted by " + unix.SignalName(sig); sig != unix.SIGKILL && !strings.Contains(stderr.String(), said) {
		t.Errorf("it does not say %q: %s", said, &stderr)
	}
}

func isOne(file string) bool {
	text, err := os.ReadFile(file)
	return err == nil && string(text) == "1\n"
}

// removeEmptied removes a group whose last process is dying.
func removeEmptied(t *testing.T, dir string) {
	testkit.WaitFor(t, 5*time.Second, "an empty group", func() bool { return unix.Rmdir(dir) == nil })
}

// A signal between the making of a group and the start of the command that it is
// made for leaves no group: it comes as soon as the group is there, or a moment
// later. What the command has begun in stays, unless it is the command's own.
func TestSignalsLeaveNoGroup(t *testing.T) {
	testkit.RequireRoot(t)
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := fs.Controller("pids")
	testkit.Require(t, err == nil, "needs the controller pids")
	named := fmt.Sprintf("/nsx-test-signal-%d", os.Getpid())
	for name, c := range map[string]struct {
		args []string
		own  bool
	}{
		"run --cgroup":     {[]string{"run", "-n", "--cgroup", named, "--pids", "20", "--", "sleep", "30"}, false},
		"cgroup run PATH":  {[]string{"cgroup", "run", named, "--pids", "20", "--", "sleep", "30"}, false},
		"cgroup run":       {[]string{"cgroup", "run", "--pids", "20", "--", "sleep", "30"}, true},
		"cgroup run, long": {[]string{"cgroup", "run", "--pids", "20", "--", "sh", "-c", "trap 'sleep 0.1' INT TERM; sleep 0.1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 12 {
				sig := []syscall.Signal{unix.SIGINT, unix.SIGTERM}[i%2]
				cmd := exec.Command("nsx", c.args...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				group := named
				if c.own {
					group = fmt.Sprintf("/nsx-run-%d", cmd.Process.Pid)
				}
				there := func() bool { return unix.Access(h.Dir(group), unix.F_OK) == nil }
				for begun := time.Now(); !there(); {
					if time.Since(begun) > 5*time.Second {
						t.Fatalf("no group: %s", &stderr)
					}
				}
				time.Sleep(time.Duration(i/2) * 600 * time.Microsecond)
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatalf("it had ended: %s", &stderr)
				}
				_ = cmd.Wait()
				// A status of 128+N is the command's: it had begun.
				died := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
				if there() && (c.own || died) {
					t.Errorf("%s after %v: %s is left; %s; %s", unix.SignalName(sig), time.Duration(i/2)*600*time.Microsecond, group, cmd.ProcessState, &stderr)
				}
				for _, in := range fs.Hierarchies() {
					if err := unix.Rmdir(in.Dir(group)); err != nil && err != unix.ENOENT {
						removeEmptied(t, in.Dir(group))
					}
				}
			}
		})
	}
}
