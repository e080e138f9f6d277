//go:build containers

package containers

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// check holds nsx against what the runtime says of a container.
func (b *box) check(t *testing.T) {
	boxes = append(boxes, link(t, b.pid, "pid"))
	waitFor(t, "the container's two processes", func() bool { return b.sleepers(t) == 2 })
	if b.exec != nil {
		run(t, append(slices.Clone(b.exec), "true")...) // some make groups for it
	}
	before := b.state(t)
	t.Run("ls", b.checkLs)
	t.Run("name", b.checkName)
	t.Run("who", b.checkWho)
	t.Run("ps", b.checkPs)
	t.Run("enter", b.checkEnter)
	t.Run("rights", b.checkRights)
	t.Run("status", b.checkStatus)
	t.Run("net", b.checkNet)
	t.Run("foreach", b.checkForeach)
	t.Run("limits", b.checkLimits)
	t.Run("freeze", b.checkFreeze)
	after := b.state(t)
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("nsx took away %s", line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("nsx left behind %s", line)
		}
	}
}

// checkName looks the container up by its name, which every one of its processes has.
func (b *box) checkName(t *testing.T) {
	if b.name == "" {
		return
	}
	doc := decode[struct {
		Processes []struct{ PID int }
	}](t, b.nsx("ps", "-o", "json", b.name)...)
	var got []int
	for _, p := range doc.Processes {
		got = append(got, p.PID)
	}
	if want := b.members(t); !slices.Equal(got, want) {
		t.Errorf("%s is %v, want %v", b.name, got, want)
	}
	if names := run(t, b.nsx("ps", "--no-headers", "--columns", "name", b.target())...); names != b.name+"\n" {
		t.Errorf("process %d is named %q, want %s", b.pid, names, b.name)
	}
	if b.as == nil {
		if got := run(t, b.nsx("enter", b.name, "--", "hostname")...); got != hostname+"\n" {
			t.Errorf("hostname %q, want %s", got, hostname)
		}
	}
}

// state is what nsx may not change: processes, mounts and cgroups.
func (b *box) state(t *testing.T) []string {
	t.Helper()
	list := allGroups(t)
	for _, pid := range b.members(t) {
		list = append(list, fmt.Sprint("process ", pid))
	}
	for line := range strings.Lines(mounts(t, "self") + mounts(t, b.target())) {
		list = append(list, line)
	}
	return list
}

// sleepers counts the processes of boxMain that are what they shall be.
func (b *box) sleepers(t *testing.T) int {
	t.Helper()
	n := 0
	for _, pid := range b.members(t) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if string(cmdline) == "sleep\x00"+lifetime+"\x00" {
			n++
		}
	}
	return n
}

