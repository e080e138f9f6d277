package enter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/testkit"
)

// The types of the lab's policy (internal/lab/selinux.go).
const (
	boxContext    = "system_u:system_r:nsx_box_t:s0"
	narrowContext = "system_u:system_r:nsx_narrow_t:s0"
	secretContext = "system_u:object_r:nsx_secret_t:s0"
)

// inContext is a command that starts in a security context.
func inContext(context, name string, args ...string) *exec.Cmd {
	const script = `printf %s "$0" >/proc/self/attr/exec && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, context, name}, args...)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

func contextOf(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/attr/current")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(text), "\x00\n")
}

// targetInContext starts a process in boxContext, in a mount namespace of its own.
func targetInContext(t *testing.T, words ...string) string {
	t.Helper()
	words = append(words, "sleep", "60")
	cmd := inContext(boxContext, words[0], words[1:]...)
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid := strconv.Itoa(cmd.Process.Pid)
	testkit.WaitFor(t, 20*time.Second, "the target", func() bool {
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		return err == nil && string(comm) == "sleep\n"
	})
	if got := contextOf(t, pid); got != boxContext {
		t.Fatalf("the target is %q", got)
	}
	return pid
}

// A command that is the target's code has the target's context, and what the policy
// denies to that is denied to it.
func TestSELinux(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireSELinux(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("told\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(secret, "security.selinux", []byte(secretContext), 0); err != nil {
		t.Fatal(err)
	}
	pid := targetInContext(t)
	own := contextOf(t, "self")
	for _, c := range []struct {
		name    string
		options Options
		types   []inspect.Type
		context string
		mayTell bool
	}{
		{"by default", Options{}, nil, boxContext, false},
		{"privileged", Options{Privileged: true}, nil, own, true},
		{"with its own programs", Options{}, []inspect.Type{inspect.UTS}, own, true},
	} {
		try := func(file string) (string, error) {
			target := resolve(t, pid)
			requests := AllOf(target)
			if c.types != nil {
				requests = []Request{{c.types[0], target}}
			}
			plan, err := NewPlan(t.Context(), requests, c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer plan.Close()
			return output(t, Command(plan, "cat", file))
		}
		if got, err := try("/proc/self/attr/current"); err != nil || strings.TrimRight(got, "\x00\n") != c.context {
			t.Errorf("%s: the command is %q, want %q: %v", c.name, got, c.context, err)
		}
		got, err := try(secret)
		if told := err == nil && got == "told\n"; told != c.mayTell {
			t.Errorf("%s: the secret: %q, %v", c.name, got, err)
		}
		if !c.mayTell && !strings.Contains(got, "Permission denied") {
			t.Errorf("%s: the secret: %q, want EACCES", c.name, got)
		}
	}
}

// A context that cannot be had is an error that names it, never a command without it:
// from a context that may not start one in the target's, and under no_new_privs, which
// the policy lets nobody out of.
func TestSELinuxRefuses(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireSELinux(t)
	for _, c := range []struct {
		name string
		of   []string
		from string
	}{
		{"from a narrow context", nil, narrowContext},
		{"under no_new_privs", []string{"setpriv", "--no-new-privs"}, contextOf(t, "self")},
	} {
		pid := targetInContext(t, c.of...)
		part := playPart("accompany", pid, "cat", "/proc/self/attr/current")
		cmd := inContext(c.from, part.Path, part.Args[1:]...)
		cmd.Env = part.Env
		out, err := cmd.CombinedOutput()
		if text := string(out); cmd.ProcessState.ExitCode() != 125 || !strings.Contains(text, "SELinux's policy") || !strings.Contains(text, boxContext) {
			t.Errorf("%s: %v: %s", c.name, err, text)
		}
	}
	plan := planFor(t, targetInContext(t))
	if plan.rights == nil || plan.rights.label == nil {
		t.Fatalf("no label in the plan: %s", plan)
	}
	plan.rights.label.text = "system_u:system_r:nsx_gone_t:s0"
	text, err := output(t, Command(plan, "true"))
	if !errors.Is(err, unix.EINVAL) || !errors.Is(err, ErrLabel) || !strings.Contains(fmt.Sprint(err), "nsx_gone_t") {
		t.Errorf("a type that is not in the policy: %v: %s", err, text)
	}
}
