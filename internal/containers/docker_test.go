//go:build containers

package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDocker(t *testing.T) {
	needs(t, "docker", "dockerd", "containerd", "runc")
	cleansUp(t)
	docker := startDocker(t)
	run(t, docker("import", rootTar, "box:1")...)
	t.Cleanup(func() { try(t, docker("rm", "--force", "box")...) })
	id := strings.TrimSpace(run(t, docker(append([]string{
		"run", "--detach", "--name", "box", "--hostname", hostname, "--network", "none",
		"--memory", strconv.Itoa(memoryLimit), "--pids-limit", strconv.Itoa(pidsLimit), "box:1",
	}, boxMain...)...)...))
	says := decode[[]struct {
		ID         string
		State      struct{ Pid int }
		HostConfig struct{ Memory, PidsLimit int64 }
	}](t, docker("inspect", "box")...)[0]
	b := &box{
		pid:       says.State.Pid,
		pids:      func() []int { return numbers(run(t, docker("top", "box", "-o", "pid")...)) },
		group:     "/docker/" + id,
		memory:    says.HostConfig.Memory,
		pidsMax:   says.HostConfig.PidsLimit,
		name:      "docker:" + id[:12],
		exec:      docker("exec", "box"),
		pause:     docker("pause", "box"),
		unpause:   docker("unpause", "box"),
		owner:     "docker container " + id,
		pauseHint: "docker pause " + id[:12],
		differs:   execDiffers("nofile", "Groups", "environment"),
	}
	b.check(t)
}

// startDocker starts a daemon without a network and with all its files in the
// test's directory, and returns what makes the client's command lines.
func startDocker(t *testing.T) func(...string) []string {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	log, err := os.Create(in("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// timeout, so that it ends even if the test is killed.
	daemon := exec.Command("timeout", "--kill-after=20", lifetime, "dockerd", "--data-root", in("data"),
		"--exec-root", in("exec"), "--pidfile", in("pid"), "--host", "unix://"+in("socket"),
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--default-ulimit", "nofile=1024:1024",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of dockerd's log:\n%s", try(t, "tail", "-n", "20", in("log")).Stdout)
		}
		if err := daemon.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = daemon.Wait() // 124, since timeout passes the signal on
		// It leaves this machine's network namespace bound there.
		if err := unix.Unmount(in("exec/netns/default"), 0); err != nil && !os.IsNotExist(err) {
			t.Logf("unmounting: %v", err)
		}
	})
	docker := func(args ...string) []string {
		return append([]string{"env", "DOCKER_CONFIG=" + in("client"), "docker", "--host", "unix://" + in("socket")}, args...)
	}
	waitFor(t, "dockerd", func() bool { return try(t, docker("info")...).Status == 0 })
	return docker
}
