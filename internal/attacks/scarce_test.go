package attacks

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

// Limits of the caller's: a shell of theirs may have any.

// scarceWords are commands that read, change and start something, with the status
// of nsx's own failure.
func scarceWords(pid int, group string) map[string]int {
	target := strconv.Itoa(pid)
	words := map[string]int{
		"ls": 1, "ps": 1, "enter " + target + " -- /bin/true": 125, "run -Urpf -- /bin/true": 125,
		"foreach --prefix " + target + " -- /bin/true": 125,
		"cgroup get " + group + " pids.max":            1, "cgroup set " + group + " pids.max=1000": 1, "cgroup freeze " + group: 1,
	}
	if full() {
		maps.Copy(words, map[string]int{
			"ls --all": 1, "ls --tree": 1, "ps " + target: 1, "enter --net " + target + " -- /bin/true": 125,
			"enter --privileged " + target + " -- /bin/true": 125, "run -- /bin/true": 125, "foreach net -- /bin/true": 125,
			"cgroup ls": 1, "cgroup thaw " + group: 1, "cgroup run -- /bin/true": 125, "cgroup kill " + group: 1,
		})
	}
	return words
}

// scarcely runs nsx after some words of a shell's. It has to do its work, or to say
// in one line why not.
func scarcely(t *testing.T, before, words string, status int) testkit.Result {
	t.Helper()
	r := testkit.Try(t, tooLong, append([]string{"bash", "-c", before + ` && exec "$0" "$@"`, nsxBinary}, strings.Fields(words)...)...)
	said := strings.TrimSuffix(r.Stderr, "\n")
	lines := strings.Split(said, "\n")
	last := lines[len(lines)-1]
	switch {
	case strings.Contains(said, "goroutine ") || strings.Contains(said, "runtime:"):
		t.Errorf("%s, nsx %s: the runtime's end: %.200s", before, words, said)
	case r.Status == 0:
	case r.Status != status:
		t.Errorf("%s, nsx %s: status %d, want 0 or %d: %s", before, words, r.Status, status, said)
	case !strings.Contains(last, "nsx: "): // foreach --prefix puts the target before it
		t.Errorf("%s, nsx %s: %q", before, words, said)
	}
	return r
}

// Few files, none to be written, no memory to be locked, and so on.
func TestLowLimits(t *testing.T) {
	requireTargets(t)
	testkit.RequireProgram(t, "bash")
	pid := rootful(dockerCaps).idle(t)
	group := scarceGroup(t)
	limits := []string{"-n 4", "-n 16", "-f 1"}
	if full() {
		limits = append(limits, "-n 8", "-n 12", "-n 20", "-f 0", "-l 0", "-i 0", "-q 0", "-s 64", "-u 1", "-x 0", "-c 0", "-t 5")
	}
	for _, limit := range limits {
		before := "ulimit " + limit
		for words, status := range scarceWords(pid, group) {
			r := scarcely(t, before, words, status)
			if limit == "-n 16" && strings.HasPrefix(words, "enter "+strconv.Itoa(pid)) && !strings.Contains(r.Stderr, "ulimit -n") {
				t.Errorf("%s: no next step: %q", words, r.Stderr)
			}
			if limit == "-f 1" && r.Status == 125 && !strings.Contains(r.Stderr, "ulimit -f") {
				t.Errorf("%s: no next step: %q", words, r.Stderr)
			}
		}
	}
}

func scarceGroup(t *testing.T) string {
	t.Helper()
	const group = "/nsx-test-attack-scarce"
	testkit.Run(t, tooLong, nsxBinary, "cgroup", "create", group, "pids.max=999")
	t.Cleanup(func() { testkit.Run(t, tooLong, nsxBinary, "cgroup", "rm", group) })
	return group
}

// Room for few threads. With less than four not even an empty program of Go's runs,
// and with four one in some hundred does not.
func TestFewThreads(t *testing.T) {
	requireTargets(t)
	pid := rootful(dockerCaps).idle(t)
	group := scarceGroup(t)
	mount := testkit.RequireCgroup1(t, "pids")
	dir := filepath.Join(mount, "nsx-test-attack-threads")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testkit.WaitFor(t, tooLong, "the group to be empty", func() bool { return os.Remove(dir) == nil })
	})
	least := map[string]int{}
	for room := 5; room <= 13; room++ {
		if !full() && !slices.Contains([]int{5, 7, 8, 12, 13}, room) {
			continue
		}
		set(t, dir, "pids.max="+strconv.Itoa(room))
		for words, status := range scarceWords(pid, group) {
			for range rounds(3, 1) {
				r := scarcely(t, fmt.Sprintf("echo $$ >%s/cgroup.procs", dir), words, status)
				switch {
				case r.Status == 0 && least[words] == 0:
					least[words] = room
				case r.Status != 0 && !strings.Contains(r.Stderr, "EAGAIN"):
					t.Errorf("pids.max %d, nsx %s: %s", room, words, r.Stderr)
				case r.Status != 0 && least[words] != 0:
					t.Errorf("nsx %s works with pids.max %d, and not with %d: %s", words, least[words], room, r.Stderr)
				}
			}
		}
	}
	for words := range scarceWords(pid, group) {
		if least[words] == 0 {
			t.Errorf("pids.max 13 is not enough for nsx %s", words)
		}
	}
	t.Log(least)
}

// An ordinary user's limit on processes counts all that he has.
func TestFewProcessesOfUser(t *testing.T) {
	requireTargets(t)
	testkit.RequireProgram(t, "bash")
	for _, limit := range []int{5, 8, 12} {
		for words, status := range map[string]int{"ls": 1, "ps": 1, "run -Ur -- /bin/true": 125} {
			as := fmt.Sprintf("exec setpriv --reuid 61234 --regid 61234 --clear-groups bash -c 'ulimit -u %d; exec \"$0\" \"$@\"' \"$0\" \"$@\"; true", limit)
			if r := scarcely(t, as, words, status); r.Status == 0 && limit < 8 {
				t.Errorf("ulimit -u %d, nsx %s: status 0: is the limit in force?", limit, words)
			}
		}
	}
}

// Go's runtime reserves addresses. What nsx needs is that, and its own program.
func TestFewAddresses(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireProgram(t, "bash")
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty+".go", []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", empty, empty+".go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// least is how many KiB a program needs.
	least := func(program string) int {
		low, high := 1<<10, 16<<20
		for high-low > 1<<10 {
			half := (low + high) / 2
			if testkit.Try(t, tooLong, "bash", "-c", fmt.Sprintf("ulimit -v %d; exec %s", half, program)).Status == 0 {
				high = half
			} else {
				low = half
			}
		}
		return high
	}
	info, err := os.Stat(nsxBinary)
	if err != nil {
		t.Fatal(err)
	}
	runtime := least(empty)
	for _, words := range []string{"version", "ls -t net --no-headers", "run -m -- /bin/true"} {
		is := least(nsxBinary + " " + words)
		t.Logf("nsx %s needs %d KiB of addresses, an empty program %d", words, is, runtime)
		if is-runtime > int(info.Size()>>10)+8<<10 {
			t.Errorf("nsx %s needs %d KiB of addresses, an empty program %d", words, is, runtime)
		}
	}
}
