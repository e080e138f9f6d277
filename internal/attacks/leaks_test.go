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
)

// What of the caller's could come through to code of the target.

// inAll runs an attack on an idle target of each kind.
func inAll(t *testing.T, try func(t *testing.T, p place, pid int, e entrant) string, peers ...entrant) {
	t.Helper()
	requireTargets(t)
	for _, p := range []place{ordinary(), rootful(dockerCaps), mapped(dockerCaps)} {
		t.Run(p.name, func(t *testing.T) {
			pid := p.idle(t)
			resist(t, func(t *testing.T, e entrant) string { return try(t, p, pid, e) }, peers...)
		})
	}
}

// The keys of the caller's session, such as a Kerberos ticket or an fscrypt key.
func TestKeyring(t *testing.T) {
	inAll(t, func(t *testing.T, _ place, pid int, e entrant) string {
		l, o := e.rob(t, pid, nil)
		if o.status != 0 {
			return o.String()
		}
		return l.Key
	}, nsenter)
}

// Tokens and passwords are in environments.
func TestEnvironment(t *testing.T) {
	inAll(t, func(t *testing.T, _ place, pid int, e entrant) string {
		l, o := e.rob(t, pid, nil)
		if o.status != 0 {
			return o.String()
		}
		var names []string
		for _, v := range l.Environment {
			name, value, _ := strings.Cut(v, "=")
			if strings.Contains(value, secretText) || !slices.Contains(need(t, pid).environment(), v) && name != "TERM" {
				names = append(names, v)
			}
		}
		return strings.Join(names, " ")
	}, nsenter)
}

func (f *facts) environment() []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", f.pid))
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// That of the target is the target's to write: it chooses no program of the
// caller's own (PATH), nor what is loaded into one (LD_PRELOAD).
func TestEnvironmentForTheCallersProgram(t *testing.T) {
	requireTargets(t)
	evil := t.TempDir()
	for dir := evil; dir != "/tmp"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(program("who"), filepath.Join(evil, "who")); err != nil {
		t.Fatal(err)
	}
	p := place{flags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, words: append(append([]string{}, setUser...), "env", "PATH="+evil, "LD_PRELOAD="+evil+"/none.so")}
	pid := p.idle(t)
	for _, flags := range [][]string{
		{"-e", "-n", "-t"}, {"--env", "--net"}, {"-e", "-n", "-u", "-t"}, {"-e", "--tools=host", "-t"}, {"-e", "--tools=host", "-a", "-t"},
	} {
		argv := append(append([]string{nsxBinary, "enter"}, flags...), fmt.Sprint(pid), "--", "who")
		if o := run(t, nil, argv, nil); strings.Contains(o.stdout, "UserNS") {
			t.Errorf("%q: the target's program ran as root", flags)
		} else if strings.Contains(o.stderr, "none.so") {
			t.Errorf("%q: the target's library was looked for: %v", flags, o)
		} else if o.status == 0 {
			t.Errorf("%q: %v", flags, o)
		}
	}
}

var setUser = []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}

// CVE-2024-21626 and CVE-2016-8649: a descriptor of a host directory leads out.
func TestDescriptors(t *testing.T) {
	inAll(t, func(t *testing.T, _ place, pid int, e entrant) string {
		l, o := e.rob(t, pid, nil)
		if o.status != 0 {
			return o.String()
		}
		if len(l.Descriptors) > 0 {
			return fmt.Sprint("descriptors ", l.Descriptors)
		}
		return ""
	}, nsenter)
}

// The working directory is one of those, by a path that the caller is made to use.
func TestWorkingDirectoryByDescriptor(t *testing.T) {
	requireTargets(t)
	root := boxRoot(t)
	for n := range 12 {
		link := fmt.Sprintf("/link%d", n)
		if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", n), root+link); err != nil {
			t.Fatal(err)
		}
	}
	p := rootful(dockerCaps, "chroot="+root)
	p.flags = unix.CLONE_NEWNS // in our PID namespace, as the attack needs it
	pid := p.idleAt(t, "/idle")
	for n := 3; n < rounds(12, 9); n++ {
		for _, dir := range []string{fmt.Sprintf("/proc/self/fd/%d", n), fmt.Sprintf("/link%d", n), fmt.Sprintf("/link%d/etc", n), fmt.Sprintf("/link%d/..", n)} {
			o := nsx.enter(t, pid, []string{"-W", dir}, "/who")
			if o.status != 125 {
				t.Errorf("-W %s: %v", dir, o)
			}
			// A program by such a path would be the host's.
			o = nsx.enter(t, pid, nil, dir+"/bin/true")
			if o.status != 127 && o.status != 126 {
				t.Errorf("%s/bin/true: %v", dir, o)
			}
		}
	}
}

// CVE-2018-15664: a link in the target's root is followed under that root.
func TestLinksInTheRoot(t *testing.T) {
	requireTargets(t)
	root := boxRoot(t)
	for link, to := range map[string]string{
		"up": "/../../../../../../.." + workDir, "out": workDir, "relative": "../../../../../.." + workDir, "proc1": "/proc/1/root" + workDir,
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	pid := rootful(dockerCaps, "chroot="+root).idleAt(t, "/idle")
	for _, dir := range []string{"/up", "/out", "/relative", "/proc1", "/../../.." + workDir, workDir} {
		if o := nsx.enter(t, pid, []string{"-W", dir}, "/who"); o.status != 125 {
			t.Errorf("-W %s: %v", dir, o)
		}
		if o := nsx.enter(t, pid, nil, dir+"/bin/who"); o.status != 127 {
			t.Errorf("%s/bin/who: %v", dir, o)
		}
	}
}

// boxRoot is a root directory with the programs that a box needs.
func boxRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for dir := root; dir != "/tmp"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"idle", "who", "grabber"} {
		data, err := os.ReadFile(program(name))
		if err == nil {
			err = os.WriteFile(filepath.Join(root, name), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"proc", "tmp", "etc", "dev", "sys"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A directory of the host's as standard input leads out too.
func TestDirectoryAsInput(t *testing.T) {
	inAll(t, func(t *testing.T, p place, pid int, e entrant) string {
		dir, err := os.Open(workDir)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		o := run(t, func(cmd *exec.Cmd) { cmd.Stdin = dir }, e.argv(pid, nil, program("who"), "/proc/self/fd/0/bin"), nil)
		if o.status == 125 {
			t.Logf("%s: %s", e.name, o.stderr)
			return ""
		}
		if strings.Contains(o.stdout, `"/proc/self/fd/0/bin"`) {
			return "it was in the host's directory"
		}
		return ""
	}, nsenter)
}

// rounds is how often something is tried.
func rounds(most, few int) int {
	if full() {
		return most
	}
	return few
}