// members lists the processes in the container's PID namespace.
func (b *box) members(t *testing.T) []int {
	t.Helper()
	var pids []int
	want := fmt.Sprintf("pid:[%d]", link(t, b.pid, "pid"))
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if ns, _ := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid")); err == nil && ns == want {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// own is the namespaces of the container that are not this machine's.
func (b *box) own(t *testing.T) map[string]uint64 {
	t.Helper()
	host, own := links(t, os.Getpid()), links(t, b.pid)
	maps.DeleteFunc(own, func(name string, inode uint64) bool { return inode == host[name] })
	return own
}

func (b *box) checkLs(t *testing.T) {
	doc := decode[struct {
		Namespaces []struct {
			Type    string
			Inode   uint64
			Initial *bool // null to a user, who may not look at the boot's
			PIDs    []int
		}
	}](t, b.nsx("ls", b.target(), "-o", "json")...)
	got, apart := map[string]uint64{}, map[string]uint64{}
	for _, ns := range doc.Namespaces {
		got[ns.Type] = ns.Inode
		if ns.Initial != nil && !*ns.Initial {
			apart[ns.Type] = ns.Inode
		}
		if !slices.Contains(ns.PIDs, b.pid) {
			t.Errorf("%s:[%d] has processes %v, not %d", ns.Type, ns.Inode, ns.PIDs, b.pid)
		}
		if ns.Type == "pid" && b.as == nil && !slices.Equal(ns.PIDs, b.members(t)) {
			t.Errorf("pid:[%d] has processes %v, want %v", ns.Inode, ns.PIDs, b.members(t))
		}
	}
	if want := links(t, b.pid); !maps.Equal(got, want) {
		t.Errorf("namespaces %v, want %v", got, want)
	}
	for name, inode := range b.ns {
		if got[name] != inode {
			t.Errorf("%s:[%d], the runtime says %d", name, got[name], inode)
		}
	}
	if b.as != nil {
		return
	}
	if want := b.own(t); !maps.Equal(apart, want) {
		t.Errorf("namespaces other than the machine's %v, want %v", apart, want)
	}
	for _, name := range []string{"ipc", "mnt", "net", "pid", "uts"} {
		if apart[name] == 0 {
			t.Errorf("the container has the machine's %s namespace: the test would prove little", name)
		}
	}
}

func (b *box) checkPs(t *testing.T) {
	type process struct {
		PID     int
		NSPIDs  []int `json:"ns_pids"`
		NS      map[string]uint64
		Cgroups []struct {
			Controllers []string
			Path        string
		}
	}
	doc := decode[struct{ Processes []process }](t, b.nsx("ps", fmt.Sprintf("pid:[%d]", link(t, b.pid, "pid")), "-o", "json")...)
	var pids []int
	for _, p := range doc.Processes {
		pids = append(pids, p.PID)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			t.Fatal(err)
		}
		if want := numbers(field(string(status), "NSpid")); !slices.Equal(p.NSPIDs, want) {
			t.Errorf("process %d is %v in its namespaces, want %v", p.PID, p.NSPIDs, want)
		}
		if want := links(t, p.PID); !maps.Equal(p.NS, want) {
			t.Errorf("process %d is in %v, want %v", p.PID, p.NS, want)
		}
		for _, g := range p.Cgroups {
			if b.group != "" && g.Path != b.group {
				t.Errorf("process %d is in %q of %v, the runtime says %q", p.PID, g.Path, g.Controllers, b.group)
			}
		}
	}
	slices.Sort(pids)
	if want := b.members(t); !slices.Equal(pids, want) || len(want) < 2 {
		t.Errorf("processes %v, want %v", pids, want)
	}
	if b.pids != nil {
		if want := slices.Sorted(slices.Values(b.pids())); !slices.Equal(pids, want) {
			t.Errorf("processes %v, the runtime says %v", pids, want)
		}
	}
	sets := decode[struct {
		Sets []struct{ PIDs []int }
	}](t, b.nsx("ls", "--each=false", b.target(), "-o", "json")...)
	if len(sets.Sets) != 1 || !slices.Equal(sets.Sets[0].PIDs, pids) {
		t.Errorf("sets %v, want one of %v", sets.Sets, pids)
	}
}

// enterWords are commands that give the same answer whoever runs them inside.
var enterWords = [][]string{
	{"sh", "-c", "hostname; pwd; id -u; id -g; cat /proc/1/cmdline; exit 9"},
	{"ls", "/"},
	{"cat", "/etc/plain", "/no-such-file"},
}

func (b *box) checkEnter(t *testing.T) {
	if got := run(t, b.enter("hostname")...); got != hostname+"\n" {
		t.Errorf("hostname %q, want %s", got, hostname)
	}
	for name, inode := range b.own(t) {
		want := fmt.Sprintf("%s:[%d]\n", name, inode)
		if got := run(t, b.enter("readlink", "/proc/self/ns/"+name)...); got != want {
			t.Errorf("a command inside is in %s, want %s", got, want)
		}
	}
	// In the container's own numbers: its processes, and ps itself.
	got := numbers(run(t, b.enter("ps", "-o", "pid")...))
	if len(got) != len(b.members(t))+1 || !slices.Contains(got, 1) {
		t.Errorf("ps inside sees %v, want %d processes", got, len(b.members(t))+1)
	}
	if b.exec == nil {
		return
	}
	for _, words := range enterWords {
		got, want := try(t, b.enter(words...)...), try(t, append(slices.Clone(b.exec), words...)...)
		if got.Stdout != want.Stdout || got.Status != want.Status {
			t.Errorf("%q: %+v, the runtime has %+v", words, got, want)
		}
	}
}

