package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// binaryEnv names the nsx to be attacked; without it, one is built.
const binaryEnv = "NSX_ATTACKS_BINARY"

// parts are the programs of the attacks. They are this test binary under other
// names, for no variable of ours may come through to a command inside.
var parts = map[string]func(args []string) int{
	"box":      playBox,
	"caller":   playCaller,
	"filtered": playFiltered,
	"grabber":  playGrabber,
	"mover":    playMover,
	"nagger":   playNagger,
	"raiser":   playRaiser,
	"shell":    playShell,
	"traced":   playTraced,
	"typist":   playTypist,
	"who":      playWho,
}

// Where everything is, and what is to be stolen.
var (
	workDir    string
	nsxBinary  string
	secretUser string // 0600 of root
	secretRoot string // 0640 of root and its group
)

const (
	secretText = "secret of the caller"
	secretEnv  = "NSX_ATTACKS_SECRET"
	secretKey  = "nsx-attacks"
)

// A part needs the process's first thread, whose rights, filters and namespaces
// are those that others see.
func init() {
	if _, ok := parts[filepath.Base(os.Args[0])]; ok {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	testkit.Hook()
	if play, ok := parts[filepath.Base(os.Args[0])]; ok {
		os.Exit(play(os.Args[1:]))
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "nsx-attacks.")
	if err != nil {
		panic(err)
	}
	workDir = dir
	defer os.RemoveAll(dir)
	if os.Geteuid() == 0 {
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		return 1
	}
	go spawnLoop() // before testkit looks at what is there
	return testkit.Main(m)
}

// prepare builds nsx and lays out what any user may read, and what none may.
func prepare() error {
	// What outlives an nsx comes to us, and is found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := os.Chmod(workDir, 0o755); err != nil {
		return err
	}
	secretUser, secretRoot = filepath.Join(workDir, "secret-user"), filepath.Join(workDir, "secret-root")
	for path, mode := range map[string]os.FileMode{secretUser: 0o600, secretRoot: 0o640} {
		if err := os.WriteFile(path, []byte(secretText), mode); err != nil {
			return err
		}
	}
	if err := install(); err != nil {
		return err
	}
	if nsxBinary = os.Getenv(binaryEnv); nsxBinary != "" {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil { // the lab's machines have none, but an nsx
		nsxBinary, err = exec.LookPath("nsx")
		return err
	}
	nsxBinary = filepath.Join(workDir, "nsx")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", nsxBinary, "../../cmd/nsx")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building nsx: %w: %s", err, out)
	}
	return nil
}

// install copies this binary to where every user may execute it, under the names
// of the parts, and the idler beside it.
func install() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	bin := filepath.Join(workDir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bin, "parts"), self, 0o755); err != nil {
		return err
	}
	for name := range parts {
		if err := os.Symlink("parts", filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	return os.WriteFile(program("idle"), idler(), 0o755)
}

func program(name string) string { return filepath.Join(workDir, "bin", name) }
