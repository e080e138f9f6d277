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

// Two profiles: one that keeps a target from a file, with what a name may have,
// and one that lets nobody change to another.
const (
	boxProfile    = "nsx-test box (1)"
	narrowProfile = "nsx-test-narrow"
	profiles      = `
profile "nsx-test box (1)" flags=(attach_disconnected) {
  /{,**} mrwlkix,
  deny /**/secret r,
  capability, network, signal, ptrace, unix, mount, umount, pivot_root,
}
profile nsx-test-narrow flags=(attach_disconnected) {
  /{,**} mrwlkix,
  capability, network, signal, ptrace, unix, mount, umount, pivot_root,
}
`
)

// loadProfiles gives AppArmor the test's profiles, until it ends.
func loadProfiles(t *testing.T) {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireAppArmor(t)
	parser := testkit.RequireProgram(t, "apparmor_parser")
	parse := func(what string) {
		cmd := exec.Command(parser, what, "--skip-cache", "--quiet")
		cmd.Stdin = strings.NewReader(profiles)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
	parse("--replace")
	t.Cleanup(func() { parse("--remove") })
}

// confined is a command that starts under the profile.
func confined(profile, name string, args ...string) *exec.Cmd {
	const script = `printf "exec %s" "$0" >/proc/self/attr/apparmor/exec && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, profile, name}, args...)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

// confinedTarget starts a process under boxProfile, in a mount namespace of its
// own, without new privileges if asked.
func confinedTarget(t *testing.T, noNewPrivs bool) string {
	t.Helper()
	testkit.RequireProgram(t, "setpriv")
	words := []string{"setpriv"}
	if noNewPrivs {
		words = append(words, "--no-new-privs")
	}
	words = append(words, "sleep", "60")
	cmd := confined(boxProfile, words[0], words[1:]...)
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid := strconv.Itoa(cmd.Process.Pid)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		switch {
		case err == nil && string(comm) == "sleep\n":
			if got := ownLabel(t, pid); got != boxProfile+" (enforce)" {
				t.Fatalf("the target is %q", got)
			}
			return pid
		case err != nil || time.Now().After(deadline):
			t.Fatalf("the target is %q after 20 s: %v", comm, err)
		}
	}
}

func ownLabel(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/attr/apparmor/current")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(text), "\x00\n")
}

// A command that is the target's code has the target's profile, and what that
// denies is denied to it.
func TestAppArmor(t *testing.T) {
	loadProfiles(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("told\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, nnp := range []bool{false, true} {
		pid := confinedTarget(t, nnp)
		try := func(o Options, types []inspect.Type, file string) (string, error) {
			target := resolve(t, pid)
			requests := AllOf(target)
			if types != nil {
				requests = nil
				for _, typ := range types {
					requests = append(requests, Request{typ, target})
				}
			}
			plan, err := NewPlan(t.Context(), requests, o)
			if err != nil {
				t.Fatal(err)
			}
			defer plan.Close()
			return output(t, Command(plan, "cat", file))
		}
		const current = "/proc/self/attr/apparmor/current"
		unconfined := ownLabel(t, "self") + "\n"
		for _, c := range []struct {
			name    string
			options Options
			types   []inspect.Type
			label   string
			mayTell bool
		}{
			{"by default", Options{}, nil, boxProfile + " (enforce)\n", false},
			{"privileged", Options{Privileged: true}, nil, unconfined, true},
			{"with its own programs", Options{}, []inspect.Type{inspect.UTS}, unconfined, true},
		} {
			name := fmt.Sprintf("%s, no_new_privs %t: ", c.name, nnp)
			if got, err := try(c.options, c.types, current); err != nil || got != c.label {
				t.Errorf("%sthe command is %q, want %q: %v", name, got, c.label, err)
			}
			got, err := try(c.options, c.types, secret)
			if told := err == nil && got == "told\n"; told != c.mayTell {
				t.Errorf("%sthe secret: %q, %v", name, got, err)
			}
			if !c.mayTell && !strings.Contains(got, "Permission denied") {
				t.Errorf("%sthe secret: %q, want EACCES", name, got)
			}
		}
	}
}

func TestParseLabel(t *testing.T) {
	const apparmor, either = "attr/apparmor/", "attr/"
	for _, c := range []struct{ dir, text, shown, want string }{
		{apparmor, "docker-default (enforce)\n", "docker-default (enforce)", "exec docker-default"},
		{either, "docker-default (complain)\n", "docker-default (complain)", "exec docker-default"},
		{apparmor, "/opt/app (old)/run (enforce)", "/opt/app (old)/run (enforce)", "exec /opt/app (old)/run"},
		{apparmor, "kernel-tool (unconfined)", "kernel-tool (unconfined)", "exec kernel-tool"},
		{apparmor, "bare\x00", "bare", "exec bare"},
		{either, "system_u:system_r:container_t:s0:c1,c2\x00", "system_u:system_r:container_t:s0:c1,c2", "system_u:system_r:container_t:s0:c1,c2"},
		{apparmor, "unconfined\n", "", ""},
		{either, "kernel\x00", "", ""},
		{either, "", "", ""},
	} {
		l := parseLabel(c.dir, c.text)
		want := label{c.dir + "current", c.shown, "/proc/self/" + c.dir + "exec", c.want}
		if c.want == "" && l != nil || c.want != "" && (l == nil || *l != want) {
			t.Errorf("%q: %v, want %v", c.text, l, want)
		}
	}
}

// A profile that cannot be taken on is an error, never a command without it.
func TestAppArmorRefuses(t *testing.T) {
	loadProfiles(t)
	pid := confinedTarget(t, false)
	part := playPart("accompany", pid, "cat", "/proc/self/attr/apparmor/current")
	cmd := confined(narrowProfile, part.Path, part.Args[1:]...)
	cmd.Env = part.Env
	out, err := cmd.CombinedOutput()
	text := string(out)
	if cmd.ProcessState.ExitCode() != 125 || !strings.Contains(text, "(EACCES)") || !strings.Contains(text, boxProfile) ||
		!strings.Contains(text, narrowProfile) || !strings.Contains(text, "change_profile") {
		t.Errorf("from under a profile without change_profile: %v: %s", err, text)
	}

	// The profile is unloaded between the look at it and the start.
	plan := planFor(t, pid)
	if plan.rights == nil || plan.rights.label == nil {
		t.Fatalf("no label in the plan: %s", plan)
	}
	plan.rights.label = parseLabel("attr/apparmor/", "nsx-test-gone (enforce)")
	text, err = output(t, Command(plan, "true"))
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "nsx-test-gone") || !strings.Contains(err.Error(), "no such profile") {
		t.Errorf("a profile that is gone: %v: %s", err, text)
	}
}

// The label is looked at from outside, like all else, before the command runs.
func TestAppArmorIsProved(t *testing.T) {
	loadProfiles(t)
	plan := planFor(t, confinedTarget(t, false))
	if plan.rights == nil || plan.rights.label == nil {
		t.Fatalf("no label in the plan: %s", plan)
	}
	plan.rights.label.text = "exec " + narrowProfile // as a kernel would that does not do as it says
	if text, err := output(t, Command(plan, "true")); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), `its label is "`+narrowProfile) {
		t.Errorf("%v: %s", err, text)
	}
}
