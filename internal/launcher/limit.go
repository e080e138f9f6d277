package launcher

import (
	"errors"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// originalLimit is the RLIMIT_NOFILE with which this process was started, nil
// if it still has that or it cannot be found out.
func originalLimit() *unix.Rlimit {
	var own unix.Rlimit
	// What package syscall raises it to. Anything else it does not restore.
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil || own.Cur != own.Max-1 {
		return nil
	}
	return askForLimit()
}

// askForLimit finds it out, once. Package syscall remembers it but gives it only
// to the processes that it starts itself. So one is started, which is stopped
// before its first instruction (ptrace(2), PTRACE_TRACEME), asked for its limit
// and killed.
var askForLimit = sync.OnceValue(func() *unix.Rlimit {
	var limit unix.Rlimit
	pid, _, err := syscall.StartProcess("/proc/self/exe", []string{"nsx"}, &syscall.ProcAttr{
		Env: []string{},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil
	}
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit)
	_ = unix.Kill(pid, unix.SIGKILL)
	if _, waitErr := reap(pid); errors.Join(err, waitErr) != nil {
		return nil
	}
	return &limit
})
