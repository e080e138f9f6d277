package launcher

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// TestInherited: a program gets the signals and the limit that it is to inherit,
// whichever way it is started, and whatever this process has.
func TestInherited(t *testing.T) {
	testkit.CheckLeaks(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	before := ownIgnored(t)
	for _, forks := range []bool{false, true} {
		for _, way := range []Way{Memfd, Clone, Vfork} {
			if forks && way == Vfork {
				continue
			}
			for _, want := range []Inherited{
				{},
				{Ignored: testkit.AllSignals, Blocked: testkit.AllSignals},
				{Ignored: 1 << (unix.SIGPIPE - 1), Blocked: 1 << (unix.SIGTERM - 1)},
				{Ignored: 1<<(unix.SIGTSTP-1) | 1<<63, Blocked: 1<<(unix.SIGTTOU-1) | 1},
			} {
				want.NoFile = unix.Rlimit{Cur: 77, Max: limit.Max}
				p := &Program{}
				if forks {
					p.Fork()
				}
				p.Exec("sed", DefaultPath) // shells and grep change their signals
				text, _ := output(t, p, Attr{
					Argv: []string{"sed", "-nE", "/Sig(Ign|Blk)|open files/p", "/proc/self/status", "/proc/self/limits"}, Way: way, Inherited: &want,
				})
				all := fmt.Sprintf("SigBlk: %016x SigIgn: %016x Max open files 77 %d files", want.Blocked, want.Ignored|before, limit.Max)
				if strings.Join(strings.Fields(text), " ") != all {
					t.Errorf("way %d, fork %v: %q, want %q", way, forks, text, all)
				}
			}
		}
	}
}

// ownIgnored is the set of signals that this process ignores.
func ownIgnored(t *testing.T) (set uint64) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	_, rest, found := strings.Cut(string(status), "\nSigIgn:\t")
	if _, scanErr := fmt.Sscanf(rest, "%x", &set); err != nil || !found || scanErr != nil {
		t.Fatal(err, scanErr)
	}
	return set
}
