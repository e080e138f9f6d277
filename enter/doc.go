// Package enter runs commands, and Go functions, in the namespaces of other
// processes and in new ones.
//
//	target, err := inspect.Resolve(ctx, "5151")
//	…
//	plan, err := enter.NewPlan(ctx, enter.AllOf(target), enter.Options{})
//	…
//	defer plan.Close()
//	err = enter.Command(plan, "ip", "addr").Run()
//
// # Plan, then command
//
// A [Plan] holds everything open that is needed before the first namespace is
// joined: afterwards no path can be trusted to mean what it meant. It prints what
// will be done (Plan.String), leaves out namespaces that are ours already
// (Plan.Skipped), and serves any number of commands. [Options] adds the rest: root
// and working directory, ids, cgroups, and with Options.New namespaces that are made
// first.
//
// A [Cmd] is what os/exec's is, run by a plan. If one namespace cannot be joined,
// nothing is run; Cmd.Try finds out without running anything. Cmd.Accompany gives
// the command this program's place: its terminal, signals and job control.
//
// # Whose code it is
//
// What runs in a target's mount namespace is the target's own code. By default
// it gets no more rights than the target has, it cannot reach this program or
// any of its files, and it ends with it: see Options.Privileged. Everything else is
// the caller's own program, with the caller's rights.
//
// # Go functions
//
// [Do] runs a function on a thread of its own in a plan's namespaces. It can join all
// types but user and time namespaces, which the kernel lets only processes with a
// single thread join (setns(2)), and ends in a [*ThreadError] for those. So does
// Command on other architectures than amd64 and arm64.
//
// # Errors
//
// An [*Error] says what was tried, why it was refused and what to do; errors.Is finds
// its reason, one of [ErrPermission], [ErrUnsafe], [ErrLimit] and the like, and its
// errno. A command that ran and failed ends in an [*ExitError], one that is not there or
// cannot be executed in an [*ExecError], and one that was ended by a signal to us in
// an [*EndedError].
//
// Several goroutines may run commands by one plan at once; a Cmd is for one run and one
// goroutine.
package enter
