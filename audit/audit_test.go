package audit

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hook()
	os.Exit(testkit.Main(m))
}

var butUser = []inspect.Type{inspect.Cgroup, inspect.IPC, inspect.Mnt, inspect.Net, inspect.PID, inspect.UTS}

func without(types ...inspect.Type) []inspect.Type {
	return slices.DeleteFunc(slices.Clone(butUser), func(t inspect.Type) bool { return slices.Contains(types, t) })
}

func yes() *bool { b := true; return &b }

// docker is what a container has by default.
func docker() *subject {
	return &subject{
		&inspect.Set{NS: inspect.NSSet{11, 12, 13, 14, 15, 16, 17, 18}, Apart: butUser, Identity: &identity.Identity{Kind: identity.Container, Name: "web"}},
		&inspect.Profile{
			Process: &inspect.Process{PID: 7},
			Rights:  &inspect.Rights{OnHost: yes(), Effective: []string{"chown", "net_raw"}, Seccomp: "filter", Label: "docker-default (enforce)"},
			Files:   &inspect.Files{Mounts: []inspect.Mount{{Mountpoint: "/", HostPath: "/var/lib/x"}, {Mountpoint: "/data", HostPath: "/srv"}}},
		},
	}
}

// TestRules: each rule is met by what it is about, and by nothing that is usual.
func TestRules(t *testing.T) {
	if found := examine(docker()); len(found) > 0 {
		t.Errorf("a usual container: %+v", found)
	}
	for _, c := range []struct {
		name   string
		change func(*subject)
		rules  []string // all that are met
	}{
		{"--privileged", func(s *subject) {
			s.profile.Rights = &inspect.Rights{OnHost: yes(), AllCapabilities: true, Effective: []string{"sys_admin", "sys_module"}, Seccomp: "none", Label: "unconfined"}
		}, []string{"privileged", "unconfined"}},
		{"--pid=host", func(s *subject) { s.set.Apart = without(inspect.PID) }, []string{"host-pid"}},
		{"--net=host --ipc=host", func(s *subject) { s.set.Apart = without(inspect.Net, inspect.IPC) }, []string{"host-net", "host-ipc"}},
		{"in the host's files", func(s *subject) { s.set.Apart = without(inspect.Mnt) }, []string{"host-mnt"}},
		{"a kernel without IPC namespaces", func(s *subject) { s.set.Apart, s.set.NS[inspect.IPC] = without(inspect.IPC), 0 }, nil},
		{"what is shared is not known", func(s *subject) { s.set.Apart = nil }, nil},
		{"--cap-add SYS_MODULE", func(s *subject) { s.profile.Rights.Effective = []string{"sys_module"} }, []string{"kernel-caps"}},
		{"--cap-add SYS_PTRACE --pid=host", func(s *subject) {
			s.profile.Rights.Effective, s.set.Apart = []string{"sys_ptrace"}, without(inspect.PID)
		}, []string{"host-pid", "kernel-caps"}},
		{"SYS_PTRACE alone", func(s *subject) { s.profile.Rights.Effective = []string{"sys_ptrace"} }, nil},
		{"--cap-add SYS_ADMIN", func(s *subject) { s.profile.Rights.Effective = []string{"sys_admin"} }, []string{"root-is-root"}},
		{"all of it in a user namespace", func(s *subject) {
			no := false
			s.profile.Rights = &inspect.Rights{OnHost: &no, AllCapabilities: true, Effective: []string{"sys_admin", "sys_module"}, Seccomp: "filter"}
		}, nil},
		{"no seccomp", func(s *subject) { s.profile.Rights.Seccomp = "none" }, []string{"no-seccomp"}},
		{"SELinux alone", func(s *subject) {
			s.profile.Rights.Seccomp, s.profile.Rights.Label = "none", "system_u:system_r:container_t:s0:c1,c2"
		}, []string{"no-seccomp"}},
		{"SELinux's super container", func(s *subject) {
			s.profile.Rights.Seccomp, s.profile.Rights.Label = "none", "system_u:system_r:spc_t:s0"
		}, []string{"unconfined"}},
		{"a profile that only complains", func(s *subject) {
			s.profile.Rights.Seccomp, s.profile.Rights.Label = "none", "docker-default (complain)"
		}, []string{"unconfined"}},
		{"the engine's socket", func(s *subject) {
			s.profile.Files.Mounts = append(s.profile.Files.Mounts, inspect.Mount{Mountpoint: "/var/run/docker.sock", HostPath: "/run/docker.sock"})
		}, []string{"engine-socket"}},
		{"that by another name", func(s *subject) {
			s.profile.Files.Mounts = append(s.profile.Files.Mounts, inspect.Mount{Mountpoint: "/x", HostPath: "/run/containerd/containerd.sock"})
		}, []string{"engine-socket"}},
		{"the host's root", func(s *subject) {
			s.profile.Files.Mounts = append(s.profile.Files.Mounts, inspect.Mount{Mountpoint: "/host", HostPath: "/", Options: "ro,nosuid"})
		}, []string{"host-root"}},
		{"nothing could be read", func(s *subject) { s.profile.Rights, s.profile.Files = nil, nil }, nil},
	} {
		s := docker()
		c.change(s)
		var got []string
		for _, f := range examine(s) {
			got = append(got, f.Rule)
			if f.Name == "" || f.PID != 7 || f.What == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if !slices.Equal(got, c.rules) {
			t.Errorf("%s: %q, want %q", c.name, got, c.rules)
		}
	}
}

// TestExamine looks at real processes.
func TestExamine(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.RequireNS(t, "user", "net")
	var m inspect.Machine
	rooted := testkit.Start(t, testkit.Config{New: []string{"net"}})
	mapped := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
	for _, c := range []struct {
		p        *testkit.Proc
		met, not []string
	}{
		{rooted, []string{"host-pid", "host-mnt"}, []string{"host-net"}},
		{mapped, []string{"host-pid", "host-mnt"}, []string{"host-net", "privileged", "kernel-caps", "root-is-root"}},
	} {
		report, err := Examine(t.Context(), m, Options{Targets: []string{strconv.Itoa(c.p.PID)}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range report.Findings {
			got = append(got, f.Rule)
			if f.PID != c.p.PID {
				t.Errorf("%+v is not about %d", f, c.p.PID)
			}
		}
		for _, rule := range c.met {
			if !slices.Contains(got, rule) {
				t.Errorf("%v: %q, want %s among them", c.p.PID, got, rule)
			}
		}
		for _, rule := range c.not {
			if slices.Contains(got, rule) {
				t.Errorf("%v: %q, want no %s", c.p.PID, got, rule)
			}
		}
		if report.Examined != 1 || report.Clean != 0 {
			t.Errorf("%+v", report)
		}
	}
	if _, err := Examine(t.Context(), m, Options{Targets: []string{"4194304"}}); !errors.Is(err, inspect.ErrGone) {
		t.Errorf("%v", err)
	}
	if _, err := Examine(t.Context(), m, Options{All: true}); err != nil {
		t.Errorf("all: %v", err)
	}
}

// TestRulesAreExplained: a rule without a reason or a next step is none.
func TestRulesAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if r.Why == "" || !strings.HasSuffix(r.Why, ".") || r.Next == "" || seen[r.Name] || r.Severity != High && r.Severity != Medium {
			t.Errorf("%+v", r)
		}
		seen[r.Name] = true
	}
}

// TestOrder: who has the worst comes first, and what is of one stays together.
func TestOrder(t *testing.T) {
	list := []Finding{{PID: 1, Name: "b", Severity: Medium}, {PID: 2, Name: "a", Severity: Medium}, {PID: 3, Name: "z", Severity: High}, {PID: 3, Name: "z", Severity: Medium}}
	sortFindings(list)
	var got []int
	for _, f := range list {
		got = append(got, f.PID)
	}
	if !slices.Equal(got, []int{3, 3, 2, 1}) {
		t.Errorf("%v", got)
	}
}

// TestDocument: docs/audit.md has each rule as it is.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Rules() {
		if line := "| `" + r.Name + "` | " + string(r.Severity) + " | " + r.Why + " | " + r.Next + " |\n"; !strings.Contains(string(text), line) {
			t.Errorf("docs/audit.md lacks\n%s", line)
		}
	}
}
