package enter

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// ExitError says that the command ran and ended with a status other than 0.
type ExitError struct {
	*os.ProcessState
	// Stderr is what the command wrote to its standard error, from Output.
	Stderr []byte
}

func (e *ExitError) Error() string { return e.String() }

// ShellStatus is the status as a shell has it: 128+N if signal N ended the command,
// where ExitCode is -1.
func (e *ExitError) ShellStatus() int {
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.ExitCode()
}

// ExecError says that the command was not started although all namespaces were
// joined: there is no such command, if NotFound says so, or else it cannot be
// executed. errors.Is finds the errno of execve(2) in it.
type ExecError struct {
	Name string
	// InTarget says that it was looked for in the target's file system.
	InTarget bool
	Err      error

	found   bool   // the file is there
	context string // of SELinux, that it was to have
}

func (e *ExecError) Error() string {
	where := "on this host"
	if e.InTarget {
		where = "in the target's file system"
	}
	why := ""
	switch {
	case e.found:
		why = "the interpreter or loader that it names is missing " + where
	case e.NotFound():
		return fmt.Sprintf("running %s: there is no such command %s: %s", e.Name, where, linux.ErrnoText(e.Err))
	case errors.Is(e.Err, unix.ENOEXEC):
		why = "it is no program for this machine, or a script without a #! line and there is no /bin/sh"
	case errors.Is(e.Err, unix.EACCES):
		why = "it is not executable " + where
	}
	if e.context != "" && (errors.Is(e.Err, unix.EACCES) || errors.Is(e.Err, unix.EPERM)) {
		// EPERM: no_new_privs (check_nnp_nosuid in security/selinux/hooks.c), or who
		// traces it may not.
		policy := "SELinux's policy does not let it be started as " + e.context
		if why != "" {
			policy = why + ", or " + policy
		}
		why = policy
	}
	return explained("running "+e.Name, e.Err, why).Error()
}

// Unwrap is the error of execve(2).
func (e *ExecError) Unwrap() error { return e.Err }

// NotFound says that there is no such command.
func (e *ExecError) NotFound() bool {
	return !e.found && (errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ENOTDIR))
}

// EndedError says that a command was ended, or never started, because this
// program was to end.
type EndedError struct {
	Name string
	// By is the signal that said so; 0: ^] was typed three times.
	By syscall.Signal
	// PID is the command's; 0: it had not started.
	PID int
	// Left says that it, or the helper that was to become it, has not ended
	// although it was killed: it waits in the kernel, as for a file server that
	// does not answer, and ends when that does.
	Left bool
}

func (e *EndedError) Error() string {
	by, who := "^] three times", "it was killed"
	if e.By != 0 {
		by = unix.SignalName(e.By)
	}
	switch {
	case e.PID == 0 && e.Left:
		who = "it had not started, and what was to start it waits in the kernel, perhaps for a file server that does not answer, and ends when that does"
	case e.PID == 0:
		who = "it had not started"
	case e.Left:
		who = fmt.Sprintf("process %d was killed, but waits in the kernel, perhaps for a file server that does not answer, and ends when that does", e.PID)
	}
	return fmt.Sprintf("running %s: ended by %s: %s", e.Name, by, who)
}
