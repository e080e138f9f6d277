//go:build containers

package containers

import (
	"os"
	"path/filepath"
	"testing"

	"nsx/internal/testkit"
)

// An ordinary user whom only podman's own mount namespace knows.
const (
	rootlessUID  = "64321"
	rootlessUser = "nsxbox"
)

// asRootless runs its arguments as that user, in a mount namespace where the
// databases of users are copies with a line more: this machine's stay as they
// are. podman finds its user namespace again by a process that waits in it.
const asRootless = `set -e
for file in passwd group subuid subgid; do mount --bind "$0/$file" "/etc/$file"; done
exec setpriv --reuid ` + rootlessUID + ` --regid ` + rootlessUID + ` --clear-groups "$@"`

func TestPodmanRootless(t *testing.T) {
	needs(t, "podman", "conmon", "runc", "newuidmap", "setpriv", "unshare")
	cleansUp(t)
	dir := podmanDir(t, "rootless")
	for name, line := range map[string]string{
		"passwd": rootlessUser + ":x:" + rootlessUID + ":" + rootlessUID + "::" + dir + ":/bin/sh\n",
		"group":  rootlessUser + ":x:" + rootlessUID + ":\n",
		"subuid": rootlessUser + ":3000000:65536\n",
		"subgid": rootlessUser + ":3000000:65536\n",
	} {
		old, err := os.ReadFile("/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(old, line...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(dir, "home")
	run(t, "install", "-d", "-m", "700", "-o", rootlessUID, "-g", rootlessUID, home)
	as := []string{"setpriv", "--reuid", rootlessUID, "--regid", rootlessUID, "--clear-groups"}
	rootful := testkit.PodmanCommand(t, dir)
	podman := func(args ...string) []string {
		return append([]string{
			"env", "-C", home, "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "USER=" + rootlessUser, "TMPDIR=" + home,
			"unshare", "--mount", "--propagation", "private", "sh", "-c", asRootless, dir,
		}, rootful(args...)...)
	}
	for _, name := range []string{"root", "runroot", "tmp"} {
		run(t, "install", "-d", "-m", "700", "-o", rootlessUID, "-g", rootlessUID, filepath.Join(dir, name))
	}
	t.Cleanup(func() {
		try(t, podman("rm", "--all", "--force", "--time", "0")...)
		try(t, podman("rmi", "--all", "--force")...)
		try(t, podman("system", "migrate")...) // ends the process that waits
	})
	run(t, podman("import", "-q", rootTar, "box:1")...)
	run(t, podman(append([]string{
		"run", "--detach", "--name", "box", "--hostname", hostname, "--network", "none", "box:1",
	}, boxMain...)...)...)
	says := decode[[]podmanAnswer](t, podman("inspect", "box")...)[0]
	b := &box{
		pid:     says.State.Pid,
		pids:    func() []int { return numbers(run(t, podman("top", "box", "hpid")...)) },
		ns:      podmanNS(t, podman, says.ID),
		name:    "podman(" + rootlessUID + "):box",
		exec:    podman("exec", "box"),
		differs: execDiffers("nofile"),
	}
	// It is root in there, and its user is nobody else.
	if got := run(t, b.enter("cat", "/proc/self/uid_map")...); numbers(got)[1] != number(t, rootlessUID) {
		t.Errorf("uid 0 inside is not uid %s: %s", rootlessUID, got)
	}
	t.Run("by root", b.check)
	b.as = as
	for _, name := range []string{"Seccomp", "Seccomp_filters"} {
		b.differs[name] = reasons[name]
	}
	t.Run("by the user", b.check)
}
