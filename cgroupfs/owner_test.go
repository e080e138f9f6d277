package cgroupfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
	"nsx/internal/words"
)

// What has to be written on the way counts: systemd takes away what somebody
// enables in its slices.
func TestAncestorsOfOthersAreGuarded(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{
		"proc/self/mountinfo":                             "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"proc/1/mountinfo":                                "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/cgroup.controllers":                "cpu cpuset io memory pids\n",
		"sys/fs/cgroup/cgroup.subtree_control":            "cpu memory pids\n",
		"sys/fs/cgroup/init.scope/cgroup.procs":           "1\n",
		"sys/fs/cgroup/user.slice/cgroup.controllers":     "cpu memory pids\n",
		"sys/fs/cgroup/user.slice/cgroup.subtree_control": "memory pids\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	g := &Group{fs: fs, path: "/user.slice/job"}
	if _, err := g.PlanCreate(t.Context(), CreateOptions{Controllers: []string{"memory"}}); err != nil {
		t.Errorf("what is enabled already is nobody's loss: %v", err)
	}
	_, err = g.PlanCreate(t.Context(), CreateOptions{Controllers: []string{"cpu"}})
	refusedWith(t, err, unix.EPERM, "enable cpu for the children of /user.slice", "systemd unit user.slice", "systemd-run --scope --slice=user.slice -p Delegate=yes")
	p, err := g.Forced().PlanCreate(t.Context(), CreateOptions{Controllers: []string{"cpu"}})
	if err != nil || !strings.Contains(strings.Join(p.Notes, "; "), "daemon-reload") {
		t.Errorf("by force: %+v, %v", p, err)
	}
	p, err = (&Group{fs: fs, path: "/job"}).PlanCreate(t.Context(), CreateOptions{Controllers: []string{"cpuset"}})
	if err != nil || !strings.Contains(strings.Join(p.Notes, "; "), "systemd may take cpuset away from the root") {
		t.Errorf("right below the root: %+v, %v", p, err)
	}
}

// A user's manager leaves no mark on what it delegates: there the group is the
// user's.
func TestDelegatedByUsersManager(t *testing.T) {
	testkit.RequireUser(t)
	root, uid := t.TempDir(), os.Geteuid()
	unit := fmt.Sprintf("/user.slice/user-%d.slice/user@%d.service/app.slice/run-1.scope", uid, uid)
	files := map[string]string{
		"proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"proc/1/mountinfo":    "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup" + unit + "/cgroup.subtree_control": "",
		"sys/fs/cgroup/cgroup.controllers":                 "cpu pids\n",
	}
	for _, at := range ancestors(unit)[1:] {
		files["sys/fs/cgroup"+at+"/cgroup.subtree_control"] = "pids\n"
	}
	for file, text := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if o := (&Group{fs: fs, path: unit + "/a"}).Owner(); o.Kind != "" {
		t.Errorf("below it: %s", o)
	}
	if o := (&Group{fs: fs, path: unit}).Owner(); o.Kind != "systemd" {
		t.Errorf("the unit itself: %s", o)
	}
	p, err := (&Group{fs: fs, path: unit + "/a"}).PlanCreate(t.Context(), CreateOptions{Controllers: []string{"pids"}})
	if err != nil || !strings.Contains(p.String(), unit+"/cgroup.subtree_control ← +pids") {
		t.Errorf("%v, %v", p, err)
	}
	// The slices are her systemd's.
	_, err = (&Group{fs: fs, path: unit + "/a"}).PlanCreate(t.Context(), CreateOptions{Controllers: []string{"cpu"}})
	refusedWith(t, err, unix.EPERM, "enable cpu for the children of ")
}

// Other users' systemd, and what they make below it, is theirs.
func TestOtherUsersGroups(t *testing.T) {
	fs := openFS(t)
	for path, want := range map[string]string{
		"/user.slice/user-4242.slice/user@4242.service/app.slice/mine": "the systemd of user 4242",
		"/user.slice/user-4242.slice/user@4242.service/app.slice":      "systemd unit app.slice",
		"/user.slice/user-4242.slice/user@4242.service":                "systemd unit user@4242.service",
	} {
		if o := (&Group{fs: fs, path: path}).Owner(); o.String() != want {
			t.Errorf("%s belongs to %s, want %s", path, o, want)
		}
	}
}

// The owner's command is pasted into a shell, and whoever may make a group chooses its
// name.
func TestOwnersCommandIsQuoted(t *testing.T) {
	const name = "a;$(id)'b"
	for _, kind := range []string{"systemd", "docker", "podman", "nerdctl", "cri-o", "containerd", "kubernetes", "lxc", "machine", "libvirt"} {
		for _, unit := range []string{name, name + ".service", name + ".slice"} {
			some := false
			for _, v := range []Verb{VerbSet, VerbCreate, VerbStart, VerbAttach, VerbLeave, VerbFreeze, VerbThaw, VerbKill, VerbRemove} {
				o := Owner{Kind: kind, Name: unit, namespace: "default"}
				command := o.CommandFor(v)
				some = some || command != ""
				if rest := strings.ReplaceAll(command, words.Shell(unit), ""); strings.ContainsAny(rest, ";$'") {
					t.Errorf("%s, %s: %s", kind, v, command)
				}
			}
			if !some {
				t.Errorf("%s has no commands", kind)
			}
		}
	}
}

// A refusal has the owner's command for that verb, and not one for another.
func TestOwnersCommandForTheVerb(t *testing.T) {
	fs := openFS(t)
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, tc := range []struct {
		path string
		verb Verb
		want string
	}{
		{"/docker/" + hex, VerbAttach, "docker exec 0123456789ab"},
		{"/lxc.payload.web", VerbAttach, "lxc-attach -n web"},
		{"/system.slice/nginx.service", VerbAttach, "systemd-run --scope -p Delegate=yes CMD"},
		{"/docker/" + hex, VerbCreate, ""},
		{"/kubepods/burstable/pod1", VerbThaw, ""},
		{"/kubepods/burstable/pod1", VerbKill, "kubectl delete pod …"},
		{"/docker/" + hex, VerbSet, "docker update --memory … --cpus … 0123456789ab"},
	} {
		err := (&Group{fs: fs, path: tc.path}).guard("try "+tc.path, tc.verb)
		if refused, ok := errors.AsType[*Error](err); !ok || refused.Command != tc.want {
			t.Errorf("%s %s: %v, want %q", tc.verb, tc.path, err, tc.want)
		}
	}
}
