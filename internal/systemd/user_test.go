//go:build systemd

package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

// aliceID is the user for whom logind keeps a manager running (lingering).
const aliceID = "1000"

// asAlice runs a program as she does, who is logged in nowhere.
func asAlice(t *testing.T, argv ...string) testkit.Result {
	t.Helper()
	testkit.RequireOnlyCgroup2(t) // on v1 nothing is delegated to users
	t.Cleanup(func() {
		if t.Failed() {
			units := []string{"user@" + aliceID + ".service", "systemd-logind.service", "dbus.service"}
			out, _ := exec.Command("systemctl", append([]string{"--no-pager", "-n", "12", "status"}, units...)...).CombinedOutput()
			t.Logf("%s", out)
		}
	})
	waitFor(t, "alice's manager", func() bool {
		return try(t, "systemctl", "is-active", "--quiet", "user@"+aliceID+".service").Status == 0
	})
	words := []string{"setpriv", "--reuid", aliceID, "--regid", aliceID, "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/user/" + aliceID}
	return try(t, append(words, argv...)...)
}

// script is a file of shell commands that everybody may read; $group is the
// group that it runs in.
func script(t *testing.T, commands string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "nsxtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "commands")
	text := "set -e\ngroup=$(sed -n s/^0:://p /proc/self/cgroup)\n" + commands
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// userUnit runs commands in a service of alice's manager.
func userUnit(t *testing.T, name, property, commands string) testkit.Result {
	t.Helper()
	return asAlice(t, "systemd-run", "--user", "--quiet", "--collect", "--wait", "--pipe",
		"--unit="+name, "-p", property, "sh", script(t, commands))
}

// A user manager's units are found, with their names.
func TestUserUnits(t *testing.T) {
	const commands = "echo $group; nsx cgroup get $group memory.max; nsx cgroup limits self\n"
	r := userUnit(t, "nsxtest-mine.service", "MemoryMax=48M", commands)
	group, rest, _ := strings.Cut(r.Stdout, "\n")
	const manager = "/user.slice/user-1000.slice/user@1000.service"
	if r.Status != 0 || group != manager+"/app.slice/nsxtest-mine.service" || !strings.HasPrefix(rest, "50331648\n") {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(rest, group) {
		t.Errorf("its limits do not name its group: %s", rest)
	}
	if got := groups(t)[manager].Owner; got != "systemd unit user@1000.service" {
		t.Errorf("%s belongs to %q", manager, got)
	}
	if got := run(t, "loginctl", "show-user", aliceID, "-p", "Linger", "--value"); got != "yes" {
		t.Errorf("alice lingers: %q", got)
	}
}

// What her manager has delegated is the unit's own: it makes groups below itself
// without force. The manager leaves no mark on the group that would say so.
func TestUserDelegated(t *testing.T) {
	const work = `nsx cgroup create $group/main
nsx cgroup attach $group/main $$
nsx cgroup create $group/work --pids 5
nsx cgroup set $group/work --pids 6
nsx cgroup get $group/work pids.max
nsx cgroup run $group/work -- sed -n s/^0:://p /proc/self/cgroup
nsx cgroup rm -r $group/work
`
	r := userUnit(t, "nsxtest-own.service", "Delegate=yes", work)
	if r.Status != 0 || !strings.HasPrefix(r.Stdout, "6\n") || !strings.Contains(r.Stdout, "/nsxtest-own.service/work") {
		t.Errorf("in a service: %+v", r)
	}
	// Only from inside her manager's tree may she move a process into a scope.
	scope := "exec systemd-run --user --scope --quiet --collect -p Delegate=yes --unit=nsxtest-own.scope sh " + script(t, work)
	r = userUnit(t, "nsxtest-shell.service", "MemoryMax=48M", scope)
	if r.Status != 0 || !strings.Contains(r.Stdout, "/nsxtest-own.scope/work") {
		t.Errorf("in a scope: %+v", r)
	}
}

// What is not delegated is her manager's, also where the kernel would let her.
func TestUserOwned(t *testing.T) {
	r := userUnit(t, "nsxtest-mine.service", "MemoryMax=48M", "nsx cgroup set $group --memory 32M\n")
	if r.Status != 1 || !strings.Contains(r.Stderr, "EPERM") || !strings.Contains(r.Stderr, "systemctl --user set-property nsxtest-mine.service") {
		t.Errorf("%+v, want a refusal that names systemctl --user", r)
	}
}
