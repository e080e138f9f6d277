package inspect

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

func TestStatusOfSelf(t *testing.T) {
	got, err := resolve(t, "self").Status()
	if err != nil || got.PID != os.Getpid() || got.UID != uint32(os.Geteuid()) || got.GID != uint32(os.Getegid()) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestStatusOfAProcess has names that look like lines of status.
func TestStatusOfAProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, comm := range []string{"a\nUid:\t7 7 7 7", "a\nNSpid:\t77", "Tgid:\t7\nGid: 7"} {
		p := startIn(t, testkit.Config{New: withUser("pid"), Comm: comm})
		target := resolve(t, strconv.Itoa(p.PID))
		got, err := target.Status()
		if err != nil || got.PID != p.PID || got.NSPID != 1 || got.UID != uint32(os.Geteuid()) || got.GID != uint32(os.Getegid()) || got.NoNewPrivs || got.Bounding == 0 {
			t.Errorf("%q: %+v, %v", comm, got, err)
		}
		p.Kill()
		if got, err := target.Status(); !errors.Is(err, ErrGone) {
			t.Errorf("of a dead process: %+v, %v", got, err)
		}
	}
	p := startIn(t, testkit.Config{Mode: testkit.ThreadElsewhere, New: withUser("uts")})
	thread := resolve(t, strconv.Itoa(p.PID)+"/"+strconv.Itoa(p.Thread))
	if got, err := thread.Status(); err != nil || got.PID != p.PID {
		t.Errorf("of a thread: %+v, %v", got, err)
	}
	if got, err := (&Target{ID: ID{Net, 1}}).Status(); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("of a namespace: %+v, %v", got, err)
	}
}

func TestStatusOfTheLimited(t *testing.T) {
	testkit.CheckLeaks(t)
	setpriv := testkit.RequireProgram(t, "setpriv")
	args := []string{"--no-new-privs", "sh", "-c", "echo; exec sleep 30"}
	if os.Geteuid() == 0 {
		args = append([]string{"--bounding-set=-sys_admin"}, args...)
	}
	pid, _ := startProgram(t, setpriv, args...)
	own, err := resolve(t, "self").Status()
	if err != nil {
		t.Fatal(err)
	}
	want := own.Bounding
	if os.Geteuid() == 0 {
		want &^= 1 << unix.CAP_SYS_ADMIN
	}
	got, err := resolve(t, strconv.Itoa(pid)).Status()
	if err != nil || !got.NoNewPrivs || got.Bounding != want {
		t.Errorf("%+v, %v; want the bounding set %x", got, err, want)
	}
}
