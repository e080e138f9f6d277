package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// NoSkipEnv is the variable that turns skips into failures, so that a green
// run on a machine that has everything cannot have tested nothing. No single
// run is both root's and an ordinary user's, so its value says whose it is:
// with "1" (or "root") only RequireUser may still skip, with "user" only
// RequireRoot.
const NoSkipEnv = "NSX_NO_SKIP"

// skip skips the test, or fails it where skips are not allowed.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if v := os.Getenv(NoSkipEnv); v != "" && v != "0" {
		t.Fatalf("%s; %s=%s forbids to skip", fmt.Sprintf(format, args...), NoSkipEnv, v)
	}
	t.Skipf(format, args...)
}

// Require skips the test unless ok, for what no other gate asks.
func Require(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		skip(t, format, args...)
	}
}

// RequireRoot skips the test unless it runs with uid 0 and CAP_SYS_ADMIN.
func RequireRoot(t testing.TB) {
	t.Helper()
	why := ""
	if uid := os.Geteuid(); uid != 0 {
		why = fmt.Sprintf("needs root: this is uid %d", uid)
	} else if !hasCap(unix.CAP_SYS_ADMIN) {
		why = "needs root with CAP_SYS_ADMIN: this root does not have it"
	}
	switch {
	case why == "":
	case os.Getenv(NoSkipEnv) == "user":
		t.Skip(why)
	default:
		skip(t, "%s", why)
	}
}

// RequireUser skips the test if it runs as root.
func RequireUser(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if os.Getenv(NoSkipEnv) == "user" {
		t.Fatalf("needs an ordinary user: this is uid 0; %s=user forbids to skip", NoSkipEnv)
	}
	t.Skip("needs an ordinary user: this is uid 0")
}

// RequireNS skips the test unless this process can create a fixture with new
// namespaces of the given types, all at once. An ordinary user needs "user"
// among them.
func RequireNS(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Lstat("/proc/self/ns/" + name); err != nil {
			skip(t, "needs a kernel with %s namespaces: %v", name, err)
		}
	}
	names = slices.Sorted(slices.Values(names))
	if err := canCreate(strings.Join(names, ",")); err != nil {
		skip(t, "needs to create namespaces (%s): %v", strings.Join(names, ", "), err)
	}
}

var (
	createMu sync.Mutex
	created  = map[string]error{}
)

// canCreate tries it, once for each list of types.
func canCreate(names string) error {
	createMu.Lock()
	defer createMu.Unlock()
	err, known := created[names]
	if !known {
		var p *Proc
		if p, err = start(Config{New: strings.Split(names, ",")}); err == nil {
			p.Kill()
		}
		created[names] = err
	}
	return err
}

// RequireCgroup2 skips the test unless a cgroup v2 hierarchy is mounted, and
// says where.
func RequireCgroup2(t testing.TB) (mountPoint string) {
	t.Helper()
	mountPoint, ok := findMount(func(fstype, _ string) bool { return fstype == "cgroup2" })
	if !ok {
		skip(t, "needs a mounted cgroup v2 hierarchy")
	}
	return mountPoint
}

// RequireCgroup1 skips the test unless the given v1 controller (or named
// hierarchy, "name=systemd") is mounted, and says where.
func RequireCgroup1(t testing.TB, controller string) (mountPoint string) {
	t.Helper()
	mountPoint, ok := findMount(func(fstype, options string) bool {
		return fstype == "cgroup" && slices.Contains(strings.Split(options, ","), controller)
	})
	if !ok {
		skip(t, "needs the cgroup v1 hierarchy of %s to be mounted", controller)
	}
	return mountPoint
}

// RequireOnlyCgroup2 skips the test where v1 is mounted too. No machine is both,
// so that NoSkipEnv does not forbid it.
func RequireOnlyCgroup2(t testing.TB) {
	t.Helper()
	RequireCgroup2(t)
	if at, ok := findMount(func(fstype, _ string) bool { return fstype == "cgroup" }); ok {
		t.Skipf("needs a machine with cgroup v2 alone: v1 is mounted at %s", at)
	}
}

// RequireAppArmor skips the test where AppArmor is no active security module,
// which is up to the kernel, so that NoSkipEnv does not forbid it.
func RequireAppArmor(t testing.TB) {
	t.Helper()
	const enabled = "/sys/module/apparmor/parameters/enabled"
	switch text, err := os.ReadFile(enabled); {
	case errors.Is(err, unix.ENOENT):
		t.Skipf("needs AppArmor: this kernel does not have it: no %s", enabled)
	case err != nil:
		t.Fatal(err)
	case strings.TrimSpace(string(text)) != "Y":
		t.Skipf("needs AppArmor: it is off here: %s is %q", enabled, text)
	}
}

// RequireSELinux skips the test where SELinux does not enforce a policy with the lab's
// types (internal/lab), which is up to the machine, so that NoSkipEnv does not forbid
// it.
func RequireSELinux(t testing.TB) {
	t.Helper()
	const file = "/sys/fs/selinux/enforce"
	switch text, err := os.ReadFile(file); {
	case errors.Is(err, unix.ENOENT):
		t.Skipf("needs SELinux with the lab's policy: no %s", file)
	case err != nil:
		t.Fatal(err)
	case strings.TrimSpace(string(text)) != "1":
		t.Skipf("needs SELinux with the lab's policy: %s is %q", file, text)
	}
}

// RequireProgram skips the test unless a program of that name is in PATH, and
// says where.
func RequireProgram(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, "needs the program %s: %v", name, err)
	}
	return path
}

// RequireLab skips the test unless the machine is one of the lab's, which a test
// may do anything to. No machine is both, so that NoSkipEnv does not forbid it.
func RequireLab(t testing.TB) {
	t.Helper()
	if !inLab() {
		t.Skip("needs a machine of the lab: make lab")
	}
}

// inLab asks for what the lab tells its kernels, which no variable can feign:
// the layout of the cgroups.
func inLab() bool {
	line, err := os.ReadFile("/proc/cmdline")
	return err == nil && strings.Contains(" "+string(line), " nsx.layout=")
}

// RequireKernel skips the test on kernels older than major.minor.
func RequireKernel(t testing.TB, major, minor int) {
	t.Helper()
	release, enough, err := kernelIs(major, minor)
	if err != nil {
		t.Fatal(err)
	}
	if !enough {
		skip(t, "needs Linux %d.%d: this is %s on %s", major, minor, release, runtime.GOARCH)
	}
}

// KernelIs says that the kernel is at least as new as a version such as "5.14".
func KernelIs(version string) (bool, error) {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false, fmt.Errorf("%q is no version: %w", version, err)
	}
	_, enough, err := kernelIs(major, minor)
	return enough, err
}

func kernelIs(major, minor int) (release string, enough bool, err error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", false, err
	}
	release = unix.ByteSliceToString(uts.Release[:])
	var maj, mnr int
	if _, err := fmt.Sscanf(release, "%d.%d", &maj, &mnr); err != nil {
		return "", false, fmt.Errorf("kernel release %q: %w", release, err)
	}
	return release, maj > major || maj == major && mnr >= minor, nil
}

// findMount looks for a mount in /proc/self/mountinfo, which has lines like
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func findMount(match func(fstype, superOptions string) bool) (string, bool) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if ok && len(l) > 4 && len(r) > 2 && match(r[0], r[2]) {
			return l[4], true
		}
	}
	return "", false
}

// hasCap says whether a capability is in this process's effective set.
func hasCap(n int) bool {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			return err == nil && set>>n&1 == 1
		}
	}
	return false
}
