package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/enter"
	"nsx/inspect"
)

type runOptions struct {
	new        [inspect.NumTypes]string // onlyNew, or a file to keep it by
	joins      []string
	fork       bool
	mapRoot    bool
	mapCurrent bool
	mapAuto    bool
	mapUser    string
	mapGroup   string
	uidMaps    []string
	gidMaps    []string
	monotonic  string
	boottime   string
	killChild  string
	mountProc  string
	uid, gid   string
	dryRun     bool
	making     enter.New
	options    enter.Options
	cgroup     string
	group      groupFlags
	limitFlags
}

// onlyNew is the value of a type's switch without a file.
const onlyNew = "not kept"

// runNames are the long forms of unshare(1), but for the cgroup namespace:
// --cgroup is a group to start in.
var runNames = [inspect.NumTypes]string{
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
unshare(1). A new PID or time namespace implies --fork: CMD is its first process.
Mounts in a new mount namespace are private unless --propagation says otherwise.

--net=FILE and the like keep the new namespace by a bind mount on FILE; with a
file in /run/netns, ip netns knows it. If CMD does not start, that is undone.

In a new user namespace CMD is root if the id maps have a root: -r maps root to
you, -c you to yourself, --map-users and --map-groups map IN:OUT:COUNT,
and --map-auto the ids that /etc/subuid and /etc/subgid grant you, from 1 up.

CMD ends when nsx does.

Exit status: that of CMD; 128+N if signal N ended it; 125 nsx failed; 126 CMD
cannot be executed; 127 there is no CMD; 2 wrong usage.`,
		Example: `  nsx run -n -- ip a                        # an empty network
  nsx run -Urpf --mount-proc -- ps aux      # root of its own, alone
  nsx run -n --net=/run/netns/blue true     # as ip netns add blue
  nsx run -Ur --map-auto -m -- bash         # as a rootless container has it
  nsx run -T --boottime 86400 -- uptime     # a day later
  nsx run -n --cgroup /demo --memory 1G -- make`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch err := o.settle(); {
			case errors.Is(err, enter.ErrNoSubIDs):
				return own(err)
			case err != nil:
				return usage(err)
			}
			limits, err := o.limits(cmd, nil)
			if err != nil {
				return usage(err)
			}
			if o.cgroup == "" && len(limits.List()) > 0 {
				return usagef("limits are those of a group: name it with --cgroup /PATH")
			}
			return runRun(cmd.Context(), s, &o, limits, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetInterspersed(false)
	for _, t := range []inspect.Type{inspect.Mnt, inspect.UTS, inspect.IPC, inspect.Net, inspect.PID, inspect.User, inspect.Cgroup, inspect.Time} {
		flags.StringVarP(&o.new[t], runNames[t], nsenterLetters[t], "", fmt.Sprintf("make a new %s namespace, kept by `FILE` if given", t))
		flags.Lookup(runNames[t]).NoOptDefVal = onlyNew
	}
	flags.StringArrayVar(&o.joins, "join", nil, "join those of `[TYPE=]TARGET` first; may be repeated")
	flags.BoolVarP(&o.fork, "fork", "f", false, "as unshare(1) has it; -p and -T imply it")
	flags.StringVar(&o.mountProc, "mount-proc", "", "mount a new /proc, at `DIR`; implies -m")
	flags.Lookup("mount-proc").NoOptDefVal = "/proc"
	flags.BoolVarP(&o.mapRoot, "map-root-user", "r", false, "be root inside; implies -U")
	flags.BoolVarP(&o.mapCurrent, "map-current-user", "c", false, "be yourself inside; implies -U")
	flags.StringVar(&o.mapUser, "map-user", "", "be user `UID` inside; implies -U")
	flags.StringVar(&o.mapGroup, "map-group", "", "be group `GID` inside; implies -U")
	flags.StringArrayVar(&o.uidMaps, "map-users", nil, "map users `IN:OUT:COUNT`, or auto; implies -U")
	flags.StringArrayVar(&o.gidMaps, "map-groups", nil, "map groups `IN:OUT:COUNT`, or auto; implies -U")
	flags.BoolVar(&o.mapAuto, "map-auto", false, "map the subordinate ids granted to you; implies -U")
	flags.StringVar(&o.making.Propagation, "propagation", "", "`HOW` mounts propagate: private, slave, shared, unchanged")
	flags.StringVar(&o.monotonic, "monotonic", "", "offset of the monotonic clock, in `SECONDS`; implies -T")
	flags.StringVar(&o.boottime, "boottime", "", "offset of the boottime clock, in `SECONDS`; implies -T")
	flags.StringVar(&o.killChild, "kill-child", "", "send `SIGNAL` to CMD when nsx ends (KILL if not given)")
	flags.Lookup("kill-child").NoOptDefVal = "KILL"
	flags.StringVarP(&o.options.Root, "root", "R", "", "make `DIR` the root directory")
	flags.StringVarP(&o.options.DirInside, "wd", "w", "", "make `DIR` the working directory, looked up inside")
	flags.StringVarP(&o.uid, "setuid", "S", "", "run as user `UID`")
	flags.StringVarP(&o.gid, "setgid", "G", "", "run as group `GID`")
	flags.StringVar(&o.cgroup, "cgroup", "", "start in the group `PATH`; limits make it if needed")
	o.group.addForce(cmd)
	o.add(cmd)
	complete(cmd, "cgroup", completeGroups)
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and try it but for CMD")
	complete(cmd, "propagation", cobra.FixedCompletions([]string{"private", "slave", "shared", "unchanged"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "join", completeTargets)
	return cmd
}

// settle makes options of what the flags say in words.
func (o *runOptions) settle() error {
	if err := o.settleMaps(); err != nil {
		return err
	}
	if o.mountProc != "" && o.new[inspect.Mnt] == "" {
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
	var err error
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
	if len(o.making.Types) == 0 && len(o.joins) == 0 && o.cgroup == "" {
		return errors.New("no namespace to make: -m -u -i -n -p -U -C -T")
	}
	o.options.New = &o.making
	return nil
}

// settleMaps makes the id maps.
func (o *runOptions) settleMaps() error {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if o.mapRoot && o.mapCurrent {
		return errors.New("-r and -c exclude each other: you are either root inside or yourself")
	}
	if o.mapRoot {
		o.making.UIDs = inspect.IDMap{{Outside: uid, Count: 1}}
		o.making.GIDs = inspect.IDMap{{Outside: gid, Count: 1}}
	}
	if o.mapCurrent {
		o.making.UIDs = inspect.IDMap{{Inside: uid, Outside: uid, Count: 1}}
		o.making.GIDs = inspect.IDMap{{Inside: gid, Outside: gid, Count: 1}}
	}
	for _, one := range []struct {
		flag, word string
		own        uint32
		to         *inspect.IDMap
	}{{"--map-user", o.mapUser, uid, &o.making.UIDs}, {"--map-group", o.mapGroup, gid, &o.making.GIDs}} {
		inside, _, err := parseID(one.flag, one.word)
		if err != nil {
			return err
		}
		if inside != nil {
			*one.to = inspect.IDMap{{Inside: *inside, Outside: one.own, Count: 1}}
		}
	}
	if o.mapAuto {
		o.uidMaps, o.gidMaps = append(o.uidMaps, "auto"), append(o.gidMaps, "auto")
	}
	for _, m := range []struct {
		flag, granted string
		words         []string
		to            *inspect.IDMap
	}{
		{"--map-users", "/etc/subuid", o.uidMaps, &o.making.UIDs},
		{"--map-groups", "/etc/subgid", o.gidMaps, &o.making.GIDs},
	} {
		for _, word := range m.words {
			r, err := parseRange(word, m.granted, len(*m.to) > 0)
			if err != nil {
				return fmt.Errorf("%s: %w", m.flag, err)
			}
			*m.to = append(*m.to, r)
		}
	}
	if len(o.making.UIDs)+len(o.making.GIDs) > 0 && o.new[inspect.User] == "" {
		o.new[inspect.User] = onlyNew
	}
	return nil
}

// parseRange reads INSIDE:OUTSIDE:COUNT, or auto: the ids granted to the user,
// after the one that is mapped already if there is one.
func parseRange(word, granted string, after bool) (inspect.IDRange, error) {
	if word == "auto" {
		name := strconv.Itoa(os.Geteuid())
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		r, err := enter.SubIDs(granted, name, os.Geteuid())
		if after {
			r.Inside = 1
		}
		return r, err
	}
	var n [3]uint32
	fields := strings.Split(word, ":")
	for i, field := range fields {
		v, err := strconv.ParseUint(field, 10, 32)
		if err != nil || len(fields) != len(n) {
			return inspect.IDRange{}, fmt.Errorf("%q: want INSIDE:OUTSIDE:COUNT, or auto", word)
		}
		n[i] = uint32(v)
	}
	if n[2] == 0 {
		return inspect.IDRange{}, fmt.Errorf("%q maps no id: the count is 0", word)
	}
	return inspect.IDRange{Inside: n[0], Outside: n[1], Count: n[2]}, nil
}

func runRun(ctx context.Context, s streams, o *runOptions, limits cgroupfs.Limits, command []string) error {
	resolver := newResolver()
	defer resolver.close()
	var requests []enter.Request
	for _, word := range o.joins {
		more, err := resolver.requests(ctx, word)
		if err != nil {
			return own(err)
		}
		requests = append(requests, more...)
	}
	// The group comes last, so that there is little to undo.
	in, err := o.enterGroup(s, limits)
	if err != nil {
		return own(err)
	}
	if in.Entrance != nil {
		defer in.Close()
		o.options.Inside = in.Entrance
	}
	plan, err := enter.NewPlan(requests, o.options)
	if err != nil {
		return own(in.undo(err))
	}
	defer plan.Close()
	return in.undo(runCommand(s, plan, command, nil, o.dryRun))
}

// enterGroup opens the group of --cgroup, if that is given; with --dry-run only
// if it is there already.
func (o *runOptions) enterGroup(s streams, limits cgroupfs.Limits) (entered, error) {
	if o.cgroup == "" {
		return entered{}, nil
	}
	group, err := o.group.open(o.cgroup)
	if err != nil {
		return entered{}, err
	}
	if !o.dryRun {
		return enterGroup(s, group, limits, o.formula)
	}
	plan, err := planGroup(s, group, limits, o.formula)
	if err != nil {
		return entered{}, err
	}
	if plan != nil && len(plan.Steps) > 0 {
		if _, err := fmt.Fprintln(s.out, plan); err != nil {
			return entered{}, err
		}
	}
	if plan != nil && !group.Exists() {
		return entered{}, nil
	}
	inside, err := group.Open()
	return entered{Entrance: inside}, err
}
