package doctor_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/doctor"
)

// tree makes a captured root of files.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const v2mount = "24 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"

// TestChecks: each check on captured machines in each of its states.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		check string
		files map[string]string
		state doctor.State
		says  string // a part of what, cause or next
	}{
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "6.18.0"}, doctor.OK, "6.18.0 has all"},
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "6.1.0-40-amd64"}, doctor.Note, "NS_GET_ID"},
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "5.10.0"}, doctor.Note, "lacks 2 things"},
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "4.19.0"}, doctor.No, "Linux 5.10"},
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "pizza"}, doctor.Unknown, "release"},
		{"kernel", nil, doctor.Unknown, "release"},

		{"userns", map[string]string{"proc/sys/user/max_user_namespaces": "1000"}, doctor.OK, "1000 for each"},
		{"userns", map[string]string{"proc/sys/user/max_user_namespaces": "0"}, doctor.No, "sysctl user.max_user_namespaces=10000"},
		{"userns", map[string]string{"proc/sys/user/max_user_namespaces": "9", "proc/sys/kernel/unprivileged_userns_clone": "0"}, doctor.No, "unprivileged_userns_clone=1"},
		{"userns", map[string]string{"proc/sys/user/max_user_namespaces": "9", "proc/sys/kernel/unprivileged_userns_clone": "1"}, doctor.OK, "9 for each"},
		{"userns", nil, doctor.No, "CONFIG_USER_NS"},

		{"apparmor-userns", nil, doctor.OK, "not forbidden"},
		{"apparmor-userns", map[string]string{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n"}, doctor.OK, "not forbidden"},
		{"apparmor-userns", map[string]string{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, doctor.No, "bubblewrap"},

		{"ptrace", nil, doctor.OK, "no Yama"},
		{"ptrace", map[string]string{"proc/sys/kernel/yama/ptrace_scope": "0"}, doctor.OK, "=0"},
		{"ptrace", map[string]string{"proc/sys/kernel/yama/ptrace_scope": "1"}, doctor.OK, "enough as root"},
		{"ptrace", map[string]string{"proc/sys/kernel/yama/ptrace_scope": "2"}, doctor.Note, "CAP_SYS_PTRACE"},
		{"ptrace", map[string]string{"proc/sys/kernel/yama/ptrace_scope": "3"}, doctor.No, "--no-seccomp"},

		{"hidepid", nil, doctor.Unknown, "mount table"},
		{"hidepid", map[string]string{"proc/1/mountinfo": "20 1 0:5 / /proc rw - proc proc rw\n"}, doctor.OK, "all processes"},
		{"hidepid", map[string]string{"proc/1/mountinfo": "20 1 0:5 / /proc rw - proc proc rw,hidepid=invisible\n"}, doctor.Note, "hidepid=invisible"},
		{"hidepid", map[string]string{"proc/1/mountinfo": "20 1 0:5 / /proc rw - proc proc rw,hidepid=off\n"}, doctor.OK, "all processes"},
		{"hidepid", map[string]string{"proc/1/mountinfo": "20 1 0:5 / /jail/proc rw - proc proc rw,hidepid=2\n"}, doctor.OK, "all processes"},

		{"lsm", nil, doctor.Unknown, "securityfs"},
		{"lsm", map[string]string{"sys/kernel/security/lsm": "capability,yama,apparmor"}, doctor.OK, "capability yama apparmor"},
		{"lsm", map[string]string{"sys/kernel/security/lsm": "capability,selinux", "sys/fs/selinux/enforce": "0"}, doctor.OK, "only warns"},
		{"lsm", map[string]string{"sys/kernel/security/lsm": "capability,selinux", "sys/fs/selinux/enforce": "1"}, doctor.OK, "enforces"},

		{"cgroup", map[string]string{"proc/1/mountinfo": ""}, doctor.No, "mount -t cgroup2"},
		{"cgroup", map[string]string{"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu"}, doctor.OK, "nsdelegate"},
		{"cgroup", map[string]string{"proc/1/mountinfo": strings.ReplaceAll(v2mount, ",nsdelegate", ""), "sys/fs/cgroup/cgroup.controllers": "cpu"}, doctor.Note, "remount,nsdelegate"},
		{"cgroup", map[string]string{"proc/1/mountinfo": "25 22 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", "sys/fs/cgroup/pids/tasks": ""}, doctor.Note, "v1 alone"},

		{"controllers", map[string]string{"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu io memory pids"}, doctor.OK, "cpu io memory pids"},
		{"controllers", map[string]string{"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu pids", "proc/cmdline": "quiet cgroup_disable=memory"}, doctor.No, "booted with cgroup_disable"},
		{"controllers", map[string]string{"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu pids memory"}, doctor.No, "not there: io"},

		{"delegation", map[string]string{"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu"}, doctor.OK, "no user's manager"},
		{"delegation", map[string]string{
			"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu",
			"sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "memory pids",
		}, doctor.Note, "uid 1000 has memory pids; not cpu io cpuset"},
		{"delegation", map[string]string{
			"proc/1/mountinfo": v2mount, "sys/fs/cgroup/cgroup.controllers": "cpu",
			"sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "cpu io cpuset memory pids",
		}, doctor.OK, "users have"},

		{"engines", nil, doctor.OK, "no sign"},
		{"engines", map[string]string{"var/lib/docker/containers/": "", "run/docker.sock/": "", "var/lib/lxc/": "", "run/user/1000/containers/": ""}, doctor.OK, "docker lxc podman of uid 1000"},

		{"rights", nil, doctor.Unknown, "this machine's own"},
	} {
		findings, err := doctor.Examine(t.Context(), tree(t, c.files), c.check)
		if err != nil || len(findings) != 1 || findings[0].Check != c.check {
			t.Fatalf("%s: %+v, %v", c.check, findings, err)
		}
		f := findings[0]
		if all := f.What + "\n" + f.Cause + "\n" + f.Next; f.State != c.state || !strings.Contains(all, c.says) {
			t.Errorf("%s of %v: %+v, want %s and %q", c.check, c.files, f, c.state, c.says)
		}
		if f.State == doctor.No && f.Next == "" {
			t.Errorf("%s: no next step: %+v", c.check, f)
		}
	}
}

// TestHostileTree: what cannot be read, or is too long, is not known, and hangs nobody.
func TestHostileTree(t *testing.T) {
	root := tree(t, map[string]string{"proc/sys/kernel/": "", "proc/sys/user/max_user_namespaces": strings.Repeat("9", 1<<20)})
	if err := unix.Mkfifo(filepath.Join(root, "proc/sys/kernel/osrelease"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/cmdline", filepath.Join(root, "proc/cmdline")); err != nil {
		t.Fatal(err)
	}
	if _, err := doctor.Examine(t.Context(), root); err != nil {
		t.Error(err)
	}
}

// TestHere holds some answers against what programs of this machine say.
func TestHere(t *testing.T) {
	findings, err := doctor.Examine(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]doctor.Finding{}
	for _, f := range findings {
		by[f.Check] = f
		if f.What == "" || doctor.About(f.Check) == "" {
			t.Errorf("%+v says nothing", f)
		}
	}
	if len(findings) != len(doctor.Names()) {
		t.Errorf("%d of %d checks", len(findings), len(doctor.Names()))
	}
	release, err := exec.Command("uname", "-r").Output()
	if err != nil || !strings.Contains(by["kernel"].What, strings.TrimSpace(string(release))) {
		t.Errorf("%+v, uname says %s %v", by["kernel"], release, err)
	}
	if os.Geteuid() == 0 && !strings.HasPrefix(by["rights"].What, "root") {
		t.Errorf("%+v", by["rights"])
	}
	if allowed := exec.Command("unshare", "-U", "true").Run() == nil; allowed && by["userns"].State == doctor.No {
		t.Errorf("unshare -U works, and %+v", by["userns"])
	}
	if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.No && f.Next == "" }) {
		t.Errorf("a NO without a next step: %+v", findings)
	}
}

// TestNamesOfChecks: what is no check is wrong usage.
func TestNamesOfChecks(t *testing.T) {
	if _, err := doctor.Examine(t.Context(), "/", "nosuch"); !errors.Is(err, doctor.ErrUsage) || !strings.Contains(err.Error(), "userns") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.Examine(ctx, "/"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if doctor.About("nosuch") != "" {
		t.Error("it knows nosuch")
	}
}
