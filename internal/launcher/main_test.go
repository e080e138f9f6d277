package launcher

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary play a part: see role_test.go.
const roleEnv = "NSX_LAUNCHER_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(roles[role]())
	}
	os.Exit(testkit.Main(m))
}

// bothWays runs a test with the memfd and with the clone.
func bothWays(t *testing.T, f func(t *testing.T, way Way)) {
	t.Run("memfd", func(t *testing.T) { testkit.CheckLeaks(t); f(t, Memfd) })
	t.Run("clone", func(t *testing.T) { testkit.CheckLeaks(t); f(t, Clone) })
}

// output starts the program with a pipe as descriptor 1 and waits for it. Argv
// and Files 0 and 2 have defaults.
func output(t testing.TB, p *Program, a Attr) (string, *os.ProcessState) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if a.Argv == nil {
		a.Argv = []string{"test"}
	}
	if a.Files == nil {
		a.Files = []*os.File{nil, write, os.Stderr}
	} else {
		a.Files = slices.Clone(a.Files)
		a.Files[1] = write
	}
	proc, err := Start(context.Background(), p, a)
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(read)
	if err != nil {
		t.Error(err)
	}
	state, err := proc.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return string(text), state
}

// refused starts a program that has to fail and gives the error.
func refused(t testing.TB, p *Program, a Attr) error {
	t.Helper()
	if a.Argv == nil {
		a.Argv = []string{"test"}
	}
	proc, err := Start(context.Background(), p, a)
	if err == nil {
		_ = proc.Kill()
		_, _ = proc.Wait()
		t.Fatal("no error")
	}
	return err
}

// failsAt checks that a program fails with this step and errno.
func failsAt(t testing.TB, p *Program, a Attr, step string, errno unix.Errno) {
	t.Helper()
	err := refused(t, p, a)
	var failed *StepError
	if !errors.As(err, &failed) || failed.Step != step || !errors.Is(err, errno) {
		t.Errorf("%v, want %s: %v", err, step, errno)
	}
}

// shell is a program that executes a line of sh.
func shell(p *Program, line string) Attr {
	p.Exec("/bin/sh", "")
	return Attr{Argv: []string{"sh", "-c", line}, Env: []string{"PATH=" + DefaultPath}}
}

func exitStatus(state *os.ProcessState) int {
	return state.Sys().(syscall.WaitStatus).ExitStatus()
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
