package tty

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The codes of SIGCHLD that matter here (include/uapi/asm-generic/siginfo.h).
// Any other tells of an end.
const cldStopped = 5

// settle is for how long a command has to be stopped before we stop too.
const settle = 5 * time.Millisecond

// follow waits for the command to end. When it stops, so do we, by suspend, and
// when we are continued so is it: the shell that we are a job of sees one job.
//
// Whoever stops the command may stop our whole process group: the stop reaches
// us a little later than the news of the command's. We then go on only after the
// job has been continued, and must not take the old news for new. So the news is
// at first only looked at (WNOWAIT): it is gone when the command is continued.
func follow(p *os.Process, suspend func()) (*os.ProcessState, error) {
	for {
		code, err := childNews(p.Pid, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT)
		if err != nil {
			return nil, fmt.Errorf("waitid: %w", err)
		}
		if code != cldStopped {
			return p.Wait()
		}
		time.Sleep(settle)
		code, _ = childNews(p.Pid, unix.WSTOPPED|unix.WNOHANG)
		if code != cldStopped || !isJob() {
			continue // it has been continued, or will be by whoever stopped it
		}
		suspend()
		// News means that our whole group was continued, and perhaps stopped
		// again since: another SIGCONT would undo that.
		code, err = childNews(p.Pid, unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG|unix.WNOWAIT)
		if code == 0 && err == nil {
			_ = p.Signal(unix.SIGCONT)
		}
	}
}

// childNews is waitid(2) for a child: the code of the SIGCHLD, or 0 if there is
// no news. The child cannot be mistaken: as long as nobody takes the news of
// its end, nobody else gets its PID.
func childNews(pid, options int) (code int, err error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, options, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return int(info.Code), err
	}
}

// stopSelf stops this program, and returns when it has been continued. A signal
// to the process, not to this very thread, might be taken by another thread,
// and we would go on for a moment.
func stopSelf() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
