package inspect

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A process refuses even its own user while its memory is not "dumpable": then
// all of ns/ takes CAP_SYS_PTRACE (__ptrace_may_access in kernel/ptrace.c). Some
// processes are so for good, such as ssh-agent and the programs that gained
// rights when they were executed. Most are so for a moment only:
//
//   - whoever starts a command for a user, as su(1), a service manager or nsx
//     does, is marked when it changes its ids (commit_creds in kernel/cred.c) or
//     marks itself, so that the user cannot get at what it has in memory;
//   - the execve(2) that follows makes new memory, which inherits the mark
//     (mm_init in kernel/fork.c), and takes it away when the close-on-exec
//     descriptors are closed, just before the process has its new name
//     (begin_new_exec in fs/exec.c).
//
// An execve alone marks nothing: a process that was dumpable before is so all
// the time. Nor does anybody wait for its end: that lock (exec_update_lock) is
// not taken for ns/, so that the refusal comes at once.
//
// So the moment lasts as long as the starter needs from the one to the other,
// tens of microseconds, unless it has to wait for a processor: up to 35 ms were
// seen with ten processes to each.

// looks is how long the process gets before each further look: 8 ms in all, at
// most, and only if there is one that is worth it (isPassing). The scan itself
// was a wait already.
var looks = []time.Duration{0, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond}

// isPassing says whether a refusal can be over in a moment: it is a process of
// our own user. The caller asks only for those that are at work, or were: who
// sleeps undumpable will not change that now. The directory itself always
// belongs to the user, not as its files do to root meanwhile (task_dump_owner
// in fs/proc/base.c).
func isPassing(dir taskDir, err error) bool {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return false
	}
	var st unix.Stat_t
	err = unix.Fstatat(dir.fd, unix.BytePtrToString(dir.self), &st, 0)
	return err == nil && int64(st.Uid) == int64(os.Geteuid())
}

// lookAgain reads once more the processes that have refused us when we came
// past, and puts what it finds in the place of what we had.
func (r *procfsReader) lookAgain(ctx context.Context, pids []int, found []Process, refused []Unreadable) ([]Process, []Unreadable) {
	if !r.Quick { // in a captured tree nothing changes
		return found, refused
	}
	for _, wait := range looks {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return found, refused
		}
		var again []int
		for _, pid := range pids {
			r.out = &procfsChunk{}
			r.process(pid)
			refused = slices.DeleteFunc(refused, func(u Unreadable) bool { return u.PID == pid })
			refused = append(refused, r.out.unreadable...)
			if i, ok := searchPID(found, pid); ok {
				found = slices.Replace(found, i, i+1, r.out.processes...) // none, if it is gone
			}
			again = append(again, r.out.passing...)
		}
		if pids = again; len(pids) == 0 {
			break
		}
	}
	return found, refused
}
