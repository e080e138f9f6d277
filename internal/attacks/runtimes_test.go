//go:build containers

package attacks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// The attacks whose target depends on how a runtime makes a container, in
// containers of real ones: their masks, groups, capabilities and files.

// host starts a program as the first one of a container.
type host struct {
	name  string
	start func(t *testing.T, change func(*exec.Cmd), words ...string) (pid int)
}

func hosts(t *testing.T) []host {
	t.Helper()
	requireTargets(t)
	testkit.RequireProgram(t, "runc")
	testkit.RequireProgram(t, "podman")
	testkit.RequireProgram(t, "conmon")
	return []host{
		{"runc", func(t *testing.T, change func(*exec.Cmd), words ...string) int { return inRunc(t, change, words...) }},
		{"podman", func(t *testing.T, _ func(*exec.Cmd), words ...string) int { return inPodman(t, words...) }},
	}
}

// leavesNoGroups removes, at the end, the groups above theirs that a runtime leaves.
func leavesNoGroups(t *testing.T, name string) {
	t.Helper()
	pattern := "/sys/fs/cgroup/*/" + name
	before, _ := filepath.Glob(pattern)
	t.Cleanup(func() {
		after, _ := filepath.Glob(pattern)
		for _, dir := range after {
			if !slices.Contains(before, dir) {
				os.Remove(dir)
			}
		}
	})
}

// emptyRoot is a root directory with nothing but where the programs of the attacks
// are to be mounted.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp(workDir, "root.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, dir := range []string{"proc", "sys", "dev", "etc", "run", "tmp", filepath.Join(workDir, "bin")} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var dockerCapNames = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE", "CAP_SYS_PTRACE",
}

// inRunc starts a program in runc's example of a container, with docker's
// capabilities and CAP_SYS_PTRACE.
func inRunc(t *testing.T, change func(*exec.Cmd), words ...string) (pid int) {
	t.Helper()
	bundle, state := t.TempDir(), t.TempDir()
	testkit.Run(t, time.Minute, "sh", "-c", `cd "$1" && runc spec`, "sh", bundle)
	file := filepath.Join(bundle, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"], process["args"], process["noNewPrivileges"] = false, words, false
	process["capabilities"] = map[string]any{"bounding": dockerCapNames, "effective": dockerCapNames, "permitted": dockerCapNames}
	delete(process, "rlimits")
	spec["root"] = map[string]any{"path": emptyRoot(t), "readonly": true}
	spec["linux"].(map[string]any)["cgroupsPath"] = "/nsx-test-attack-runc"
	bin := filepath.Join(workDir, "bin")
	spec["mounts"] = append(spec["mounts"].([]any), map[string]any{"destination": bin, "source": bin, "type": "bind", "options": []string{"bind", "ro"}})
	if data, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(bundle, "pid")
	cmd := started(0, "runc", "--root", state, "run", "--pid-file", pidFile, "--bundle", bundle, "nsx-attack")
	if change != nil {
		change(cmd)
	}
	launch(t, cmd)
	t.Cleanup(func() { testkit.Try(t, time.Minute, "runc", "--root", state, "delete", "--force", "nsx-attack") })
	testkit.WaitFor(t, tooLong, "the container", func() bool {
		text, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(string(text))
		return pid != 0 && executes(pid, words[0])
	})
	return pid
}

// executes says that the process is at a program of the attacks.
func executes(pid int, path string) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.HasPrefix(string(text), path+"\x00")
}

// inPodman starts it in a container of podman's, with what that gives.
func inPodman(t *testing.T, words ...string) (pid int) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "nsx-attack.") // podman wants a short one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	leavesNoGroups(t, "libpod_parent")
	podman := testkit.PodmanCommand(t, dir)
	bin := filepath.Join(workDir, "bin")
	conmon := 0
	t.Cleanup(func() {
		testkit.Try(t, time.Minute, podman("rm", "--all", "--force", "--time", "0")...)
		delete(known, conmon)
		strays(2 * time.Second)
	})
	testkit.Run(t, time.Minute, podman(append([]string{
		"run", "--detach", "--name", "attack", "--network", "none", "--volume", bin + ":" + bin + ":ro", "--rootfs", emptyRoot(t),
	}, words...)...)...)
	type answer struct{ State struct{ Pid, ConmonPid int } }
	says := testkit.Decode[[]answer](t, time.Minute, podman("inspect", "attack")...)[0].State
	conmon = says.ConmonPid // it comes to us when podman has ended
	known[conmon] = true
	testkit.WaitFor(t, tooLong, "the container", func() bool { return executes(says.Pid, words[0]) })
	return says.Pid
}

