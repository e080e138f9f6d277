package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Who a command is, and what it may do: never more than its target.

// fakes are the calls by which a process gives its rights up.
var fakes = filter{Calls: []uint32{
	unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS, unix.SYS_SETSID, unix.SYS_PRCTL, unix.SYS_CAPSET,
}, Answer: unix.SECCOMP_RET_ERRNO}

// compare enters with a command that waits, and compares it with the target.
func compare(t *testing.T, e entrant, pid int) string {
	t.Helper()
	target := need(t, pid)
	o := e.look(t, pid)
	if o.inside == nil {
		if !o.failed() {
			return o.unless("no command, but: " + o.String())
		}
		t.Logf("%s refused: %s", e.name, o.stderr)
		return ""
	}
	if beyond := o.inside.beyond(target); beyond != "" {
		return beyond
	}
	return o.unless("")
}

// A filter answers for the kernel when the helper gives up our ids: any user's
// program became root of the machine.
func TestFilterFakesGivingUp(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{ordinary(), rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(dockerCaps)} {
		t.Run(p.name, func(t *testing.T) {
			pid := p.filtered(t, fakes)
			resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, nsenter)
			resist(t, func(t *testing.T, e entrant) string {
				l, o := e.rob(t, pid, nil)
				return o.unless(l.outside(p))
			}, nsenter)
		})
	}
}

// outside is what was taken in a place whose root is that of the machine or not.
func (l loot) outside(p place) string {
	if p.name == "rootful" {
		return "" // it is root, of the same files
	}
	return l.taken()
}

// With -S, the command was root although another user was asked for.
func TestFilterFakesSetuid(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{rootful(dockerCaps), rootful(dockerCaps | ptraceCap)} {
		pid := p.filtered(t, fakes)
		o := nsx.look(t, pid, "-S", "1000", "-G", "1000")
		if f := o.inside; f != nil && (f.uid != "1000 1000 1000 1000" || f.gid != "1000 1000 1000 1000" || f.groups != "" || f.prm|f.eff != 0) {
			t.Errorf("the attack succeeded: %v", f)
		} else if f == nil && o.status != 125 {
			t.Error(o)
		}
		o = nsx.look(t, pid, "-S", "1000", "-G", "1000", "--no-seccomp")
		if f := o.inside; f == nil || f.uid != "1000 1000 1000 1000" || f.filters != 0 {
			t.Errorf("without filters: %v, %v", f, o)
		}
	}
}

// The caller's groups came along where a user namespace denies setgroups(2): any
// user's program read what root's group may read.
func TestGroupsOfTheCaller(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{ordinary(), rootful(dockerCaps), mapped(dockerCaps)} {
		t.Run(p.name, func(t *testing.T) {
			pid := p.idle(t)
			resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, nsenter)
			resist(t, func(t *testing.T, e entrant) string {
				l, o := e.rob(t, pid, nil)
				if o.status != 0 {
					return o.String()
				}
				return l.outside(p)
			}, nsenter)
		})
	}
}

// A target that gave up its capabilities for good has none to give.
func TestNoNewPrivileges(t *testing.T) {
	requireTargets(t)
	for _, words := range [][]string{{"capless", "nnp"}, {fmt.Sprintf("caps=%x", dockerCaps), "capless", "nnp"}, {"caps=21", "nnp"}} {
		p := place{name: strings.Join(words, " "), flags: boxed, words: append(append([]string{program("box"), "proc"}, words...), "--")}
		t.Run(p.name, func(t *testing.T) {
			pid := p.idle(t)
			resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) }, nsenter)
		})
	}
}

// Capabilities that a caller hands on to what it executes stay outside.
func TestInheritableAndAmbient(t *testing.T) {
	requireTargets(t)
	pid := rootful(dockerCaps).idle(t)
	resist(t, func(t *testing.T, e entrant) string {
		target := need(t, pid)
		argv := append([]string{"setpriv", "--inh-caps", "+sys_admin,+sys_ptrace", "--ambient-caps", "+sys_admin,+sys_ptrace"}, e.argv(pid, nil, program("idle"))...)
		o := run(t, nil, argv, findIdle)
		if o.inside == nil {
			return o.String()
		}
		return o.inside.beyond(target)
	}, nsenter)
}

