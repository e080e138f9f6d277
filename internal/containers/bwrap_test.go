//go:build containers

package containers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBubblewrap(t *testing.T) {
	needs(t, "bwrap")
	cleansUp(t)
	startBubblewrap(t, nil).check(t)
}

// TestBubblewrapUser is the same of an ordinary user, who enters it.
func TestBubblewrapUser(t *testing.T) {
	needs(t, "bwrap", "setpriv")
	cleansUp(t)
	b := startBubblewrap(t, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"})
	t.Run("by root", b.check)
	b.as = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	t.Run("by the user", b.check)
}

// startBubblewrap starts bwrap, after the words of as, which tells of its child
// and of its namespaces.
func startBubblewrap(t *testing.T, as []string) *box {
	t.Helper()
	info := filepath.Join(t.TempDir(), "info")
	file, err := os.Create(info)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	words := append(as, "bwrap", "--unshare-all", "--die-with-parent", "--hostname", hostname, "--info-fd", "3",
		"--ro-bind", rootfs, "/", "--dev", "/dev", "--proc", "/proc")
	words = append(words, boxMain...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.ExtraFiles = []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGKILL)
		_ = cmd.Wait()
	})
	var says struct {
		PID    int    `json:"child-pid"`
		Cgroup uint64 `json:"cgroup-namespace"`
		IPC    uint64 `json:"ipc-namespace"`
		Mnt    uint64 `json:"mnt-namespace"`
		Net    uint64 `json:"net-namespace"`
		PIDNS  uint64 `json:"pid-namespace"`
		UTS    uint64 `json:"uts-namespace"`
	}
	waitFor(t, "bwrap's answer", func() bool {
		data, err := os.ReadFile(info)
		return err == nil && json.Unmarshal(data, &says) == nil
	})
	b := &box{
		pid: says.PID,
		ns:  map[string]uint64{"cgroup": says.Cgroup, "ipc": says.IPC, "mnt": says.Mnt, "net": says.Net, "pid": says.PIDNS, "uts": says.UTS},
	}
	return b
}
