package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/enter"
	"nsx/inspect"
)

type runOptions struct {
	new       [inspect.TypeLen]string // onlyNew, or a file to keep it by
	joins     []string
	fork      bool
	maps      mapOptions
	monotonic string
	boottime  string
	killChild string
	mountProc string
	clearEnv  bool
	keepEnv   []string // what --clear-env leaves
	uid, gid  string
	dryRun    bool
	making    enter.Unshare
	options   enter.Options
	cgroup    string
	group     groupFlags
	limitFlags
}

// usual is the value of --mount-binfmt without one.
const usual = "usual"

// onlyNew is the value of a type's switch without a file.
const onlyNew = "not kept"

// runNames are the long forms of unshare(1), except for the cgroup namespace:
// --cgroup is a group to start in.
var runNames = [inspect.TypeLen]string{
	inspect.Cgroup: "cgroupns", inspect.IPC: "ipc", inspect.Mnt: "mnt", inspect.Net: "net",
	inspect.PID: "pid", inspect.Time: "time", inspect.User: "user", inspect.UTS: "uts",
}

func newRun(s streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run [flags] [--] [CMD [ARG…]]",
		Aliases: []string{"unshare"},
		Short:   "Run a command in new namespaces",
		Long: `Run CMD (default: your shell) in new namespaces. The letters are those of
unshare(1); without any, CMD is just run. A new PID or time namespace implies
--fork: CMD is its first process.
Mounts in a new mount namespace are private unless --propagation says otherwise.

--net=FILE and the like keep the new namespace by a bind mount on FILE; with a
file in /run/netns, ip netns knows it. If CMD does not start, that is undone.

In a new user namespace CMD is root if the id maps have a root: -r maps root to
you, -c you to yourself; --map-users and --map-groups map others, around that one:
IN:OUT:COUNT, or auto for the ids that /etc/subuid and /etc/subgid grant you, from
0 up, subids for the same unchanged, all for those of this user namespace. A range
given by number loses its last id where that one lies in it; auto does not. Without
a root inside, --keep-caps gives CMD the capabilities nevertheless.

--load-interp registers an interpreter for the programs in the new user namespace,
in the words of the kernel's binfmt-misc.rst (Linux 6.7).

With limits CMD starts in the group of --cgroup, which is made if needed, or else in
one of its own, which goes when CMD ends, with all that CMD has left running in it.
When a limit has killed CMD, or refused it a process, it is said which, and whose.

CMD ends when nsx does.

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx run -n -- ip a                        # an empty network
  nsx run -Urpf --mount-proc -- ps aux      # root of its own, alone
  nsx run -n --net=/run/netns/blue true     # as ip netns add blue
  nsx run -Ur --map-auto -m -- bash         # as a rootless container has it
  nsx run -T --boottime 86400 -- uptime     # a day later
  nsx run -n --memory 1G --cpus 2 -- make   # limited, in a group of its own
  nsx run -n --cgroup /demo -- make`,
		RunE: func(cmd *cobra.Command, args []string) error {
			limits, err := o.limits(cmd, nil)
			if err != nil {
				return usage(err)
			}
			return runRun(cmd.Context(), s, &o, limits, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetInterspersed(false)
	flags.SetNormalizeFunc(mountIsMnt)
	for _, t := range []inspect.Type{inspect.Mnt, inspect.UTS, inspect.IPC, inspect.Net, inspect.PID, inspect.User, inspect.Cgroup, inspect.Time} {
		flags.StringVarP(&o.new[t], runNames[t], nsenterLetters[t], "", fmt.Sprintf("make a new %s namespace, kept by `FILE` if given", t))
		flags.Lookup(runNames[t]).NoOptDefVal = onlyNew
	}
	flags.StringArrayVar(&o.joins, "join", nil, "join those of `[TYPE=]TARGET` first; may be repeated")
	flags.BoolVarP(&o.fork, "fork", "f", false, "as unshare(1) has it; -p and -T imply it")
	flags.Bool("forward-signals", true, "as unshare(1) has it: always")
	flags.Lookup("forward-signals").Hidden = true
	flags.StringVar(&o.mountProc, "mount-proc", "", "mount a new /proc, at `DIR`; implies -m")
	flags.Lookup("mount-proc").NoOptDefVal = "/proc"
	flags.StringVar(&o.making.MountBinfmt, "mount-binfmt", "", "mount binfmt_misc, at `DIR`; implies -m")
	flags.Lookup("mount-binfmt").NoOptDefVal = usual
	flags.StringArrayVarP(&o.making.Interpreters, "load-interp", "l", nil, "register the interpreter `SPEC` there; implies --mount-binfmt")
	o.maps.add(flags, &o.making)
	flags.BoolVar(&o.options.KeepCaps, "keep-caps", false, "keep the capabilities although CMD is not root")
	flags.StringVar(&o.making.Propagation, "propagation", "", "`HOW` mounts propagate: private, slave, shared, unchanged")
	flags.StringVar(&o.monotonic, "monotonic", "", "offset of the monotonic clock, in `SECONDS`; implies -T")
	flags.StringVar(&o.boottime, "boottime", "", "offset of the boottime clock, in `SECONDS`; implies -T")
	flags.StringVar(&o.killChild, "kill-child", "", "send `SIGNAL` to CMD when nsx ends (KILL if not given)")
	flags.Lookup("kill-child").NoOptDefVal = "KILL"
	flags.StringVarP(&o.options.Root, "root", "R", "", "make `DIR` the root directory")
	flags.StringVarP(&o.options.DirInside, "wd", "w", "", "make `DIR` the working directory, looked up inside")
	flags.StringVarP(&o.uid, "setuid", "S", "", "run as user `UID`")
	flags.StringVarP(&o.gid, "setgid", "G", "", "run as group `GID`")
	flags.BoolVar(&o.options.Privileged, "privileged", false, "join mount namespaces whose programs get our rights")
	flags.BoolVar(&o.clearEnv, "clear-env", false, "start CMD without our environment")
	flags.StringSliceVar(&o.keepEnv, "whitelist-env", nil, "start CMD with the variables `NAME,…` of it alone")
	flags.StringVar(&o.cgroup, "cgroup", "", "start in the group `PATH`; limits make it if needed")
	o.group.addForce(cmd)
	o.add(cmd)
	complete(cmd, "cgroup", completeGroups)
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done; try all of it except CMD")
	o.maps.complete(cmd)
	complete(cmd, "propagation", cobra.FixedCompletions([]string{"private", "slave", "shared", "unchanged"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "join", completeTargets)
	return cmd
}

// settle makes options of what the flags say in words. The caller is who will be
// mapped.
func (o *runOptions) settle(caller enter.Caller) error {
	implied, err := o.maps.settle(&o.making, caller)
	if err != nil {
		return err
	}
	if implied && o.new[inspect.User] == "" {
		o.new[inspect.User] = onlyNew
	}
	if o.making.MountBinfmt == usual || o.making.MountBinfmt == "" && len(o.making.Interpreters) > 0 {
		o.making.MountBinfmt = enter.BinfmtDir
	}
	if (o.mountProc != "" || o.making.MountBinfmt != "") && o.new[inspect.Mnt] == "" {
		o.new[inspect.Mnt] = onlyNew
	}
	for name, clock := range map[string]struct {
		word string
		to   **int64
	}{"--monotonic": {o.monotonic, &o.making.Monotonic}, "--boottime": {o.boottime, &o.making.Boottime}} {
		if clock.word == "" {
			continue
		}
		n, err := strconv.ParseInt(clock.word, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %q is no number of seconds", name, clock.word)
		}
		*clock.to = &n
		if o.new[inspect.Time] == "" {
			o.new[inspect.Time] = onlyNew
		}
	}
	if o.killChild != "" {
		if o.making.KillSignal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(o.killChild), "SIG")); o.making.KillSignal == 0 {
			return fmt.Errorf("--kill-child: there is no signal %q", o.killChild)
		}
	}
	if o.options.UID, _, err = parseID("-S", o.uid); err != nil {
		return err
	}
	if o.options.GID, _, err = parseID("-G", o.gid); err != nil {
		return err
	}
	o.making.MountProc = o.mountProc
	o.making.Bind = map[inspect.Type]string{}
	for _, t := range inspect.Types {
		switch o.new[t] {
		case "":
			continue
		case onlyNew:
		default:
			o.making.Bind[t] = o.new[t]
		}
		o.making.Types = append(o.making.Types, t)
	}
	o.options.Unshare = &o.making
	return nil
}

func runRun(ctx context.Context, s streams, o *runOptions, limits cgroupfs.Limits, command []string) error {
	resolver := newResolver()
	defer resolver.close()
	var requests, asked []enter.Request
	for _, word := range o.joins {
		more, err := resolver.requests(ctx, word)
		if err != nil {
			return own(err)
		}
		requests = append(requests, more...)
		if len(more) == 1 { // one that was asked for by name
			asked = append(asked, more...)
		}
	}
	caller, err := enter.CallerOf(ctx, requests)
	if err != nil {
		return own(err)
	}
	switch err := o.settle(caller); {
	case errors.Is(err, enter.ErrNoSubIDs):
		return own(err)
	case err != nil:
		return usage(err)
	}
	plan, err := enter.NewPlan(ctx, requests, o.options)
	if err != nil {
		return own(err)
	}
	defer plan.Close()
	noteSkipped(ctx, s, "run", plan, asked)
	if o.cgroup == "" && len(limits.List()) == 0 {
		return runCommand(ctx, s, plan, command, o.environ(), o.dryRun)
	}
	return o.runLimited(ctx, s, plan, limits, command)
}

// runLimited runs the command in the group of --cgroup or, without that, in one of its
// own. The group comes last, so that there is little to undo.
func (o *runOptions) runLimited(ctx context.Context, s streams, plan *enter.Plan, limits cgroupfs.Limits, command []string) error {
	var group *cgroupfs.Group
	var setUp *cgroupfs.Plan
	var ours *ownGroup
	var err error
	if o.cgroup == "" {
		if ours, err = newOwnGroup(ctx, s, &o.group, limits, o.formula); err != nil {
			return err
		}
		group, setUp = ours.group, ours.plan
	} else {
		if group, err = o.group.open(ctx, o.cgroup); err != nil {
			return own(err)
		}
		if setUp, err = planGroup(ctx, s, group, limits, o.formula); err != nil {
			return own(err)
		}
	}
	if o.dryRun {
		in, err := tryGroup(s, group, setUp)
		if err != nil {
			return own(err)
		}
		if in != nil {
			defer in.Close()
		}
		plan.StartIn(in)
		return runCommand(ctx, s, plan, command, o.environ(), true)
	}
	// From here on a signal ends us only when what was done is put back.
	caught := enter.CatchSignals()
	defer caught.Stop()
	err = runIn(ctx, s, "run", plan, group, setUp, command, o.environ(), caught)
	if ours != nil {
		err = ours.end(ctx, s, err)
	}
	return err
}

// environ is what CMD gets of our environment, nil if that is all.
func (o *runOptions) environ() []string {
	if !o.clearEnv && len(o.keepEnv) == 0 {
		return nil
	}
	env := []string{}
	for _, name := range o.keepEnv {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// tryGroup prints what would be done to a group, and opens it if it is there already.
func tryGroup(s streams, group *cgroupfs.Group, plan *cgroupfs.Plan) (*cgroupfs.Entrance, error) {
	if plan != nil && len(plan.Steps) > 0 {
		if _, err := fmt.Fprintln(s.out, plan); err != nil {
			return nil, err
		}
	}
	if there, err := group.Exists(); plan != nil && !there {
		return nil, err
	}
	return group.Open()
}
