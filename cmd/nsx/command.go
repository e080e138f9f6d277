package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"nsx/enter"
	"nsx/inspect"
	"nsx/output"
)

// nsenterLetters are the switches of nsenter(1).
var nsenterLetters = [inspect.TypeLen]string{
	inspect.Cgroup: "C", inspect.IPC: "i", inspect.Mnt: "m", inspect.Net: "n",
	inspect.PID: "p", inspect.Time: "T", inspect.User: "U", inspect.UTS: "u",
}

// guestFlags are the ways out of what a command gets that is the target's own
// program.
func guestFlags(flags *pflag.FlagSet, o *enter.Options) {
	flags.BoolVar(&o.OwnEnv, "own-env", false, "give the target's program our environment")
	flags.BoolVar(&o.OwnCgroup, "own-cgroup", false, "leave the target's program in our cgroups, without CAP_MKNOD")
	flags.BoolVar(&o.NoSeccomp, "no-seccomp", false, "run the target's program without the target's seccomp filters")
	flags.BoolVar(&o.Privileged, "privileged", false, "give the target's program our rights and all that is ours")
}

// parseID reads a user or group id, or the word follow.
func parseID(flag, s string) (id *uint32, follow bool, err error) {
	if s == "" || s == "follow" {
		return nil, s == "follow", nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == math.MaxUint32 {
		return nil, false, fmt.Errorf("%s: %q is no numeric id below %d", flag, s, uint32(math.MaxUint32))
	}
	v := uint32(n)
	return &v, false, nil
}

// runCommand runs a command, or the shell, as a plan says; env is nil for our
// environment. A dry run prints and tries everything else.
func runCommand(ctx context.Context, s streams, plan *enter.Plan, command, env []string, dryRun bool) error {
	if len(command) == 0 {
		command = []string{shell(plan)}
	}
	cmd := enter.CommandContext(ctx, plan, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = s.in, s.out, s.err, env
	cmd.Inherited = inherit()
	if dryRun {
		if _, err := io.WriteString(s.out, cmd.String()); err != nil {
			return own(err)
		}
		return commandStatus(cmd.Try())
	}
	return accompany(s, plan, cmd)
}

// runCaught is runCommand with signals that are caught already.
func runCaught(ctx context.Context, s streams, plan *enter.Plan, command, env []string, caught *enter.Signals) error {
	if len(command) == 0 {
		command = []string{shell(plan)}
	}
	cmd := enter.CommandContext(ctx, plan, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = s.in, s.out, s.err, env
	cmd.Inherited, cmd.Signals = inherit(), caught
	return accompany(s, plan, cmd)
}

func accompany(s streams, plan *enter.Plan, cmd *enter.Cmd) error {
	showNotes(s, plan)
	return commandStatus(cmd.Accompany())
}

// showNotes says what of a command is not as one expects.
func showNotes(s streams, plan *enter.Plan) {
	for _, note := range plan.Notes() {
		fmt.Fprintf(s.err, "nsx: note: %s\n", output.Escape(note))
	}
}

// shell is the command to run when none is given: the user's shell, or the one
// that every system has where the user's may not exist.
func shell(plan *enter.Plan) string {
	sh := os.Getenv("SHELL")
	if sh == "" || plan.WillJoin(inspect.Mnt) {
		return "/bin/sh"
	}
	return sh
}

// own makes an error of nsx's own the status that says so.
func own(err error) error {
	if _, ok := errors.AsType[*statusError](err); ok {
		return err
	}
	if errors.Is(err, inspect.ErrUsage) {
		return usage(err)
	}
	return &statusError{exitOwn, err}
}

// commandStatus turns a command's end into the exit status.
func commandStatus(err error) error {
	var exit *enter.ExitError
	var exec *enter.ExecError
	var ended *enter.EndedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended) && ended.By != 0:
		return &statusError{128 + int(ended.By), &endedBySignal{ended}}
	case errors.As(err, &ended):
		return &statusError{128 + int(unix.SIGKILL), err}
	case errors.As(err, &exit):
		return &statusError{status: exit.ShellStatus()}
	case errors.As(err, &exec) && exec.NotFound():
		return &statusError{exitNoCmd, err}
	case errors.As(err, &exec):
		return &statusError{exitNoExec, err}
	default:
		return own(err)
	}
}

// endedBySignal has run end nsx by the signal that ended the command.
type endedBySignal struct{ *enter.EndedError }

func (e *endedBySignal) Unwrap() []error {
	return []error{e.EndedError, &signalError{e.By}}
}
