package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nsx/enter"
	"nsx/inspect"
)

// ofTarget is the value of a switch that was given none of its own.
const ofTarget = "the target's"

type enterOptions struct {
	target   string                  // -t, or the first word
	switches [inspect.TypeLen]string // -n: ofTarget, or a target of its own
	others   [inspect.TypeLen]string // --net TARGET
	all      bool
	root     string // ofTarget, or a directory
	dir      string // likewise
	uid, gid string
	socket   int // -N, none: -1
	follow   bool
	env      bool
	tools    string
	dryRun   bool
	options  enter.Options
	command  []string
}

func newEnter(s streams) *cobra.Command {
	var o enterOptions
	cmd := &cobra.Command{
		Use:   "enter [flags] [TARGET] [--] [CMD [ARG…]]",
		Short: "Run a command in the namespaces of other processes",
		Long: `Run CMD (default: your shell) in namespaces of other processes. TARGET alone
means all of its namespaces that differ from ours; --net TARGET and the like
join one, and each type may come from another target; nsenter's letters choose
among those of the one target.

` + targetHelp + `

If -t or a flag such as --net names the target, the first word that is no flag
is CMD; otherwise that word is TARGET, and CMD is the next one that is no flag.
"--" always ends the flags. After -t or TARGET, --net is -n if no target follows.

Everything is opened before the first namespace is joined. If one cannot be
joined, CMD does not start. CMD ends when nsx does.

With the mount namespace CMD is the target's own program, under the target's
root directory, and may be an attacker's. It gets the target's user, capabilities,
no_new_privs, security label, seccomp filters, cgroups and environment, a new
session keyring, a terminal of its own, and nothing of ours: it is looked at from
outside before it runs. It is never outside of the target's PID namespace. As
another user (-S 0) it gets a new environment. What cannot be had is refused;
--own-cgroup, --own-env, --no-seccomp and --privileged (all our rights) go
without. To have its filters read, the target stops for a moment. Without the
mount namespace CMD is this host's program, with our rights, environment, cgroups
and open files.

SIGTERM, SIGINT and SIGHUP reach CMD, and end nsx also before CMD has started. A
CMD that ignores SIGTERM is killed; the target's program also if it does not end
in 10 seconds, or in 2 after SIGHUP or the loss of the terminal, and at once when
^] is typed three times.

What shows a network namespace in /sys, and what ip netns exec has in
/etc/netns/NAME, such as its resolv.conf, CMD sees with --mount-sys.

Otherwise, in a user namespace CMD is root or, where that has no root, the target's
user; -S, -G and --preserve-credentials change that. With --tools=host, CMD is this
host's, in all of the target's namespaces except mount and user; $NSX_ROOT is the
target's root. It is refused where the target could trace CMD.

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx enter 5151                         # a shell in all its namespaces
  nsx enter --net 5151 -- ip a           # your own ip, its network
  nsx enter -t 5151 -n -m -- ps          # nsenter's way
  nsx enter --net netns:blue ip -br a    # by the name of ip netns
  nsx enter --net 77 --mnt 5151 -- ss -lnt
  nsx enter net:[4026532201] -- ss -s    # by the namespace itself
  nsx enter --tools=host 5151 -- ps aux  # where there are no tools
  nsx enter --dry-run 5151               # what would be done, and whether it may`,
		DisableFlagParsing: true, // the words after TARGET need a second look
		ValidArgsFunction:  completeEnter,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetInterspersed(false)
	flags.SetNormalizeFunc(mountIsMnt)
	flags.StringVarP(&o.target, "target", "t", "", "join namespaces of `TARGET` by letters")
	flags.BoolVarP(&o.all, "all", "a", false, "all its namespaces, like TARGET alone")
	for _, t := range inspect.Types {
		flags.StringVar(&o.others[t], t.String(), "", fmt.Sprintf("join the %s namespace of `TARGET`", t))
		complete(cmd, t.String(), completeTargets)
	}
	flags.StringVarP(&o.root, "root", "r", "", "make `DIR` the root directory")
	flags.StringVarP(&o.dir, "wd", "w", "", "make `DIR` the working directory")
	flags.Lookup("root").NoOptDefVal, flags.Lookup("wd").NoOptDefVal = ofTarget, ofTarget
	flags.StringVarP(&o.options.DirInside, "wdns", "W", "", "make `DIR`, looked up inside, the working directory")
	flags.StringVarP(&o.uid, "setuid", "S", "", "run as user `UID`; follow: as the target's")
	flags.StringVarP(&o.gid, "setgid", "G", "", "run as group `GID`; follow: as the target's")
	flags.BoolVar(&o.options.KeepCredentials, "preserve-credentials", false, "do not change user and groups")
	flags.BoolVar(&o.options.KeepCaps, "keep-caps", false, "keep the capabilities although CMD is not root")
	flags.BoolVar(&o.options.JoinOwner, "user-parent", false, "join the user namespace above the others")
	flags.BoolVarP(&o.env, "env", "e", false, "take the target's environment, as its own programs do anyway")
	flags.BoolVarP(&o.options.NoFork, "no-fork", "F", false, "do not fork: only CMD's children are in the PID namespace")
	flags.BoolVarP(&o.options.TargetCgroup, "join-cgroup", "c", false, "start in the target's cgroups, on v1 and v2")
	flags.IntVarP(&o.socket, "net-socket", "N", -1, "join the net namespace of the target's socket `FD`")
	flags.Lookup("net-socket").DefValue = "0" // which help leaves out
	flags.BoolVarP(&o.follow, "follow-context", "Z", false, "take the target's security label, as its own programs do")
	guestFlags(flags, &o.options)
	flags.BoolVar(&o.options.MountProc, "mount-proc", false, "mount a new /proc for the joined PID namespace")
	flags.BoolVar(&o.options.MountSys, "mount-sys", false, "mount a new /sys, and /etc/netns/NAME's files over /etc")
	flags.StringVar(&o.tools, "tools", "target", "`WHOSE` program CMD is: target or host")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done; try all of it except CMD")
	for _, t := range inspect.Types {
		name := "of-target-" + t.String()
		flags.StringVarP(&o.switches[t], name, nsenterLetters[t], "", "join the "+t.String()+" namespace of the target")
		flags.Lookup(name).NoOptDefVal = ofTarget
		flags.Lookup(name).Hidden = true
	}
	complete(cmd, "target", completeTargets)
	cmd.Flags().BoolP("help", "h", false, "help for enter")
	cmd.SetUsageTemplate(strings.Replace(examplesFirst(cmd.UsageTemplate()), "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		"{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}\n  -m -u -i -n -p -U -C -T      join mnt uts ipc net pid user cgroup time of the target", 1))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.parse(cmd.Flags(), args); err != nil {
			if errors.Is(err, pflag.ErrHelp) {
				return cmd.Help()
			}
			return usage(err)
		}
		return runEnter(cmd.Context(), s, &o)
	}
	return cmd
}

// parse reads the flags, TARGET and CMD.
func (o *enterOptions) parse(flags *pflag.FlagSet, args []string) error {
	if err := parseOnce(flags, args, false); err != nil {
		return err
	}
	rest := flags.Args()
	named := o.target != ""
	for _, t := range inspect.Types {
		named = named || flags.Changed(t.String()) || o.switches[t] != "" && o.switches[t] != ofTarget
	}
	dashed := flags.ArgsLenAtDash() >= 0
	if !named && !dashed && len(rest) > 0 {
		word := rest[0]
		o.target = word
		if err := parseOnce(flags, rest[1:], true); err != nil {
			return err
		}
		rest = flags.Args()
		if flags.Changed("target") {
			return fmt.Errorf("two targets: %q and -t %s", word, o.target)
		}
	}
	o.command = rest
	if flags.Changed("net-socket") && o.socket < 0 {
		return fmt.Errorf("-N: %d is no descriptor", o.socket)
	}
	for _, t := range inspect.Types {
		if flags.Changed(t.String()) && o.others[t] == "" { // --net "$UNSET"
			return fmt.Errorf("--%s: the target is empty", t)
		}
	}
	return nil
}

func parseOnce(flags *pflag.FlagSet, args []string, hasTarget bool) error {
	args, err := nsenterWords(flags, args, hasTarget)
	if err != nil {
		return err
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if help, err := flags.GetBool("help"); err == nil && help {
		return pflag.ErrHelp
	}
	return nil
}

// want is one namespace that was asked for, by words.
type want struct {
	typ  inspect.Type
	word string
}

// wants lists what the flags ask for. whole says that the target should be
// entered with all that it has.
func (o *enterOptions) wants() (wants []want, whole bool, err error) {
	whole = o.target != ""
	for _, t := range inspect.Types {
		word := o.switches[t]
		if word == "" {
			continue
		}
		if word == ofTarget {
			if word = o.target; word == "" {
				return nil, false, fmt.Errorf("-%s needs a target: name it with -t TARGET", nsenterLetters[t])
			}
		}
		if o.others[t] != "" {
			return nil, false, fmt.Errorf("-%s and --%s %s exclude each other", nsenterLetters[t], t, o.others[t])
		}
		whole = false
		wants = append(wants, want{t, word})
	}
	for _, t := range inspect.Types {
		if word := o.others[t]; word != "" {
			wants = append(wants, want{t, word})
		}
	}
	if o.socket >= 0 {
		switch {
		case o.target == "":
			return nil, false, errors.New("-N needs a process whose socket it is: name it with -t TARGET")
		case o.switches[inspect.Net] != "" || o.others[inspect.Net] != "":
			return nil, false, errors.New("-N and -n exclude each other: each names a network namespace")
		}
		whole = false
	}
	if o.all {
		if o.target == "" {
			return nil, false, errors.New("-a needs a target: name it with -t TARGET")
		}
		whole = true
	}
	if !whole && len(wants) == 0 && o.socket < 0 {
		return nil, false, errors.New("no target: name a process (5151), a namespace (net:[4026532201]) or a type with its own (--net 5151)")
	}
	return wants, whole, nil
}

// settle makes options of what the flags say in words.
func (o *enterOptions) settle() error {
	if o.options.TargetRoot = o.root == ofTarget; !o.options.TargetRoot {
		o.options.Root = o.root
	}
	if o.options.TargetDir = o.dir == ofTarget; !o.options.TargetDir {
		o.options.Dir = o.dir
	}
	var err error
	if o.options.UID, o.options.TargetUID, err = parseID("-S", o.uid); err != nil {
		return err
	}
	if o.options.GID, o.options.TargetGID, err = parseID("-G", o.gid); err != nil {
		return err
	}
	if o.options.KeepCredentials && (o.uid != "" || o.gid != "") {
		return errors.New("--preserve-credentials excludes -S and -G")
	}
	switch o.tools {
	case "target":
	case "host":
		o.options.HostTools = true
	default:
		return fmt.Errorf("--tools: %q is neither target nor host", o.tools)
	}
	return nil
}

func runEnter(ctx context.Context, s streams, o *enterOptions) error {
	wants, whole, err := o.wants()
	if err != nil {
		return usage(err)
	}
	if err := o.settle(); err != nil {
		return usage(err)
	}
	plan, env, err := o.plan(ctx, s, wants, whole)
	if err != nil {
		return own(err)
	}
	defer plan.Close()
	return runCommand(ctx, s, plan, o.command, env, o.dryRun)
}

// plan resolves the targets and opens their namespaces. The environment is nil
// unless the target's is wanted.
func (o *enterOptions) plan(ctx context.Context, s streams, wants []want, whole bool) (plan *enter.Plan, env []string, err error) {
	resolver := newResolver()
	defer resolver.close()
	var requests []enter.Request
	if o.target != "" {
		t, err := resolver.resolve(ctx, o.target)
		if err != nil {
			return nil, nil, err
		}
		if whole {
			requests = enter.AllOf(t)
		}
		if t.PID != 0 {
			o.options.Process = t
		}
	}
	var asked []enter.Request
	for _, w := range wants {
		request, err := resolver.request(ctx, w.typ, w.word)
		if err != nil {
			return nil, nil, err
		}
		asked = append(asked, request)
	}
	if o.socket >= 0 {
		socket, err := resolver.socket(ctx, o.target, o.socket)
		if err != nil {
			return nil, nil, err
		}
		asked = append(asked, enter.Request{Type: inspect.Net, Target: socket})
	}
	requests = append(requests, asked...)
	plan, err = enter.NewPlan(ctx, requests, o.options)
	if err != nil {
		return nil, nil, err
	}
	if whole && len(plan.Joins) == 0 && !plan.Untrusted() && o.namesContainer() {
		plan.Close()
		return nil, nil, fmt.Errorf("%s: all namespaces of process %d are our own, so CMD would be run by this host: run it without nsx, or join the root directory with -r", o.target, o.options.Process.PID)
	}
	if o.follow && !plan.Untrusted() {
		plan.Close()
		return nil, nil, errors.New("-Z: a program of this host's keeps our security label, whatever namespaces it is in: join the mount namespace too, or use runcon(1) or aa-exec(1)")
	}
	noteSkipped(ctx, s, "enter", plan, asked)
	if env, err = o.environment(ctx, plan); err != nil {
		plan.Close()
		return nil, nil, err
	}
	return plan, env, nil
}

// namesContainer says that the target is called by what somebody has named, in which CMD
// is expected to run, and not by a number.
func (o *enterOptions) namesContainer() bool {
	ref, err := inspect.ParseRef(o.target)
	named := err == nil && (ref.Kind == inspect.RefIdentity || ref.Kind == inspect.RefName)
	return named && o.options.Process != nil
}

// environment is what -e asks for. The target's own programs have it anyway, but
// for --privileged; nil leaves it to the plan.
func (o *enterOptions) environment(ctx context.Context, plan *enter.Plan) ([]string, error) {
	switch {
	case !o.env:
		return nil, nil
	case o.options.Process == nil:
		return nil, usagef("-e needs a process whose environment it is: name it with -t TARGET")
	case plan.Untrusted():
		return nil, nil
	case plan.WillJoin(inspect.Mnt):
		return o.options.Process.Environ(ctx)
	}
	return nil, fmt.Errorf("-e: %s would choose the program and its libraries, by PATH, LD_PRELOAD and the like, which run here with our rights: join its mount namespace too, or give single variables: nsx enter … env NAME=VALUE CMD", o.options.Process.Name())
}
