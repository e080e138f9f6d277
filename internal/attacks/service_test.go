package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A target need not be root where it is: a service of an ordinary user with mounts
// of its own (PrivateTmp= of systemd), or a container's program that gave root up.
// Its environment is its user's to choose, and its rights are its user's.

// evilDir is a directory of programs that the target's user has written.
func evilDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/tmp"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(program("who"), filepath.Join(dir, "who")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// service is a process of an ordinary user in mount namespaces that root made.
func service(words ...string) place {
	words = append([]string{program("box"), "proc"}, words...)
	return place{name: strings.Join(words[2:], " "), flags: boxed, words: append(words, "--")}
}

func services() []place {
	return []place{service("uid=65534"), service(fmt.Sprintf("caps=%x", dockerCaps), "uid=65534"), service("uid=65534", "nnp")}
}

// The command is found by the target's PATH, and gets its LD_PRELOAD: so it must not
// be more than the target.
func TestServiceChoosesTheProgram(t *testing.T) {
	requireTargets(t)
	for _, p := range services() {
		t.Run(p.name, func(t *testing.T) {
			dir := evilDir(t)
			p.words = append(append([]string{}, p.words...), "/usr/bin/env", "PATH="+dir+":/usr/bin:/bin", "LD_PRELOAD="+dir+"/none.so")
			pid := p.idle(t)
			for _, flags := range [][]string{nil, {"-S", "0"}, {"-S", "0", "-G", "0"}, {"--own-cgroup"}, {"--no-seccomp"}} {
				argv := nsx.argv(pid, flags, "who", secretUser, corePattern)
				o := run(t, nil, argv, nil)
				if strings.Contains(o.stdout, "UserNS") && uidIn(o.stdout) == "0" {
					t.Errorf("the attack succeeded with %q: the target's program ran as root, and opened %s", flags, between(o.stdout, `"Opened":`, `,"Key"`))
				}
				// Without an environment of its choice it is asked for by root.
				o = run(t, nil, nsx.argv(pid, flags, "/usr/bin/id", "-u"), nil)
				if strings.Contains(o.stderr, "none.so") && strings.HasPrefix(o.stdout, "0") {
					t.Errorf("the attack succeeded with %q: the target's library was loaded as root: %v", flags, o)
				}
			}
		})
	}
}

func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	rest, _, _ = strings.Cut(rest, after)
	return rest
}

// uidIn is the real uid in what the program who says.
func uidIn(stdout string) string {
	return strings.TrimPrefix(strings.SplitN(between(stdout, `\nUid:`, `\nGid:`), `\t`, 3)[1], `\t`)
}

// Capabilities that are kept for another user are the target's too.
func TestKeptCapabilities(t *testing.T) {
	requireTargets(t)
	for _, words := range [][]string{{"capless", "nnp"}, {fmt.Sprintf("caps=%x", dockerCaps), "capless", "nnp"}, {fmt.Sprintf("caps=%x", dockerCaps)}} {
		p := service(words...)
		t.Run(p.name, func(t *testing.T) {
			pid := p.idle(t)
			most := need(t, pid).most()
			for _, flags := range [][]string{{"--keep-caps", "-S", "1000"}, {"--keep-caps"}, {"--keep-caps", "-S", "follow"}, {"--keep-caps", "--no-fork"}} {
				o := nsx.look(t, pid, flags...)
				if f := o.inside; f != nil && (f.prm|f.eff|f.amb)&^most != 0 {
					t.Errorf("%q: %v", flags, f)
				} else if f == nil && !o.failed() {
					t.Errorf("%q: %v", flags, o)
				}
			}
		})
	}
}

// Of the target's namespaces only that of mounts: its code must not reach, in ours,
// what it could not reach from its own.
func TestMountNamespaceAlone(t *testing.T) {
	requireTargets(t)
	p := rootful(dockerCaps | ptraceCap)
	pid := p.idle(t)
	victim := started(0, program("idle"))
	launch(t, victim)
	for _, flags := range [][]string{{"-m", "-t"}, {"-F"}, {"-a", "--no-fork", "-t"}, {"-m", "-n", "-t"}} {
		argv := append(append([]string{nsxBinary, "enter"}, flags...), strconv.Itoa(pid), "--", program("who"), "k:"+strconv.Itoa(victim.Process.Pid), "p:"+strconv.Itoa(victim.Process.Pid))
		o := run(t, nil, argv, nil)
		if opened := between(o.stdout, `"Opened":`, `,"Key"`); strings.Contains(opened, "k:") || strings.Contains(opened, "p:") {
			t.Errorf("the attack succeeded with %q: it could kill (k) or trace (p) a process of the host: %s; stderr %q", flags, opened, o.stderr)
		}
	}
}
