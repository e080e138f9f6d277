//go:build systemd

package systemd

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A service with namespaces of its own is found, and entered.
func TestPrivate(t *testing.T) {
	box := service(t, "nsxtest-box.service", []string{"PrivateNetwork=yes", "PrivateTmp=yes", "PrivateUsers=yes"},
		"sh", "-c", "echo here >/tmp/mark; exec sleep 900")
	pid := strconv.Itoa(box.pid)
	comm := func() string {
		data, _ := os.ReadFile("/proc/" + pid + "/comm")
		return string(data)
	}
	waitFor(t, "its program", func() bool { return comm() == "sleep\n" })
	doc := decode[struct {
		Namespaces []struct {
			Type    string
			Inode   uint64
			Initial *bool
			PIDs    []int
			Leader  struct{ PID int }
		}
	}](t, "ls", pid)
	apart := map[string]bool{}
	for _, ns := range doc.Namespaces {
		if want := link(t, pid, ns.Type); want != fmt.Sprintf("%s:[%d]", ns.Type, ns.Inode) {
			t.Errorf("%s:[%d], want %s", ns.Type, ns.Inode, want)
		}
		if apart[ns.Type] = link(t, "1", ns.Type) != link(t, pid, ns.Type); !apart[ns.Type] {
			continue
		}
		if ns.Leader.PID != box.pid || len(ns.PIDs) != 1 || ns.Initial == nil || *ns.Initial {
			t.Errorf("%+v, want process %d alone, and its leader", ns, box.pid)
		}
	}
	if !apart["net"] || !apart["mnt"] || !apart["user"] || apart["uts"] || apart["cgroup"] {
		t.Errorf("of its own it has %v", apart)
	}
	enter := func(words ...string) string { return run(t, append([]string{"nsx", "enter", pid, "--"}, words...)...) }
	for name := range apart {
		if got, want := enter("readlink", "/proc/self/ns/"+name), link(t, pid, name); got != want {
			t.Errorf("a command inside is in %s, want %s", got, want)
		}
	}
	if got := enter("ip", "-o", "link"); !strings.HasPrefix(got, "1: lo:") || strings.Contains(got, "\n") {
		t.Errorf("devices inside: %q, want lo", got)
	}
	if got := enter("cat", "/tmp/mark"); got != "here" {
		t.Errorf("its /tmp has %q", got)
	}
	if _, err := os.Stat("/tmp/mark"); err == nil {
		t.Error("its /tmp is everybody's: the test proves nothing")
	}
	if got, want := enter("cat", "/proc/self/uid_map"), run(t, "cat", "/proc/"+pid+"/uid_map"); got != want {
		t.Errorf("users inside: %q, want %q", got, want)
	}
	// With -c it is one of the service's processes, and systemd counts it.
	for line := range strings.Lines(run(t, "nsx", "enter", "-c", pid, "--", "cat", "/proc/self/cgroup")) {
		if name, path, _ := strings.Cut(strings.TrimSpace(line[strings.Index(line, ":")+1:]), ":"); (name == "" || name == "name=systemd") && path != box.group {
			t.Errorf("with -c it is in %q, want %s", line, box.group)
		}
	}
	if now := units(t, box.name)[0]; now.pid != box.pid {
		t.Errorf("the service's main process is %d now, it was %d", now.pid, box.pid)
	}
}

// What a service may not do, a command that is its code may not either.
func TestConfined(t *testing.T) {
	box := service(t, "nsxtest-box.service", []string{
		"PrivateTmp=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=CAP_CHOWN CAP_SYS_PTRACE",
		"SystemCallFilter=~mkdir mkdirat", "SystemCallErrorNumber=EUCLEAN",
	}, "sleep", "900")
	pid := strconv.Itoa(box.pid)
	theirs, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	rights := func(status string) (list []string) {
		for line := range strings.Lines(status) {
			switch name, _, _ := strings.Cut(line, ":"); name {
			case "CapBnd", "CapEff", "NoNewPrivs", "Seccomp":
				list = append(list, line)
			}
		}
		return list
	}
	got, want := rights(run(t, "nsx", "enter", pid, "--", "cat", "/proc/self/status")), rights(string(theirs))
	if !slices.Equal(got, want) || !slices.Contains(want, "Seccomp:\t2\n") {
		t.Errorf("a command inside has %q, the service %q", got, want)
	}
	if r := try(t, "nsx", "enter", pid, "--", "mkdir", "/tmp/below"); r.Status != 1 || !strings.Contains(r.Stderr, "Structure needs cleaning") {
		t.Errorf("mkdir inside: %+v, want the service's EUCLEAN", r)
	}
	run(t, "nsx", "enter", "--privileged", pid, "--", "mkdir", "/tmp/below")
}

func link(t *testing.T, pid, name string) string {
	t.Helper()
	to, err := os.Readlink("/proc/" + pid + "/ns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return to
}
