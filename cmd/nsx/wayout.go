package main

import (
	"errors"

	"github.com/spf13/pflag"

	"nsx/enter"
)

// waysOut are the flags that go without what package enter has refused, by the
// reason. The first that fits is offered, if the command has that flag.
var waysOut = []struct {
	reason error
	flag   string
	text   string
}{
	{enter.ErrUserNamespace, "target", "-U, or --user with the same target, joins it; --privileged gives them our rights"},
	{enter.ErrUnsafe, "privileged", "--privileged does it all the same"},
	{enter.ErrLabel, "privileged", "with --privileged the command keeps that of nsx"},
	{enter.ErrUntraceable, "no-seccomp", "--no-seccomp goes without"},
	{enter.ErrFiltered, "no-seccomp", "--no-seccomp goes without"},
	{enter.ErrEnvironment, "own-env", "--own-env gives it ours"},
	{enter.ErrCgroups, "own-cgroup", "--own-cgroup leaves the command in our own cgroups"},
	{enter.ErrNotMapped, "preserve-credentials", "choose one that is with -S or -G, or keep yours with --preserve-credentials"},
	{enter.ErrNotMapped, "setuid", "choose one that is with -S or -G"},
	{enter.ErrNoIDs, "preserve-credentials", "--preserve-credentials"},
	{enter.ErrUnshare, "map-root-user", "-U -r"},
	{enter.ErrPropagation, "propagation", "--propagation unchanged"},
	{enter.ErrNoNewuidmap, "map-root-user", "-r"},
}

// wayOut is the end of an error: the flag of a command that goes without what was
// refused, "" if there is none.
func wayOut(flags *pflag.FlagSet, err error) string {
	if exec, ok := errors.AsType[*enter.ExecError](err); ok && exec.NotFound() && exec.InTarget && flags.Lookup("tools") != nil {
		return ": --tools=host runs this host's"
	}
	group, and := groupWay(flags, err), ": "
	if group != "" {
		and = group + "; "
	}
	for _, w := range waysOut {
		if errors.Is(err, w.reason) && flags.Lookup(w.flag) != nil {
			return and + w.text
		}
	}
	return group
}
