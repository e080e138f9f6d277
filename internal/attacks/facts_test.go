package attacks

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// facts is what a process is, as /proc outside shows it.
type facts struct {
	pid                     int
	uid, gid, groups        string // four host ids each; a list
	inh, prm, eff, bnd, amb uint64
	nnp, seccomp, filters   int
	leader                  bool // of its session
	terminal                int  // device number, 0: none
	ns                      map[string]uint64
	// owner is the user namespace that owns its mount namespace, 0 if that is one
	// above ours.
	owner   uint64
	cgroups string
}

func (f *facts) String() string {
	if f == nil {
		return "no command"
	}
	return fmt.Sprintf("Uid %s, Gid %s, Groups %q, CapInh %x, CapPrm %x, CapEff %x, CapBnd %x, CapAmb %x, NoNewPrivs %d, Seccomp %d with %d filters, session leader %v, user:[%d], mnt:[%d] of user:[%d]",
		f.uid, f.gid, f.groups, f.inh, f.prm, f.eff, f.bnd, f.amb, f.nnp, f.seccomp, f.filters, f.leader, f.ns["user"], f.ns["mnt"], f.owner)
}

// field reads a line of a status file.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// factsOf looks at a process; nil if it is gone.
func factsOf(pid int) *facts {
	dir := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(dir + "/status")
	if err != nil {
		return nil
	}
	status := string(text)
	hex := func(name string) uint64 {
		n, _ := strconv.ParseUint(field(status, name), 16, 64)
		return n
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(field(status, name))
		return n
	}
	f := &facts{
		pid: pid, uid: field(status, "Uid"), gid: field(status, "Gid"), groups: field(status, "Groups"),
		inh: hex("CapInh"), prm: hex("CapPrm"), eff: hex("CapEff"), bnd: hex("CapBnd"), amb: hex("CapAmb"),
		nnp: number("NoNewPrivs"), seccomp: number("Seccomp"), filters: number("Seccomp_filters"),
		ns: map[string]uint64{},
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	// pid (comm) state ppid pgrp session tty_nr …
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	f.leader = fields[3] == strconv.Itoa(pid)
	f.terminal, _ = strconv.Atoi(fields[4])
	for _, name := range testkit.AllNS {
		f.ns[name], _ = testkit.ReadNS(dir + "/ns/" + name)
	}
	if ns, err := unix.Open(dir+"/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		if owner, err := unix.IoctlRetInt(ns, unix.NS_GET_USERNS); err == nil {
			var st unix.Stat_t
			if unix.Fstat(owner, &st) == nil {
				f.owner = st.Ino
			}
			unix.Close(owner)
		}
		unix.Close(ns)
	}
	cgroups, _ := os.ReadFile(dir + "/cgroup")
	f.cgroups = string(cgroups)
	return f
}

func need(t testing.TB, pid int) *facts {
	t.Helper()
	f := factsOf(pid)
	if f == nil {
		t.Fatalf("process %d is gone", pid)
	}
	return f
}

// beyond says what a command has that its target has not, "" if that is nothing.
func (f *facts) beyond(target *facts) string {
	var list []string
	differs := func(what string, got, want any) {
		if got != want {
			list = append(list, fmt.Sprintf("%s is %v, the target's %v", what, got, want))
		}
	}
	differs("Uid", f.uid, target.uid)
	differs("Gid", f.gid, target.gid)
	differs("user namespace", f.ns["user"], target.ns["user"])
	differs("NoNewPrivs", f.nnp, target.nnp)
	differs("number of filters", f.filters, target.filters)
	if f.groups != "" && f.groups != target.groups {
		list = append(list, fmt.Sprintf("Groups %q, the target's %q", f.groups, target.groups))
	}
	for _, c := range []struct {
		name      string
		got, most uint64
	}{{"CapInh", f.inh, 0}, {"CapAmb", f.amb, 0}, {"CapPrm", f.prm, target.most()}, {"CapEff", f.eff, target.most()}, {"CapBnd", f.bnd, target.bnd}} {
		if over := c.got &^ c.most; over != 0 {
			list = append(list, fmt.Sprintf("%s has %x more than the target could get", c.name, over))
		}
	}
	if !f.leader {
		list = append(list, "it is in somebody else's session")
	}
	return strings.Join(list, "; ")
}

// most is the capabilities that the process could get by an execve: its bounding
// set if it is root in its user namespace, which all our targets are, and with
// no_new_privs only what it has of that.
func (f *facts) most() uint64 {
	if f.nnp == 1 {
		return f.prm & f.bnd
	}
	return f.bnd
}