// A first program under filters that fake what the helper does.
func TestContainerFakes(t *testing.T) {
	for _, h := range hosts(t) {
		for answer, code := range map[string]uint32{"0": unix.SECCOMP_RET_ERRNO, "kill": unix.SECCOMP_RET_KILL_PROCESS} {
			t.Run(h.name+", "+answer, func(t *testing.T) {
				f := fakes
				f.Answer = code
				spec, err := json.Marshal([]filter{f})
				if err != nil {
					t.Fatal(err)
				}
				pid := h.start(t, nil, program("filtered"), string(spec))
				testkit.WaitFor(t, tooLong, "the filter", func() bool { return need(t, pid).seccomp == 2 && need(t, pid).filters > 0 })
				mayStay = true // prctl(2) is among them
				defer func() { mayStay = false }()
				resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, nsenter)
			})
		}
	}
}

// What the runtime hides and holds is hidden from the command and holds it.
func TestContainerHolds(t *testing.T) {
	for _, h := range hosts(t) {
		t.Run(h.name, func(t *testing.T) {
			pid := h.start(t, nil, program("idle"))
			resist(t, func(t *testing.T, e entrant) string {
				l, o := e.rob(t, pid, nil, "b:7:0", "w:/proc/sysrq-trigger", "w:/sys/kernel/uevent_helper", "/proc/kcore", "w:"+program("who"))
				if o.status != 0 {
					return o.String()
				}
				list := []string{l.taken(), l.Key}
				for fd, to := range l.Descriptors {
					list = append(list, fmt.Sprintf("descriptor %d is %s", fd, to))
				}
				return strings.Trim(strings.Join(list, " "), " ")
			}, nsenter)
			resist(t, func(t *testing.T, e entrant) string {
				target, o := need(t, pid), e.look(t, pid)
				if o.inside == nil || o.inside.cgroups != target.cgroups {
					return fmt.Sprintf("%v: in other groups than %q", o, target.cgroups)
				}
				return o.inside.beyond(target)
			}, nsenter)
			for _, flag := range []string{"--mount-proc", "--mount-sys"} {
				if _, o := nsx.rob(t, pid, []string{flag}); o.status != 125 {
					t.Errorf("%s: %v", flag, o)
				}
			}
		})
	}
}

// The container's root goes for the process that enters, as in TestGrabTheHelper.
func TestContainerGrabs(t *testing.T) {
	h := hosts(t)[0] // it has to be talked to
	resist(t, func(t *testing.T, e entrant) string {
		g := &running{}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		g.in = w
		var out io.Reader
		g.pid = h.start(t, func(cmd *exec.Cmd) {
			cmd.Stdin = r
			if out, err = cmd.StdoutPipe(); err != nil {
				t.Fatal(err)
			}
		}, program("grabber"))
		g.says = bufio.NewScanner(out)
		if !g.says.Scan() || g.says.Text() != "ready" {
			t.Fatalf("the grabber says %q", g.says.Text())
		}
		for range rounds(150, 30) {
			if o := e.look(t, g.pid); o.hung || o.inside == nil && o.status != 125 {
				t.Errorf("%v", o)
			}
		}
		return g.got(t)
	})
}

// All in the container get signals, deadly ones too, as fast as can be.
func TestContainerFloods(t *testing.T) {
	for _, h := range hosts(t) {
		t.Run(h.name, func(t *testing.T) {
			pid := h.start(t, nil, program("raiser"), "SIGSTOP", "SIGCONT", "SIGWINCH", "SIGTSTP", "SIGURG", "SIGTRAP", "SIGCONT", "SIGKILL")
			target, counts := need(t, pid), tally{}
			for range entries(150, 20) {
				start := time.Now()
				o := nsx.look(t, pid)
				counts.add(t, o, time.Since(start))
				if o.inside != nil {
					if beyond := o.inside.beyond(target); beyond != "" {
						t.Error(beyond)
					}
				}
			}
			t.Log(counts)
		})
	}
}

// The container ends, by its runtime's hand, at any moment of the entry.
func TestContainerDies(t *testing.T) {
	for _, h := range hosts(t) {
		t.Run(h.name, func(t *testing.T) {
			counts := tally{}
			for range entries(20, 3) {
				pid := h.start(t, nil, program("idle"))
				target := need(t, pid)
				start := time.Now()
				o := run(t, nil, nsx.argv(pid, nil, program("idle")), func(tool int) *facts {
					time.Sleep(time.Duration(rand.Int64N(int64(40 * time.Millisecond))))
					_ = unix.Kill(pid, unix.SIGKILL)
					for end := time.Now().Add(tooLong / 2); time.Now().Before(end); time.Sleep(time.Millisecond) {
						if _, running := children(tool); !running {
							return nil
						}
					}
					return findIdle(tool)
				})
				counts.add(t, o, time.Since(start))
				if o.inside != nil {
					t.Errorf("it outlived its container: %v, %s", o, o.inside.beyond(target))
				}
				// 137: the command ran and was killed with all in there.
				if o.status != 125 && o.status != 137 {
					t.Error(o)
				}
			}
			t.Log(counts)
		})
	}
}
