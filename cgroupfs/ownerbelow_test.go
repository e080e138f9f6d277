package cgroupfs

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
)

// A group that is frozen stops all below it, whoever they belong to, and its limits
// bind them. Thawed, it lets go on only what it has stopped.
func TestOwnersBelowAreMinded(t *testing.T) {
	fs := openFS(t)
	g := made(t, fs)
	container, err := fs.Group(g.path + "/libpod-" + strings.Repeat("0123456789abcdef", 4) + ".scope")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := container.Forced().Create(t.Context(), CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	words := []string{"which has " + container.path + " below it", "podman container 0123456789ab", "use podman pause 0123456789ab"}
	refusedWith(t, g.Freeze(t.Context()), unix.EPERM, words...)
	_, err = g.PreviewFreeze(t.Context(), true)
	refusedWith(t, err, unix.EPERM, words...)
	if frozen, err := container.Frozen(); frozen || err != nil {
		t.Errorf("it is frozen: %t, %v", frozen, err)
	}
	if err := container.Forced().Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Forced().Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Thaw(t.Context()); err != nil {
		t.Error(err)
	}
	if frozen, err := container.Frozen(); !frozen || err != nil {
		t.Errorf("what its owner has frozen goes on: %t, %v", !frozen, err)
	}
	if err := container.Forced().Thaw(t.Context()); err != nil {
		t.Error(err)
	}
}

// Podman's conmon supervises its containers from a group of its own, in which nothing
// else tells whose it is.
func TestSupervisorsBelongToTheirRuntime(t *testing.T) {
	fs := openFS(t)
	for path, want := range map[string]string{
		"/libpod_parent/conmon":   "podman",
		"/a/libpod_parent/conmon": "podman",
		"/libpod_parent":          "nobody known", // as /docker
		"/libpod_parents/conmon":  "nobody known",
	} {
		g := &Group{fs: fs, path: path}
		o := g.Owner()
		if o.String() != want {
			t.Errorf("%s belongs to %s, want %s", path, o, want)
		}
		if command := o.CommandFor(VerbKill); command != "" {
			t.Errorf("%s: %q is no command", path, command)
		}
		if want == "podman" {
			refusedWith(t, g.guard("kill "+path, VerbKill), unix.EPERM, "it belongs to podman")
			if note := o.Undoes(VerbKill); note != "podman knows nothing of it" {
				t.Error(note)
			}
		}
	}
}

func TestLimitsOfAnAncestorAreNoted(t *testing.T) {
	fs := openFS(t)
	needs(t, fs, "pids")
	g := made(t, fs, "pids")
	limits := Limits{Settings: []keys.Setting{{Key: "pids.max", Value: "100"}}}
	for _, tc := range []struct{ child, note string }{
		{"", ""}, {"mine", ""}, {"web.service", "this binds " + g.path + "/web.service below it too, which belongs to systemd unit web.service"},
	} {
		if tc.child != "" {
			child, err := fs.Group(g.path + "/" + tc.child)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := child.Forced().Create(t.Context(), CreateOptions{Controllers: []string{"pids"}}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := g.Plan(t.Context(), limits, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.Notes, "; "); got != tc.note {
			t.Errorf("with %q below: %q, want %q", tc.child, got, tc.note)
		}
	}
}
