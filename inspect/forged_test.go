package inspect

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/identity"
	"nsx/internal/testkit"
)

// claimantEnv has this test binary play a supervisor, or what it supervises.
const claimantEnv = "NSX_INSPECT_CLAIMANT"

// playClaimant is a set-user-ID program that becomes root for good, as sudo(8) does while
// it asks for a password, with a child in another namespace.
func playClaimant() int {
	if os.Getenv(claimantEnv) == "child" {
		fmt.Println(os.Getpid())
		_, _ = os.Stdin.Read(make([]byte, 1))
		return 0
	}
	if err := unix.Setresuid(0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{claimantEnv + "=child"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS}
	if err := cmd.Run(); err != nil {
		return 1
	}
	return 0
}

// identityOf is what the machine says of a process.
func identityOf(t *testing.T, pid int) *identity.Identity {
	t.Helper()
	s, _, err := Machine{}.Find(t.Context(), []string{strconv.Itoa(pid)}, Options{Names: true, Cgroups: true, Details: AllDetails})
	if err != nil {
		t.Fatal(err)
	}
	return s.Process(pid).Identity
}

// Who starts a set-user-ID program of root's by the name and with the arguments of a
// supervisor does not speak for root, though it is root by then.
func TestSetUserIDClaimant(t *testing.T) {
	testkit.RequireRoot(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "nsx-inspect.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "conmon")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, 0o755 | os.ModeSetuid} {
		if err := os.Chmod(program, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "--api-version", "1", "-c", idWeb, "-n", "web")
		cmd.Env = []string{claimantEnv + "=supervisor"}
		cmd.Stderr = os.Stderr
		if mode&os.ModeSetuid != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		pid, _ := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		got := target(identityOf(t, pid))
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		// Root's own program is believed: else this would show nothing.
		if own := mode&os.ModeSetuid == 0; own != (got == "podman:web") {
			t.Errorf("mode %v: %q", mode, got)
		}
	}
}

// Who may make groups below one that root has given him makes them by names that runtimes
// and systemd use. They count as his.
func TestForgedGroups(t *testing.T) {
	testkit.RequireRoot(t)
	top := filepath.Join(testkit.RequireCgroup2(t), fmt.Sprintf("nsx-test-forged-%d", os.Getpid()))
	docker, unit := "docker-"+idWeb+".scope", "nginx.service"
	for _, dir := range []string{"", docker, unit, unit + "/group"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(filepath.Join(top, dir)) })
	}
	p := testkit.Start(t, testkit.Config{New: []string{"uts"}})
	defer p.Kill()
	for _, owner := range []int{0, 65534} {
		if err := os.Chown(top, owner, owner); err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]string{unit: "unit:nginx", unit + "/group": "unit:nginx", docker: "docker:1111aaaaaaaa"} {
			if err := os.WriteFile(filepath.Join(top, dir, "cgroup.procs"), []byte(strconv.Itoa(p.PID)), 0); err != nil {
				t.Fatal(err)
			}
			id := identityOf(t, p.PID)
			if id == nil || id.OwnerUID != uint32(owner) || id.Trusted() != (owner == 0) {
				t.Fatalf("%s of %d: %+v", dir, owner, id)
			}
			if owner != 0 && dir != docker { // an ID is the same for everybody
				want = strings.Replace(want, ":", "("+id.Owner+"):", 1)
			}
			if got := target(id); got != want {
				t.Errorf("%s of %d: %q, want %q", dir, owner, got, want)
			}
		}
	}
}
