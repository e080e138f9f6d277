//go:build containers

package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

// podmanAnswer is what podman inspect says.
type podmanAnswer struct {
	ID    string
	State struct {
		Pid        int
		CgroupPath string
	}
	HostConfig struct{ Memory, PidsLimit int64 }
}

func TestPodman(t *testing.T) {
	needs(t, "podman", "conmon", "runc")
	cleansUp(t)
	podman := testkit.PodmanCommand(t, podmanDir(t, "rootful"))
	run(t, podman("import", "-q", rootTar, "box:1")...)
	t.Cleanup(func() { try(t, podman("rm", "--all", "--force", "--time", "0")...) })
	run(t, podman(append([]string{
		"run", "--detach", "--name", "box", "--hostname", hostname, "--network", "none",
		"--memory", strconv.Itoa(memoryLimit), "--pids-limit", strconv.Itoa(pidsLimit), "box:1",
	}, boxMain...)...)...)
	says := decode[[]podmanAnswer](t, podman("inspect", "box")...)[0]
	b := &box{
		pid:       says.State.Pid,
		pids:      func() []int { return numbers(run(t, podman("top", "box", "hpid")...)) },
		ns:        podmanNS(t, podman, says.ID),
		group:     says.State.CgroupPath,
		memory:    says.HostConfig.Memory,
		pidsMax:   says.HostConfig.PidsLimit,
		name:      "podman:box",
		exec:      podman("exec", "box"),
		pause:     podman("pause", "box"),
		unpause:   podman("unpause", "box"),
		owner:     "podman container " + says.ID,
		pauseHint: "podman pause " + says.ID[:12],
		differs:   execDiffers("nofile"),
	}
	b.check(t)
}

// podmanDir makes a directory that any user may enter. Its path is short: podman
// wants no more than 50 characters.
func podmanDir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(workDir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// podmanNS asks podman for the inode numbers of a container's namespaces.
func podmanNS(t *testing.T, podman func(...string) []string, id string) map[string]uint64 {
	t.Helper()
	names := []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}
	format := "{{.CGROUPNS}} {{.IPC}} {{.MNT}} {{.NET}} {{.PIDNS}} {{.USERNS}} {{.UTS}}"
	words := strings.Fields(run(t, podman("ps", "--ns", "--filter", "id="+id, "--format", format)...))
	if len(words) != len(names) {
		t.Fatalf("podman ps --ns: %q", words)
	}
	ns := map[string]uint64{}
	for i, name := range names {
		ns[name] = uint64(number(t, words[i]))
	}
	return ns
}
