package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// podman's default limits are more than some machines allow, and crun refuses
// hybrid cgroups.
const podmanConf = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`

// PodmanCommand makes podman's command lines, with all its files in dir.
func PodmanCommand(t testing.TB, dir string) func(...string) []string {
	t.Helper()
	conf := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(conf, []byte(podmanConf), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) []string {
		return append([]string{
			"env", "CONTAINERS_CONF=" + conf, "podman", "--runtime", "runc", "--storage-driver", "vfs",
			"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "runroot"), "--tmpdir", filepath.Join(dir, "tmp"),
		}, args...)
	}
}