// rightsOf are lines of /proc/PID/status that say what a process may do.
var rightsOf = []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"}

// checkRights compares a command of nsx's inside with one of the runtime's, or
// with the container's first process if the runtime starts no other. What
// differs is in the list, and what is in the list differs, but for what varies.
func (b *box) checkRights(t *testing.T) {
	names, want := rightsOf, map[string]string{}
	if b.exec != nil {
		want = facts(t, append(slices.Clone(b.exec), factsScript...))
	} else {
		names = []string{"CapBnd", "NoNewPrivs", "Seccomp"}
		status, err := os.ReadFile(filepath.Join("/proc", b.target(), "status"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			want[name] = field(string(status), name)
		}
	}
	got := facts(t, b.enter(factsScript...))
	if b.exec == nil {
		maps.DeleteFunc(got, func(name, _ string) bool { return !slices.Contains(names, name) })
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		reason, listed := b.differs[name]
		if always, ok := b.varies[name]; ok {
			want[name] = always
		}
		switch same := got[name] == want[name]; {
		case same && listed:
			t.Errorf("%s is %q as the runtime's: take it off the list (%s)", name, got[name], reason)
		case !same && !listed:
			t.Errorf("%s is %q, the runtime's %q", name, got[name], want[name])
		}
	}
	for name, reason := range b.differs {
		if _, ok := want[name]; !ok {
			t.Errorf("the list has %s (%s), which is not compared", name, reason)
		}
	}
}

func (b *box) checkStatus(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  int
	}{
		{[]string{"sh", "-c", "exit 7"}, 7},
		{[]string{"sh", "-c", "kill -TERM $$"}, 128 + 15},
		{[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9},
		{[]string{"/etc/plain"}, 126},
		{[]string{"no-such-program"}, 127},
	} {
		got := try(t, b.enter(c.words...)...)
		if got.Status != c.want {
			t.Errorf("%q: %+v, want status %d", c.words, got, c.want)
		}
	}
}

// checkNet runs this machine's ip in the container's network.
func (b *box) checkNet(t *testing.T) {
	var devices []string
	data, err := os.ReadFile(filepath.Join("/proc", b.target(), "net/dev"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			devices = append(devices, strings.TrimSpace(name))
		}
	}
	enter := []string{"enter", "-t", b.target(), "-n"}
	if b.as != nil { // who has rights nowhere else
		enter = append(enter, "-U")
	}
	links := decode[[]struct{ Ifname string }](t, b.nsx(append(enter, "--", "ip", "-j", "addr")...)...)
	var got []string
	for _, l := range links {
		got = append(got, l.Ifname)
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(devices))) {
		t.Errorf("devices %q, want %q", got, devices)
	}
	// Nothing but the network is the container's.
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, b.nsx(append(enter, "--", "hostname")...)...); got != own+"\n" {
		t.Errorf("hostname %q, want this machine's %s", got, own)
	}
}

func (b *box) checkForeach(t *testing.T) {
	type results struct {
		Results []struct {
			Target string
			Status int
			Stdout string
		}
	}
	words := []string{"foreach", b.target(), "-o", "json"}
	if b.as != nil {
		words = append(words, "--no-seccomp")
	}
	r := try(t, b.nsx(append(words, "--", "sh", "-c", "hostname; exit 3")...)...)
	var doc results
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if r.Status != 3 || len(doc.Results) != 1 || doc.Results[0].Status != 3 || doc.Results[0].Stdout != hostname+"\n" {
		t.Errorf("foreach: %+v", r)
	}
	if b.as != nil { // it may not enter the others
		return
	}
	// The container's network is one of them, once.
	n := 0
	want := fmt.Sprintf("net:[%d]\n", link(t, b.pid, "net"))
	all := try(t, b.nsx("foreach", "net", "-o", "json", "--", "readlink", "/proc/self/ns/net")...)
	if err := json.Unmarshal([]byte(all.Stdout), &doc); err != nil {
		t.Fatalf("%v: %+v", err, all)
	}
	for _, r := range doc.Results {
		if r.Stdout == want {
			n++
		}
	}
	if n != 1 {
		t.Errorf("foreach net: %d times in %s: %+v", n, want, all)
	}
}
