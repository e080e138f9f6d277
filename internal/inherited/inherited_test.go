package inherited

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// roleEnv makes the test binary a caller, with the words of what it gives.
const roleEnv = "NSX_INHERITED_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(testkit.Main(m))
	case "say":
		fmt.Println(Known())
	default:
		call(role)
	}
}

// call executes this program once more, as a caller that has set all that.
func call(words string) {
	runtime.LockOSThread() // the mask is the thread's
	var ignored, blocked, limit uint64
	var closed string
	if _, err := fmt.Sscanf(words, "%x %x %d %s", &ignored, &blocked, &limit, &closed); err != nil {
		panic(err)
	}
	if err := testkit.SetSignals(ignored, blocked); err != nil {
		panic(err)
	}
	var now unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &now)
	now.Cur = limit
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		panic(err)
	}
	for _, c := range strings.Trim(closed, "-") {
		_ = unix.Close(int(c - '0'))
	}
	path, _ := os.Executable()
	panic(syscall.Exec(path, []string{path}, []string{roleEnv + "=say"}))
}

func TestKnown(t *testing.T) {
	_, known := Known()
	testkit.Require(t, known, "needs a build without cgo: CGO_ENABLED=0")
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, want := range []State{
		{},
		{Ignored: testkit.AllSignals, Blocked: testkit.AllSignals},
		{Ignored: 1 << (unix.SIGPIPE - 1), Closed: 1},
		{Blocked: 1<<(unix.SIGTERM-1) | 1<<63, Closed: 1 | 1<<2},
	} {
		want.NoFile = unix.Rlimit{Cur: 77, Max: limit.Max}
		closed := "-"
		for n := range 3 {
			if want.Closed>>n&1 == 1 {
				closed += fmt.Sprint(n)
			}
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%x %x 77 %s", roleEnv, want.Ignored, want.Blocked, closed))
		said, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(said)); err != nil || got != fmt.Sprint(want, true) {
			t.Errorf("%v; it says %s, want %v", err, got, want)
		}
	}
}
