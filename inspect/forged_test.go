package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// playClaimant is a program of a user's, or a set-user-ID one that becomes root for good,
// as sudo(8) does while it asks for a password, with a child in another namespace.
func playClaimant() int {
	if os.Getenv(claimantEnv) == "child" {
		fmt.Println(os.Getpid())
		_, _ = os.Stdin.Read(make([]byte, 1))
		return 0
	}
	apart := uintptr(unix.CLONE_NEWUTS)
	if os.Getenv(claimantEnv) == "user" {
		apart |= unix.CLONE_NEWUSER
	} else if err := unix.Setresuid(0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{claimantEnv + "=child"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: apart}
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
		in, line := startTalking(t, cmd)
		pid, _ := strconv.Atoi(line)
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
	kube, inner := "kubepods/pod"+uidPod, docker+"/libpod-"+idCart+".scope"
	for _, dir := range []string{"", docker, inner, unit, unit + "/group", "kubepods", kube, kube + "/" + idApp} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(filepath.Join(top, dir)) })
	}
	nobody := cmp.Or(userNames("/")[65534], "65534")
	p := testkit.Start(t, testkit.Config{New: []string{"uts"}})
	defer p.Kill()
	for _, owner := range []int{0, 65534} {
		if err := os.Chown(top, owner, owner); err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]string{
			unit: "unit(OWNER):nginx", unit + "/group": "unit(OWNER):nginx",
			docker: "docker(OWNER):1111aaaaaaaa", kube: "pod(OWNER):" + uidPod, kube + "/" + idApp: "ct(OWNER):4444dddddddd",
			inner: "podman(docker(OWNER):1111aaaaaaaa):2222bbbbbbbb",
		} {
			if err := os.WriteFile(filepath.Join(top, dir, "cgroup.procs"), []byte(strconv.Itoa(p.PID)), 0); err != nil {
				t.Fatal(err)
			}
			id := identityOf(t, p.PID)
			if id == nil || id.Trusted() != (owner == 0 && dir != inner) {
				t.Fatalf("%s of %d: %+v", dir, owner, id)
			}
			if owner == 0 {
				want = strings.Replace(want, "(OWNER)", "", 1)
			}
			want = strings.Replace(want, "OWNER", nobody, 1)
			if got := target(id); got != want {
				t.Errorf("%s of %d: %q, want %q", dir, owner, got, want)
			}
		}
	}
}

// A user's own process may carry the words of any runtime's supervisor, with the ID of
// root's container, and his groups any name below it. All of that is his.
func TestForgedClaimants(t *testing.T) {
	testkit.RequireRoot(t)
	top := filepath.Join(testkit.RequireCgroup2(t), fmt.Sprintf("nsx-test-claimants-%d", os.Getpid()))
	kube := "kubepods/pod" + uidPod
	for _, dir := range []string{"", "kubepods", kube, kube + "/" + idApp} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(filepath.Join(top, dir)) })
	}
	if err := os.Chown(top, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	nobody := cmp.Or(userNames("/")[65534], "65534")
	for name, c := range map[string]struct {
		argv  []string
		group string
		want  string // OWNER is he
		plain string // what would be root's
	}{
		"docker": {argv: []string{"containerd-shim-runc-v2", "-namespace", "moby", "-id", idWeb}, want: "docker(OWNER):1111aaaaaaaa", plain: "docker:1111aa"},
		"a pod":  {argv: []string{"containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", idPod}, want: "pod(OWNER):3333cccccccc", plain: "pod:3333cc"},
		"a pod with groups": {
			argv:  []string{"containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", idPod},
			group: kube + "/" + idApp, want: "ct(OWNER):4444dddddddd", plain: "ct:4444dd",
		},
		"a name that is none": {argv: []string{"conmon", "-c", idWeb, "-n", "a\x1b[2Jb"}, want: "podman(OWNER):1111aaaaaaaa", plain: "podman:1111aa"},
		"CRI-O":               {argv: []string{"conmon", "-c", idWeb, "-n", "k8s_app_cart_shop_" + uidPod + "_0"}, want: "pod(OWNER):shop/cart/app", plain: "pod:" + uidPod},
	} {
		t.Run(name, func(t *testing.T) {
			pid := startClaimant(t, c.argv)
			if c.group != "" {
				if err := os.WriteFile(filepath.Join(top, c.group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
					t.Fatal(err)
				}
			}
			id := identityOf(t, pid)
			want := strings.Replace(c.want, "OWNER", nobody, 1)
			if got := target(id); got != want || id.Trusted() {
				t.Errorf("%q, want %q", got, want)
			}
			for word, found := range map[string]bool{want: true, c.plain: false, strings.SplitN(c.plain, ":", 2)[1]: false} {
				_, match, err := Machine{}.Find(t.Context(), []string{word}, Options{})
				if slices.Contains(match.PIDs, pid) != found {
					t.Errorf("%s: %v, %v", word, match.PIDs, err)
				}
			}
		})
	}
}

// startClaimant has uid 65534 play a supervisor; the answer is the PID of the child that
// it has put into other namespaces.
func startClaimant(t *testing.T, argv []string) int {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "nsx-inspect.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, argv[0])
	if err := errors.Join(os.WriteFile(program, self, 0o755), os.Chmod(program, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, argv[1:]...)
	cmd.Env = []string{claimantEnv + "=user"}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	in, line := startTalking(t, cmd)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	pid, _ := strconv.Atoi(line)
	return pid
}
