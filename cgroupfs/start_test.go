package cgroupfs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// A process started by somebody else is born in v2's group and admitted to
// v1's.
func TestAdmit(t *testing.T) {
	testkit.CheckLeaks(t)
	fs := openFS(t)
	testkit.RequireCgroup1(t, "memory")
	testkit.RequireCgroup1(t, "pids")
	v2Of(t, fs)
	g := made(t, fs, "memory", "pids")
	e, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if names := e.String(); strings.Count(names, g.Path()) != 3 {
		t.Errorf("entrance to %s", names)
	}
	cmd := helperCommand(t, "sleep")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(e.Dir().Fd())}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := e.Admit(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	for _, h := range g.Hierarchies() {
		if at := membershipIn(t, fs, cmd.Process.Pid, h); at != g.Path() {
			t.Errorf("%s: in %s", h, at)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	refusedWith(t, e.Admit(cmd.Process.Pid), unix.ESRCH, "the process is gone")
}

// The caller's own groups need no opening, and no rights.
func TestOpenOfOwnGroups(t *testing.T) {
	fs := openFS(t)
	own, err := fs.Memberships(0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := fs.OpenOf(own)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Dir() != nil || e.String() != "" {
		t.Errorf("opened %s", e)
	}
	if err := e.Admit(os.Getpid()); err != nil {
		t.Error(err)
	}
	cmd := exec.Command("/bin/true")
	if err := e.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOpenOfRefuses(t *testing.T) {
	fs := openFS(t)
	v2 := v2Of(t, fs)
	line := Membership{Hierarchy: v2.Number, Controllers: []string{}, Path: "/nsx-test-gone", Deleted: true}
	_, err := fs.OpenOf([]Membership{line})
	refusedWith(t, err, unix.ENOENT, "was removed")
	line.Deleted, line.Path = false, "/../x"
	_, err = fs.OpenOf([]Membership{line})
	refusedWith(t, err, unix.EXDEV, "outside of this cgroup namespace")
	line.Path = "/nsx-test-gone"
	_, err = fs.OpenOf([]Membership{line})
	refusedWith(t, err, unix.ENOENT, "the group is gone")
}

// What the kernel kills at birth is said, and Admit is the way in.
func TestStartInKilledGroup(t *testing.T) {
	fs := openFS(t)
	v2Of(t, fs)
	g := made(t, fs)
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "sleep")
	if err := g.Start(cmd); err != nil {
		if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), "killed once") {
			t.Fatal(err)
		}
	} else if err := g.Kill(t.Context()); err != nil || cmd.Wait() == nil {
		t.Error(err)
	}
	e, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := sleeper(t)
	if err := e.Admit(p.PID); err != nil {
		t.Fatal(err)
	}
	if at := membershipIn(t, fs, p.PID, *fs.v2()); at != g.Path() {
		t.Errorf("admitted to %s", at)
	}
}

// A thread of ours that cannot leave the group again does not end the command, which
// would take its end for its parent's.
func TestStartFromThreadThatStays(t *testing.T) {
	fs := openFS(t)
	testkit.RequireCgroup1(t, "pids")
	g := made(t, fs, "pids")
	e, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range e.doors { // the way back is wrong
		elsewhere := *e.doors[i].h
		elsewhere.Mount, elsewhere.others = t.TempDir(), nil
		e.doors[i].h = &elsewhere
	}
	cmd := helperCommand(t, "sleep")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := e.Start(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	var status unix.WaitStatus
	if got, err := unix.Wait4(cmd.Process.Pid, &status, unix.WNOHANG, nil); got != 0 || err != nil {
		t.Fatalf("it has ended: %v, %v", status.Signal(), err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// The thread goes, too, and the group can be removed.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := g.Remove(ctx, false); err != nil {
		t.Error(err)
	}
}
