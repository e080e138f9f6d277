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

// blockDevice is a block device of the machine that root may open: not every one that
// is there may be, and no disk is read.
func blockDevice(t *testing.T) (number string) {
	t.Helper()
	for _, path := range []string{"/dev/loop0", "/dev/vda"} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	t.Skip("needs a block device that may be opened")
	return ""
}

// deviceFile makes such a device for everybody, as root of a container could.
func deviceFile(t *testing.T) (path string) {
	t.Helper()
	var major, minor uint32
	if _, err := fmt.Sscanf(blockDevice(t), "%d:%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(workDir, "device")
	if err := unix.Mknod(path, unix.S_IFBLK, int(unix.Mkdev(major, minor))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// operator is nsx started by a service that is not root and has the capabilities to
// enter what is root's, but none over its files and groups.
var operator = entrant{"nsx of a service", func(pid int, flags []string, words ...string) []string {
	const caps = "+sys_admin,+sys_ptrace,+sys_chroot,+setuid,+setgid,+setpcap,+setfcap,+kill"
	as := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", caps, "--ambient-caps", caps}
	return append(as, nsx.argv(pid, append([]string{"--own-env"}, flags...), words...)...) // it may not read the target's
}}

// blind is nsx where v2 is not mounted, as in a container that manages others.
var blind = entrant{"nsx without cgroup v2", func(pid int, flags []string, words ...string) []string {
	const hide = `for m in $(awk '/ - cgroup2 / {print $5}' /proc/self/mountinfo); do umount -l "$m" || exit 99; done; exec "$@"`
	return append([]string{"unshare", "-m", "sh", "-c", hide, "sh"}, nsx.argv(pid, flags, words...)...)
}}

// On v2 it is a program that holds the devices. Outside of its group, a device file
// that root of the container has made for everybody opens a device of the host, also
// to a command that is not root itself, or is in a user namespace.
func TestDeviceFilesForEverybody(t *testing.T) {
	requireTargets(t)
	device := deviceFile(t)
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
			opens := func(e entrant, flags ...string) (bool, outcome) {
				l, o := e.rob(t, pid, flags, device)
				return slices.Contains(l.Opened, device), o
			}
			// Else nothing is shown: it does open outside of the group.
			if opened, o := opens(nsenter); !opened {
				t.Fatalf("nsenter, which joins no group, does not open it either: %v", o)
			}
			for _, e := range []entrant{nsx, operator, blind} {
				for _, flags := range [][]string{nil, {"--own-cgroup"}, {"--own-cgroup", "--no-seccomp"}} {
					opened, o := opens(e, flags...)
					switch enters := e.name == nsx.name && flags == nil; {
					case opened:
						t.Errorf("%s %q: opened a block device of the host", e.name, flags)
					case enters && o.status != 0, !enters && o.status != 125:
						t.Errorf("%s %q: %v", e.name, flags, o)
					case flags == nil && strings.Contains(o.stderr, "--own-cgroup"):
						t.Errorf("%s is offered what will be refused too: %v", e.name, o)
					case flags != nil && e.name != operator.name && !strings.Contains(o.stderr, "cgroup"):
						t.Errorf("%s %q: %v", e.name, flags, o)
					}
				}
			}
		})
	}
}
