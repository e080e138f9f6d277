package oracle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

// /proc/PID/cgroup, with the names that are hard to read.
func TestMemberships(t *testing.T) {
	text := "12:cpu,cpuacct:/a b\n11:memory:/x:y:z\n1:name=systemd:/user.slice/user@1000.service\n0::/back\\slash\n"
	file := filepath.Join(t.TempDir(), "cgroup")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := cgroups.ParseCgroupFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := cgroupfs.ParseMemberships([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, m := range ours {
		for _, controller := range append([]string{}, orEmpty(m.Controllers)...) {
			seen++
			if theirs[controller] != m.Path {
				t.Errorf("%q: %q, opencontainers %q", controller, m.Path, theirs[controller])
			}
		}
	}
	if seen != len(theirs) {
		t.Errorf("%d controllers, opencontainers %d", seen, len(theirs))
	}
}

// orEmpty is opencontainers' name for v2: the empty one.
func orEmpty(controllers []string) []string {
	if len(controllers) == 0 {
		return []string{""}
	}
	return controllers
}

// The kernel's names of this machine's huge pages.
func TestHugePageNames(t *testing.T) {
	for _, theirs := range cgroups.HugePageSizes() {
		ours, limit, err := keys.ParseHugetlb(strings.TrimSuffix(theirs, "B") + "=64M")
		if err != nil || ours != theirs || limit != 64<<20 {
			t.Errorf("%s: %s, %d, %v", theirs, ours, limit, err)
		}
	}
	if len(cgroups.HugePageSizes()) == 0 {
		t.Log("this kernel has no huge pages")
	}
}
