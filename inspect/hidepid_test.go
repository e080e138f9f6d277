package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// The environment of TestHidepid's second half: where the procfs is, and its
// hidepid option.
const (
	hidepidRootEnv = "NSX_TEST_HIDEPID_ROOT"
	hidepidEnv     = "NSX_TEST_HIDEPID"
)

// TestHidepid has an ordinary user scan a procfs that hides the others. root
// mounts it and starts this test again as that user.
func TestHidepid(t *testing.T) {
	if os.Getenv(hidepidRootEnv) != "" {
		scanHidden(t, os.Getenv(hidepidRootEnv), os.Getenv(hidepidEnv))
		return
	}
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	root := t.TempDir()
	proc := filepath.Join(root, "proc")
	if err := os.Mkdir(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, option := range []string{"hidepid=1", "hidepid=2", "hidepid=4"} {
		apartFromMachine(t, func() error {
			if err := unix.Mount("proc", proc, "proc", 0, option); err != nil {
				return os.NewSyscallError("mount", err)
			}
			// root sees everybody, unless a security module shields process 1.
			s, err := at(root).Scan(t.Context(), Options{})
			if err != nil {
				return err
			}
			if (s.Hidden == "") != (s.Process(1) != nil) {
				t.Errorf("%s: as root: hidden %q, process 1 %v", option, s.Hidden, s.Process(1))
			}
			if option != "hidepid=4" && s.Hidden != "" {
				t.Errorf("%s: as root: hidden %q", option, s.Hidden)
			}
			// A child of this thread is in its mount namespace.
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestHidepid$", "-test.v")
			cmd.Env = []string{hidepidRootEnv + "=" + root, hidepidEnv + "=" + option}
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				return err
			}
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestHidepid")) {
				t.Errorf("as an ordinary user: %v\n%s", err, out)
			}
			return nil
		})
	}
}

func scanHidden(t *testing.T, root, option string) {
	t.Helper()
	s := scanAt(t, root, Options{})
	gaps := strings.Join(s.Gaps(), "\n")
	if s.Complete || s.Process(os.Getpid()) == nil || s.Process(1) != nil {
		t.Errorf("%s: complete %v, process 1 %v", option, s.Complete, s.Process(1))
	}
	switch option {
	case "hidepid=1": // they are listed, and that is all
		if s.Hidden != "" || s.UnreadableProcesses() < 2 || s.Unreadable[0] != (Unreadable{1, "namespaces", "EPERM"}) {
			t.Errorf("%s: hidden %q, unreadable %+v", option, s.Hidden, s.Unreadable)
		}
		// Neither answer may be that there is no such process.
		if m, err := at(root).match(t.Context(), s, Ref{Kind: RefProcess, PID: 1}); err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "EPERM") {
			t.Errorf("%s: process 1: %+v, %v", option, m, err)
		}
		if target, err := at(root).Resolve(t.Context(), "1"); !errors.Is(err, unix.EPERM) || errors.Is(err, ErrGone) {
			t.Errorf("%s: process 1: %+v, %v", option, target, err)
		}
		if want := fmt.Sprintf("%d of %d processes", s.UnreadableProcesses(), len(s.Processes)+s.UnreadableProcesses()); !strings.Contains(gaps, want) {
			t.Errorf("%s: %s, want %s", option, gaps, want)
		}
	default:
		if _, err := at(root).Profile(t.Context(), "1"); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "hidepid=") {
			t.Errorf("%s: process 1: %v", option, err)
		}
		want := map[string]string{"hidepid=2": "hidepid=invisible", "hidepid=4": "hidepid=ptraceable"}[option]
		if s.Hidden != want || !strings.Contains(gaps, want) {
			t.Errorf("%s: hidden %q; %s", option, s.Hidden, gaps)
		}
	}
}
