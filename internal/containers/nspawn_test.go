//go:build containers

package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNspawn(t *testing.T) {
	// Its package brings a newer systemd along, which is not for CI to install; so
	// this is the one runtime that may be missing.
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip(err)
	}
	needs(t)
	cleansUp(t)
	root := filepath.Join(t.TempDir(), "root")
	run(t, "cp", "-a", rootfs, root)
	run(t, "mkdir", "-p", filepath.Join(root, "usr"), filepath.Join(root, "run"), filepath.Join(root, "root"))
	words := append([]string{
		"--quiet", "--register=no", "--keep-unit", "--directory", root, "--machine", "box", "--hostname", hostname,
		"--private-network", "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe", "--",
	}, boxMain...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	nspawn := exec.Command("systemd-nspawn", words...)
	nspawn.Stdout, nspawn.Stderr = log, log
	if err := nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("systemd-nspawn says %s", data)
		}
		_ = nspawn.Process.Signal(unix.SIGTERM) // not KILL: its container would stay
		_ = nspawn.Wait()
	})
	// Without a registration there is nobody to ask: the leader is the child of
	// systemd-nspawn that is the first in its PID namespace.
	b := box{name: "machine:box"}
	waitFor(t, "the leader", func() bool {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn.Process.Pid, nspawn.Process.Pid))
		for _, pid := range numbers(string(data)) {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if list := numbers(field(string(status), "NSpid")); len(list) == 2 && list[1] == 1 {
				b.pid = pid
			}
		}
		return b.pid != 0
	})
	b.check(t)
}