// In a user namespace where 0 is nobody, the command is who the target is.
func TestRootIsNotMapped(t *testing.T) {
	requireTargets(t)
	p := place{name: "without root", words: []string{
		"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-U", "-m", "--map-user=1000", "--map-group=1000",
	}}
	for name, start := range map[string]func() int{
		"idle":  func() int { return p.idle(t) },
		"fakes": func() int { return p.filtered(t, fakes) },
	} {
		t.Run(name, func(t *testing.T) {
			pid := start()
			// The kernel gives one who is not root nothing at execve.
			resist(t, func(t *testing.T, e entrant) string {
				taken := compare(t, e, pid)
				if taken != "" {
					return taken
				}
				o := e.look(t, pid)
				if f := o.inside; f != nil && f.prm|f.eff != 0 {
					return f.String()
				}
				return ""
			})
			if o := nsx.look(t, pid, "-S", "0"); o.inside != nil {
				t.Errorf("as a user who is not there: %v", o.inside)
			}
			l, o := nsx.rob(t, pid, nil)
			if taken := l.taken(); taken != "" {
				t.Errorf("%s: %v", taken, o)
			}
		})
	}
}

// A user namespace that maps nobody: whoever comes in is nobody, and not root.
func TestNobodyIsMapped(t *testing.T) {
	requireTargets(t)
	p := place{words: []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-U", "-m"}}
	pid := p.idle(t)
	resist(t, func(t *testing.T, e entrant) string { return compare(t, e, pid) })
	l, o := nsx.rob(t, pid, nil)
	if taken := l.taken(); taken != "" || o.hung {
		t.Errorf("%s: %v", taken, o)
	}
}

// The mount namespace alone of a user's: its code would be root of the machine.
func TestMountNamespaceWithoutItsUserNamespace(t *testing.T) {
	requireTargets(t)
	pid := ordinary().idle(t)
	mnt := filepath.Join("/proc", strconv.Itoa(pid), "ns/mnt")
	for _, words := range [][]string{
		{"-t", strconv.Itoa(pid), "-m"},
		{"-a", "--user-parent", "-t", strconv.Itoa(pid)},
		{"-m", "--user-parent", "-t", strconv.Itoa(pid)},
		{"--mnt", strconv.Itoa(pid)},
		{"--mnt", mnt},
		{"--mnt", strconv.Itoa(pid), "--user", strconv.Itoa(os.Getpid())},
		{"-t", strconv.Itoa(pid), "-m", "--tools=host", "-U"},
	} {
		argv := append(append([]string{nsxBinary, "enter"}, words...), "--", program("idle"))
		o := run(t, nil, argv, findIdle)
		if f := o.inside; f != nil && f.ns["user"] == need(t, os.Getpid()).ns["user"] && f.ns["mnt"] == need(t, pid).ns["mnt"] {
			t.Errorf("%q: %v", words, f)
		}
	}
}

// Ids that a user may map in a namespace of his own through newuidmap(1) are his;
// those of the caller are not, whatever the target's map says when it is entered.
func TestIDsOfAnotherUser(t *testing.T) {
	requireTargets(t)
	pid := ordinary().idle(t)
	for _, flags := range [][]string{{"-S", "0"}, {"-S", "0", "-G", "0"}, {"--preserve-credentials"}, {"-S", "follow"}, {"--keep-caps"}} {
		o := nsx.look(t, pid, flags...)
		if f := o.inside; f != nil && f.uid != "65534 65534 65534 65534" {
			if flags[0] == "--preserve-credentials" {
				t.Logf("--preserve-credentials is asked for the caller's ids: %v", f)
				continue
			}
			t.Errorf("%q: %v", flags, f)
		}
	}
}

// A root directory that the target chose, in our own mount namespace: what is in it
// is the target's code as well.
func TestRootOfTheTarget(t *testing.T) {
	requireTargets(t)
	root := boxRoot(t)
	// Any user may change the root directory in a user namespace of his own.
	p := place{flags: unix.CLONE_NEWNET, words: append(append([]string{}, setUser...), "unshare", "-Ur", "-R", root)}
	pid := p.idleAt(t, "/idle")
	for _, flags := range [][]string{{"-n", "-r"}, {"-n", "-r", "-w"}, {"-n", "--root"}} {
		argv := append(append([]string{nsxBinary, "enter"}, flags...), "-t", strconv.Itoa(pid), "--", "/idle")
		o := run(t, nil, argv, findIdle)
		if f := o.inside; f != nil && strings.HasPrefix(f.uid, "0") {
			t.Errorf("the attack succeeded with %q: %v", flags, f)
		}
	}
}
