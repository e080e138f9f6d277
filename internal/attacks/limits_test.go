package attacks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// What holds a container besides its rights: its cgroups, what its /proc hides, and
// the filters.

// inGroup makes a group in a v1 hierarchy and moves a process of ours there.
func inGroup(t *testing.T, controller, name string, pid int, settings ...string) (dir string) {
	t.Helper()
	return groupIn(t, testkit.RequireCgroup1(t, controller), name, pid, settings...)
}

// groupIn does so in the hierarchy that is mounted there.
func groupIn(t *testing.T, mount, name string, pid int, settings ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(mount, "nsx-test-"+name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(pid, unix.SIGKILL) // the test's clean-up of it comes after this one
		testkit.WaitFor(t, tooLong, "the group to be empty", func() bool {
			err := os.Remove(dir)
			return err == nil || errors.Is(err, unix.ENOENT)
		})
	})
	set(t, dir, append(settings, "cgroup.procs="+strconv.Itoa(pid))...)
	return dir
}

// set writes FILE=VALUE in a group.
func set(t *testing.T, dir string, settings ...string) {
	t.Helper()
	for _, setting := range settings {
		file, value, _ := strings.Cut(setting, "=")
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// With docker's capabilities one can make a device; that it opens nothing is due to
// the devices group alone.
func TestDevices(t *testing.T) {
	requireTargets(t)
	block := "b:" + blockDevice(t)
	p := rootful(dockerCaps)
	pid := p.idle(t)
	inGroup(t, "devices", "attack-devices", pid, "devices.deny=a", "devices.allow=c *:* m", "devices.allow=b *:* m", "devices.allow=c 1:* rwm", "devices.allow=c 5:* rwm", "devices.allow=c 136:* rwm")
	device := func(flags ...string) func(t *testing.T, e entrant) string {
		return func(t *testing.T, e entrant) string {
			l, o := e.rob(t, pid, flags, block)
			if o.status != 0 {
				return o.String()
			}
			if slices.Contains(l.Opened, block) {
				return "opened a block device of the host"
			}
			return ""
		}
	}
	resist(t, device(), nsenter)
	resist(t, device("--own-cgroup"))
	resist(t, device("--own-cgroup", "--no-seccomp"))
	l, o := nsx.rob(t, pid, nil)
	if target := need(t, pid); l.Cgroup != target.cgroups {
		t.Errorf("in the groups %q, the target in %q: %s", l.Cgroup, target.cgroups, o.stderr)
	}
}

// Every limit of the target's, in every hierarchy, before the first instruction.
func TestGroupsInEveryHierarchy(t *testing.T) {
	requireTargets(t)
	for version, join := range map[string]func(t *testing.T, pid int){
		"v1": func(t *testing.T, pid int) {
			for _, controller := range []string{"memory", "pids", "cpu", "freezer"} {
				inGroup(t, controller, "attack-"+controller, pid)
			}
		},
		"v2": func(t *testing.T, pid int) { groupIn(t, testkit.RequireCgroup2(t), "attack-v2", pid) },
	} {
		t.Run(version, func(t *testing.T) {
			pid := rootful(dockerCaps).idle(t)
			join(t, pid)
			resist(t, func(t *testing.T, e entrant) string {
				o := e.look(t, pid)
				if o.inside == nil {
					return o.String()
				}
				if target := need(t, pid); o.inside.cgroups != target.cgroups {
					return fmt.Sprintf("in the groups %q, the target in %q", o.inside.cgroups, target.cgroups)
				}
				return ""
			}, nsenter)
		})
	}
}

// A container that froze itself: whoever joins its group stands still for good, and
// on v1 cannot even be killed. On v1 it does not stop to have its filters read
// either, but that is not what is in the way.
func TestFrozenTarget(t *testing.T) {
	requireTargets(t)
	for version, freezer := range map[string]struct {
		make       func(t *testing.T, pid int) (dir string)
		file, thaw string
		unread     bool // its filters
	}{
		"v1": {func(t *testing.T, pid int) string {
			return inGroup(t, "freezer", "attack-frozen", pid)
		}, "freezer.state=FROZEN", "freezer.state=THAWED", true},
		"v2": {func(t *testing.T, pid int) string {
			return groupIn(t, testkit.RequireCgroup2(t), "attack-frozen", pid)
		}, "cgroup.freeze=1", "cgroup.freeze=0", false},
	} {
		for name, filters := range map[string][]filter{"without filters": nil, "with a filter": {{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO}}} {
			t.Run(version+", "+name, func(t *testing.T) {
				pid := rootful(dockerCaps).filtered(t, filters...)
				dir := freezer.make(t, pid)
				set(t, dir, freezer.file)
				defer set(t, dir, freezer.thaw)
				const frozen = "/nsx-test-attack-frozen is frozen"
				for _, flags := range [][]string{nil, {"--no-seccomp"}} {
					if o := nsx.look(t, pid, flags...); o.status != 125 || o.hung || o.inside != nil ||
						!strings.Contains(o.stderr, frozen) || !strings.Contains(o.stderr, "nsx cgroup thaw /nsx-test-attack-frozen") {
						t.Errorf("%q: %v: %v", flags, o, o.inside)
					}
				}
				o := nsx.look(t, pid, "--own-cgroup")
				if freezer.unread && filters != nil {
					if o.status != 125 || !strings.Contains(o.stderr, frozen) || !strings.Contains(o.stderr, "--no-seccomp goes without") {
						t.Errorf("--own-cgroup: %v", o)
					}
				} else if o.inside == nil {
					t.Errorf("--own-cgroup: %v", o)
				}
				if o := nsx.look(t, pid, "--own-cgroup", "--no-seccomp"); o.inside == nil {
					t.Errorf("--own-cgroup --no-seccomp: %v", o)
				}
			})
		}
	}
}

// So little room for processes that nothing can be started: no panic of Go's.
func TestNoRoomForProcesses(t *testing.T) {
	requireTargets(t)
	pid := rootful(dockerCaps).idle(t)
	dir := inGroup(t, "pids", "attack-room", pid)
	for n := 1; n <= 6; n++ {
		if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.Itoa(n)), 0); err != nil {
			t.Fatal(err)
		}
		o := nsx.enter(t, pid, nil, "/bin/true")
		if o.status != 0 && o.status != 125 || strings.Contains(o.stderr, "goroutine ") || strings.Contains(o.stderr, "runtime:") {
			t.Errorf("pids.max %d: %v", n, o)
		}
	}
}

