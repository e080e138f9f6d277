//go:build containers

package containers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// What TestMain makes once for all.
var (
	workDir   string // everything is in here
	nsxBinary string
	rootfs    string // a root directory with busybox
	rootTar   string // the same as an archive
	scratch   string // a root directory with one program: no shell, no library
)

// markEnv is in the environment of all that the tests start, so that what is
// left of it can be found. Only what runs in a container does not have it.
const markEnv = "NSX_TEST_CONTAINERS"

// patience bounds each command. Containers end by themselves after lifetime.
const (
	patience = time.Minute
	lifetime = "300"
)

func TestMain(m *testing.M) {
	testkit.Hook()
	// Not in TMPDIR, which may be long: podman and sockets want short paths.
	dir, err := os.MkdirTemp("/tmp", "nsx-containers.")
	if err != nil {
		panic(err)
	}
	workDir = dir
	os.Setenv(markEnv, workDir)
	os.Setenv("TMPDIR", workDir) // for t.TempDir
	unused := missing(habits)
	code := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
	} else {
		code = testkit.Main(m)
	}
	for _, path := range append(unused, workDir, "/run/lxc/lock"+workDir) {
		if err := os.RemoveAll(path); err != nil {
			fmt.Fprintln(os.Stderr, "containers: left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// prepare builds nsx and the root directories, where any user may read them.
func prepare() error {
	if err := os.Chmod(workDir, 0o755); err != nil {
		return err
	}
	nsxBinary = filepath.Join(workDir, "nsx")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", nsxBinary, "../../cmd/nsx")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building nsx: %w: %s", err, out)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil // the tests ask for it, and say so
	}
	rootfs, scratch = filepath.Join(workDir, "rootfs"), filepath.Join(workDir, "scratch")
	if err := makeRoots(busybox); err != nil {
		return fmt.Errorf("making a root directory: %w", err)
	}
	rootTar = rootfs + ".tar"
	return exec.Command("tar", "-C", rootfs, "-cf", rootTar, ".").Run()
}

// makeRoots makes two root directories out of a static busybox. In the second
// one it is called sleep, and can do nothing else.
func makeRoots(busybox string) error {
	for _, root := range []string{rootfs, scratch} {
		for _, dir := range []string{"proc", "sys", "dev", "tmp", "etc"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				return err
			}
		}
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	bin := filepath.Join(rootfs, "bin")
	return errors.Join(
		os.WriteFile(filepath.Join(scratch, "sleep"), program, 0o755),
		os.Mkdir(bin, 0o755),
		os.WriteFile(filepath.Join(bin, "busybox"), program, 0o755),
		os.WriteFile(filepath.Join(rootfs, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\n"), 0o644),
		os.WriteFile(filepath.Join(rootfs, "etc/plain"), []byte("no program\n"), 0o644),
		linkAll(bin, strings.Fields(string(list))),
	)
}

func linkAll(bin string, applets []string) error {
	for _, name := range applets {
		if err := os.Symlink("busybox", filepath.Join(bin, name)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// needs skips the test where it cannot run.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	testkit.RequireRoot(t)
	for _, name := range append([]string{"busybox", "tar", "ip"}, programs...) {
		testkit.RequireProgram(t, name)
	}
}

// try runs a command and says how it ended.
func try(t *testing.T, argv ...string) testkit.Result {
	t.Helper()
	return testkit.Try(t, patience, argv...)
}

// run runs a command that has to succeed, and returns what it prints.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	return testkit.Run(t, patience, argv...)
}

// decode runs a command that has to succeed and print JSON.
func decode[T any](t *testing.T, argv ...string) T {
	t.Helper()
	return testkit.Decode[T](t, patience, argv...)
}

// waitFor waits for a state.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.WaitFor(t, 20*time.Second, what, ok)
}
