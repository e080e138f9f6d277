//go:build containers

package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	podman := podmanCommand(t, podmanDir(t, "rootful"))
	run(t, podman("import", "-q", rootTar, "box:1")...)
	t.Cleanup(func() { try(t, podman("rm", "--all", "--force", "--time", "0")...) })
	run(t, podman(append([]string{
		"run", "--detach", "--name", "box", "--hostname", hostname, "--network", "none",
		"--memory", strconv.Itoa(memoryLimit), "--pids-limit", strconv.Itoa(pidsLimit), "box:1",
	}, boxMain...)...)...)
	says := decode[[]podmanAnswer](t, podman("inspect", "box")...)[0]
	b := &box{
		pid:       says.State.Pid,
		pids:      numbers(run(t, podman("top", "box", "hpid")...)),
		ns:        podmanNS(t, podman, says.ID),
		group:     says.State.CgroupPath,
		memory:    says.HostConfig.Memory,
		pidsMax:   says.HostConfig.PidsLimit,
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

// podmanCommand makes podman's command lines, with all its files in dir.
func podmanCommand(t *testing.T, dir string) func(...string) []string {
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