// A new /proc would be one without what the container's own one hides.
func TestMountProc(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{rootful(dockerCaps, "masked"), rootful(0x1ffffffffff, "masked")} {
		pid := p.idle(t)
		for _, flags := range [][]string{{"--mount-proc"}, {"--mount-proc", "--own-cgroup"}, {"--mount-proc", "--own-env"}, {"--mount-sys", "--mount-proc"}} {
			resist(t, func(t *testing.T, e entrant) string {
				l, o := e.rob(t, pid, flags, "/proc/timer_list")
				if l.PID == 0 {
					if o.hung || o.status != 125 && o.status != 2 {
						return o.String()
					}
					return ""
				}
				if i := slices.Index(l.Opened, corePattern); i >= 0 {
					return fmt.Sprintf("%q: %s", flags, corePattern)
				}
				return ""
			})
		}
	}
}

// CVE-2021-30465, CVE-2025-31133, CVE-2025-52565: what is to be mounted over is a
// link that leads elsewhere by then.
func TestMountProcOverLinks(t *testing.T) {
	requireTargets(t)
	root := boxRoot(t)
	if err := os.Remove(filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"/etc", "/../../.." + workDir, "/proc", "etc"} {
		link := filepath.Join(root, "proc")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		p := place{flags: boxed, words: []string{program("box"), "chroot=" + root, fmt.Sprintf("caps=%x", 0x1ffffffffff), "--"}}
		pid := p.idleAt(t, "/idle")
		before := mountsOf(t, pid)
		o := run(t, nil, nsx.argv(pid, []string{"--mount-proc"}, "/idle"), func(tool int) *facts {
			f := findIdle(tool)
			if after := mountsOf(t, pid); after != before {
				t.Errorf("/proc -> %s: the target's mounts changed: %s", to, after)
			}
			if f != nil && f.ns["mnt"] == need(t, os.Getpid()).ns["mnt"] {
				t.Errorf("/proc -> %s: in our mounts", to)
			}
			return f
		})
		if o.hung {
			t.Errorf("%s: %v", to, o)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

func mountsOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// playTraced is under a filter and traced by a child of its own, so that nobody
// else can read the filter.
func playTraced(args []string) int {
	if len(args) > 1 { // the child
		pid, _ := strconv.Atoi(args[1])
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		if err := unix.PtraceSeize(pid); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("ready")
		for {
			time.Sleep(time.Minute)
		}
	}
	cmd := started(0, os.Args[0], "", strconv.Itoa(os.Getpid()))
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		return 1
	}
	return playFiltered(args)
}

// A filter that cannot be read is no reason to go without.
func TestTracedTarget(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{rootful(dockerCaps), mapped(dockerCaps), ordinary()} {
		t.Run(p.name, func(t *testing.T) {
			pid := p.start(t, program("traced"), fmt.Sprintf(`[{"Calls":[%d],"Answer":%d}]`, unix.SYS_KEYCTL, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
			testkit.WaitFor(t, tooLong, "the filter", func() bool { return need(t, pid).filters == 1 })
			resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, nsenter)
			if o := nsx.look(t, pid, "--no-seccomp"); o.inside == nil {
				t.Errorf("without filters: %v", o)
			}
		})
	}
}

// Nor is one of a target that does not stop, or that has gone.
func TestStuckTarget(t *testing.T) {
	requireTargets(t)
	pid := rootful(dockerCaps).filtered(t, filter{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO})
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if taken := compare(t, nsx, pid); taken != "" {
		t.Errorf("stopped: %s", taken)
	}
}
