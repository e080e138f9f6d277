//go:build containers

package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// inLXC starts a program as the first one of a container of LXC's, and is the peer
// that enters that.
func inLXC(t *testing.T, words string) (pid int, attach entrant) {
	t.Helper()
	leavesNoGroups(t, "lxc.pivot")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "box"), 0o755); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(workDir, "bin")
	var caps []string
	for _, name := range dockerCapNames {
		caps = append(caps, strings.ToLower(strings.TrimPrefix(name, "CAP_")))
	}
	config := fmt.Sprintf(`lxc.rootfs.path = dir:%s
lxc.uts.name = nsx-attack
lxc.init.cmd = %s
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed sys:ro
lxc.mount.entry = %s %s none bind,ro 0 0
lxc.cap.keep = %s
lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c *:* rwm
`, emptyRoot(t), words, bin, bin[1:], strings.Join(caps, " "))
	if err := os.WriteFile(filepath.Join(dir, "box/config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	lxc := func(command string, args ...string) []string {
		return append([]string{"lxc-" + command, "-P", dir, "-n", "box"}, args...)
	}
	monitor := 0
	t.Cleanup(func() {
		testkit.Try(t, time.Minute, lxc("stop", "--kill")...)
		delete(known, monitor)
		strays(2 * time.Second)
	})
	testkit.Run(t, time.Minute, lxc("start", "-d", "-o", filepath.Join(dir, "log"))...)
	pid, _ = strconv.Atoi(strings.TrimSpace(testkit.Run(t, time.Minute, lxc("info", "-p", "-H")...)))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	monitor, _ = strconv.Atoi(field(string(status), "PPid"))
	known[monitor] = true
	testkit.WaitFor(t, tooLong, "the container", func() bool { return executes(pid, words) })
	return pid, entrant{"lxc-attach", func(_ int, _ []string, words ...string) []string {
		return append(append(lxc("attach"), "--"), words...)
	}}
}

// The same container for nsx and its peer lxc-attach, with all that a caller can
// lose there.
func TestContainerOfLXC(t *testing.T) {
	requireTargets(t)
	for _, name := range []string{"lxc-start", "lxc-attach", "lxc-info", "lxc-stop"} {
		testkit.RequireProgram(t, name)
	}
	pid, attach := inLXC(t, program("idle"))
	for what, evidence := range map[string]func(l loot) string{
		"files and groups": loot.taken,
		"session keyring":  func(l loot) string { return l.Key },
		"environment":      func(l loot) string { return strings.Join(grep(l.Environment, secretText), " ") },
		"descriptors": func(l loot) string {
			if len(l.Descriptors) == 0 {
				return ""
			}
			return fmt.Sprint(l.Descriptors)
		},
		"block device": func(l loot) string { return strings.Join(grep(l.Opened, "b:7:0"), " ") },
	} {
		t.Run(what, func(t *testing.T) {
			resist(t, func(t *testing.T, e entrant) string {
				l, o := e.rob(t, pid, nil, "b:7:0")
				if o.status != 0 {
					return o.String()
				}
				return evidence(l)
			}, attach, nsenter)
		})
	}
	t.Run("rights", func(t *testing.T) {
		resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, attach, nsenter)
	})
}

// grep is the words that have a text in them.
func grep(words []string, text string) (list []string) {
	for _, word := range words {
		if strings.Contains(word, text) {
			list = append(list, word)
		}
	}
	return list
}
