package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// blocksHeld makes a group of v2 whose program lets nobody open a block device, and
// moves the process there.
func blocksHeld(t *testing.T, pid int) (dir string) {
	t.Helper()
	program, err := linux.BPFProgLoad(unix.BPF_PROG_TYPE_CGROUP_DEVICE, "nsx_attack", []linux.BPFInsn{
		{Code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, Regs: 2 | 1<<4},            // r2 = ctx->access_type
		{Code: unix.BPF_ALU64 | unix.BPF_AND | unix.BPF_K, Regs: 2, Imm: 0xffff},    // the kind of file
		{Code: unix.BPF_ALU64 | 0xb0, Regs: 0, Imm: 1},                              // r0 = 1
		{Code: unix.BPF_JMP | 0x50, Regs: 2, Off: 1, Imm: unix.BPF_DEVCG_DEV_BLOCK}, // unless r2 is that:
		{Code: unix.BPF_ALU64 | 0xb0, Regs: 0, Imm: 0},                              // r0 = 0
		{Code: unix.BPF_JMP | 0x90},                                                 // return
	})
	testkit.Require(t, err == nil, "needs device programs of cgroup v2: %v", err)
	defer unix.Close(program)
	dir = groupIn(t, testkit.RequireCgroup2(t), "attack-blocks", pid)
	group, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(group)
	if err := linux.BPFProgAttach(group, program, unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI, 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// On v2 it is a program that holds the devices. Outside of its group, a device file
// that root of the container has made for everybody opens a device of the host, also
// to a command that is not root itself, or is in a user namespace.
func TestDeviceFilesForEverybody(t *testing.T) {
	requireTargets(t)
	if _, err := os.Stat("/dev/loop0"); err != nil {
		t.Skip("needs a block device that may be opened: ", err)
	}
	device := filepath.Join(workDir, "device")
	if err := unix.Mknod(device, unix.S_IFBLK, int(unix.Mkdev(7, 0))); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(device)
	if err := os.Chmod(device, 0o666); err != nil {
		t.Fatal(err)
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Fatal(err)
	}
	caps := fmt.Sprintf("caps=%x", dockerCaps)
	user := place{name: "of an ordinary user in there", flags: boxed, words: []string{program("box"), "proc", caps, "uid=1000", "--"}}
	own := place{name: "in a user namespace of its own in there", flags: boxed, words: []string{program("box"), "proc", caps, "uid=1000", "--", unshare, "-Ur"}}
	for _, p := range []place{rootful(dockerCaps), user, own, mapped(dockerCaps)} {
		t.Run(p.name, func(t *testing.T) {
			pid := p.idle(t)
			blocksHeld(t, pid)
			for _, flags := range [][]string{nil, {"--own-cgroup"}, {"--own-cgroup", "--no-seccomp"}} {
				resist(t, func(t *testing.T, e entrant) string {
					l, o := e.rob(t, pid, flags, device)
					switch {
					case slices.Contains(l.Opened, device):
						return "opened a block device of the host"
					case flags == nil && o.status != 0, flags != nil && o.status == 125 && !strings.Contains(o.stderr, "cgroup v2"):
						return o.String()
					}
					return ""
				}, nsenter)
			}
		})
	}
}
