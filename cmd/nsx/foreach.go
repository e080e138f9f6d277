package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"nsx/enter"
	"nsx/inspect"
	"nsx/output"
)

type foreachOptions struct {
	prefix    bool
	noHeaders bool
	parallel  int
	format    string
	force     bool
	options   enter.Options
	targets   []string
	command   []string
	flags     *pflag.FlagSet
	signals   *enter.Signals // what all commands share; nil where output is captured
	left      atomic.Int64   // of what may be kept of output: see keeper
}

func newForeach(s streams) *cobra.Command {
	var o foreachOptions
	cmd := &cobra.Command{
		Use:   "foreach TYPE|TARGET… -- CMD [ARG…]",
		Short: "Run a command in each namespace of a type, or in each target",
		Long: `Run CMD once in each distinct namespace of a TYPE (` + "cgroup, ipc, mnt, net, pid,\ntime, user, uts" + `), ours included, or in all namespaces of each TARGET;
"-" takes targets from standard input, the first number or word of each line.

` + targetHelp + `

Of mnt, where the namespaces' own programs are run, and of user those of root and
of ourselves are taken, and with --force all. What CMD gets is as in enter.

A header says whose output follows; with --prefix each line says so itself. With
-P several run at a time, and the output of each comes when it has ended; with
-o json that of all, at the end. Of output that has to wait 4M of each CMD's
streams and 64M of all are kept, and what is cut says so. With one at a time and
no --prefix, signals and the terminal are CMD's as in enter; ^C ends the others
too. Whatever CMD leaves behind in the background is not waited for: when CMD has
ended, its output ends after a quarter of a second of silence, or after 2.

Exit status: the highest of CMD's statuses, as enter has them; 2 wrong usage.`,
		Example: `  nsx foreach net -- ip -br addr
  nsx foreach net --prefix -- sysctl -n net.netfilter.nf_conntrack_count
  nsx foreach -P 4 5151 5160 -- ps
  nsx foreach net -o json -- ss -s | jq -r '.results[] | select(.status != 0)'`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if cmd.ArgsLenAtDash() >= 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			list, directive := completeTargets(cmd, args, word)
			return append(list, typeNames()...), directive
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 1 || dash == len(args) {
				return usagef("want a type or targets, then -- and the command")
			}
			o.targets, o.command, o.flags = args[:dash], args[dash:], cmd.Flags()
			return runForeach(cmd.Context(), s, &o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.prefix, "prefix", false, "begin each line with the namespace or target")
	flags.BoolVar(&o.noHeaders, "no-headers", false, "leave the headers out")
	flags.BoolVar(&o.options.MountSys, "mount-sys", false, "show CMD its network's /sys and /etc, as enter does")
	flags.BoolVar(&o.force, "force", false, "of mnt and user, take those of other users too")
	guestFlags(flags, &o.options)
	flags.IntVarP(&o.parallel, "parallel", "P", 1, "run `N` at a time")
	flags.StringVarP(&o.format, "output", "o", "text", "`FORMAT`: text, or json with status and output of each")
	complete(cmd, "output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// job is one run of the command.
type job struct {
	Target string `json:"target"`
	PID    int    `json:"pid,omitempty"`
	Comm   string `json:"comm,omitempty"`
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	// What was printed after that is not known.
	StdoutCut bool  `json:"stdout_cut,omitempty"`
	StderrCut bool  `json:"stderr_cut,omitempty"`
	broken    error // of our own output
	found     bool  // by a scan or on standard input, and not named by the user
	gone      bool  // it is not there any more
	resolve   func() ([]enter.Request, *inspect.Target, error)
}

func runForeach(ctx context.Context, s streams, o *foreachOptions) error {
	if o.parallel < 1 {
		return usagef("-P: %d at a time is none", o.parallel)
	}
	if o.format != "text" && o.format != "json" {
		return usagef("-o: unknown output format %q: use text or json", o.format)
	}
	jobs, err := o.jobs(ctx, s)
	if err != nil {
		return own(err)
	}
	worst := 0
	o.left.Store(keptOfAll)
	var mu sync.Mutex
	done := func(j *job) error {
		mu.Lock()
		defer mu.Unlock()
		worst = max(worst, j.Status)
		switch {
		case j.broken != nil:
			return j.broken
		case !o.captures() && j.Status == 128+int(unix.SIGINT):
			if err := o.interrupted(); err != nil {
				return err
			}
			return &interruptedError{signal: unix.SIGINT}
		case o.format == "json" || !o.captures() || j.gone:
			return nil
		}
		return o.print(s, j)
	}
	err = o.runAll(ctx, s, jobs, done)
	if by, ok := errors.AsType[*interruptedError](err); ok {
		if by.ours {
			dieBy(by.signal)
		}
		return &statusError{status: max(worst, 128+int(by.signal))}
	}
	if err != nil {
		return own(err)
	}
	if o.format == "json" {
		head := struct {
			Schema string `json:"schema"`
		}{"nsx/foreach/1"}
		results := slices.DeleteFunc(jobs, func(j *job) bool { return j.gone })
		if err := output.WriteJSONList(s.out, head, "results", results, output.IsTerminal(s.out)); err != nil {
			return own(err)
		}
	}
	if worst != 0 {
		return &statusError{status: worst}
	}
	return nil
}

// interruptedError says to run no more commands: the last one was
// ended by ^C, or somebody sent us a signal, which that one got too.
type interruptedError struct {
	signal syscall.Signal
	ours   bool // we got it
}

func (e *interruptedError) Error() string { return unix.SignalName(e.signal) }

// jobs are what to run: in each namespace of the one type, or in each target.
func (o *foreachOptions) jobs(ctx context.Context, s streams) ([]*job, error) {
	if typ, err := inspect.ParseType(o.targets[0]); err == nil {
		if len(o.targets) > 1 {
			return nil, usagef("%s is a type, and %q is one too many: want one type, or targets", typ, o.targets[1])
		}
		return o.namespaceJobs(ctx, s, typ)
	}
	targets, listed, err := withInput(ctx, s.in, o.targets)
	if err != nil {
		return nil, err
	}
	var jobs []*job
	for _, word := range targets {
		if _, err := inspect.ParseRef(word); err != nil {
			return nil, err // before any of them runs
		}
		jobs = append(jobs, &job{Target: word, found: listed, resolve: func() ([]enter.Request, *inspect.Target, error) {
			t, err := inspect.Resolve(ctx, word)
			if err != nil {
				if listed && errors.Is(err, inspect.ErrGone) {
					fmt.Fprintln(s.err, output.Escape(err.Error()))
				}
				return nil, nil, err
			}
			return enter.AllOf(t), t, nil
		}})
	}
	return jobs, nil
}

// namespaceJobs leaves out mount and user namespaces of other users, whose
// programs would be run, or would see ours.
func (o *foreachOptions) namespaceJobs(ctx context.Context, s streams, typ inspect.Type) ([]*job, error) {
	var m inspect.Machine
	others := 0
	snapshot, err := m.Scan(ctx, inspect.Options{Relations: true, Binds: true, Details: inspect.LeaderDetails})
	if err != nil {
		return nil, err
	}
	var jobs []*job
	for i := range snapshot.Namespaces {
		n := &snapshot.Namespaces[i]
		if n.Type != typ {
			continue
		}
		if !o.force && (typ == inspect.Mnt || typ == inspect.User) && ofAnother(n) {
			others++
			continue
		}
		j := &job{Target: n.ID().String(), found: true}
		if n.Leader != nil {
			j.PID, j.Comm = n.Leader.PID, n.Leader.Comm
		} else if len(n.Names) > 0 {
			j.Comm = n.Names[0]
		}
		j.resolve = func() ([]enter.Request, *inspect.Target, error) {
			t, err := m.Pin(ctx, snapshot, n.ID())
			if err == nil && typ == inspect.Mnt && t.PID != 0 {
				// What is run is the target's, and has rights only where that is.
				return enter.AllOf(t), t, nil
			}
			return []enter.Request{{Type: typ, Target: t}}, t, err
		}
		jobs = append(jobs, j)
	}
	if others > 0 {
		fmt.Fprintf(s.err, "nsx: note: left out %d %s namespaces of other users: --force takes them too\n", others, typ)
	}
	return jobs, nil
}

// ofAnother says that a namespace is of a user who is neither root nor us.
func ofAnother(n *inspect.Namespace) bool {
	for _, uid := range []*uint32{n.OwnerUID, leaderUID(n)} {
		if uid != nil && *uid != 0 && int(*uid) != os.Geteuid() {
			return true
		}
	}
	return false
}

func leaderUID(n *inspect.Namespace) *uint32 {
	if n.Leader == nil {
		return nil
	}
	return n.Leader.UID
}

// captures says that a command's output is kept until it has ended.
func (o *foreachOptions) captures() bool {
	return o.prefix || o.parallel > 1 || o.format == "json"
}

// streams says that the output is shown as it comes.
func (o *foreachOptions) streams() bool {
	return o.prefix && o.parallel == 1 && o.format == "text"
}

// interrupted says that a signal came that ends us as well as the command.
func (o *foreachOptions) interrupted() error {
	if o.signals != nil {
		if sig := o.signals.Ended(); sig != 0 {
			return &interruptedError{sig, true}
		}
	}
	return nil
}

// runAll runs the jobs, some at a time, and calls done after each. It stops at
// an error of done, which is one of our own output, and at a signal. Nothing is
// handed on to several commands at once: the signal ends us, and with us them.
func (o *foreachOptions) runAll(ctx context.Context, s streams, jobs []*job, done func(*job) error) error {
	if !o.captures() {
		o.signals = enter.CatchSignals()
		defer o.signals.Stop()
	}
	queue := make(chan *job)
	errs := make(chan error, o.parallel)
	var wg sync.WaitGroup
	for range min(o.parallel, len(jobs)) {
		wg.Go(func() {
			for j := range queue {
				o.runOne(ctx, s, j)
				err := done(j)
				if err == nil {
					err = o.interrupted()
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var failure error
	for _, j := range jobs {
		select {
		case queue <- j:
			continue
		case failure = <-errs:
		}
		break
	}
	close(queue)
	wg.Wait()
	if failure == nil && len(errs) > 0 {
		failure = <-errs // of the last one
	}
	return failure
}

// runOne runs one job and notes its status.
func (o *foreachOptions) runOne(ctx context.Context, s streams, j *job) {
	requests, target, err := j.resolve()
	if j.gone = j.found && errors.Is(err, inspect.ErrGone); j.gone {
		return
	}
	if err == nil {
		defer target.Close()
		err = o.start(ctx, s, j, requests)
	}
	err = commandStatus(err)
	if err == nil {
		return
	}
	j.Status = exitOwn
	if with, ok := errors.AsType[*statusError](err); ok {
		j.Status = with.status
	}
	if j.Error = err.Error(); j.Error == "" {
		return
	}
	if j.Error = withErrno(err) + wayOut(o.flags, err); !o.captures() {
		fmt.Fprintf(s.err, "nsx: foreach: %s: %s\n", output.Escape(j.Target), output.Escape(j.Error))
	}
}

func (o *foreachOptions) start(ctx context.Context, s streams, j *job, requests []enter.Request) error {
	plan, err := enter.NewPlan(ctx, requests, o.options)
	if err != nil {
		return err
	}
	defer plan.Close()
	showNotes(s, plan)
	cmd := enter.CommandContext(ctx, plan, o.command[0], o.command[1:]...)
	cmd.Inherited = inherit()
	if o.captures() {
		return o.capture(s, j, cmd)
	}
	if !o.noHeaders {
		if _, err := io.WriteString(s.out, output.Escape(j.header())+"\n"); err != nil {
			return err
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Signals = s.in, s.out, s.err, o.signals
	return cmd.Accompany()
}

// capture runs a command and keeps what it prints, or shows it line by line.
func (o *foreachOptions) capture(s streams, j *job, cmd *enter.Cmd) (err error) {
	if o.streams() {
		var mu sync.Mutex
		out, errout := newPrefixer(s.out, j.Target, &mu), newPrefixer(s.err, j.Target, &mu)
		err, j.broken = runPiped(cmd, out, errout)
		j.broken = errors.Join(j.broken, out.end(), errout.end())
		return err
	}
	out, errout := &keeper{left: &o.left}, &keeper{left: &o.left}
	err, _ = runPiped(cmd, out, errout) // to keep it cannot fail
	j.Stdout, j.StdoutCut = string(out.text), out.cut
	j.Stderr, j.StderrCut = string(errout.text), errout.cut
	if o.format == "json" {
		out.left, errout.left = new(atomic.Int64), new(atomic.Int64) // it is kept to the end
	}
	out.release()
	errout.release()
	return err
}

func (j *job) header() string {
	switch {
	case j.PID != 0:
		return fmt.Sprintf("==> %s (%d %s) <==", j.Target, j.PID, j.Comm)
	case j.Comm != "":
		return fmt.Sprintf("==> %s (%s) <==", j.Target, j.Comm)
	default:
		return fmt.Sprintf("==> %s <==", j.Target)
	}
}

// print shows what a job printed, and what was wrong with it.
func (o *foreachOptions) print(s streams, j *job) error {
	var messages string
	if cut := j.wasCut(); cut != "" {
		messages = "nsx: foreach: " + cut + "\n"
	}
	if j.Error != "" {
		messages += "nsx: foreach: " + output.Escape(j.Error) + "\n"
	}
	if !o.prefix {
		text := j.Stdout
		if !o.noHeaders {
			text = output.Escape(j.header()) + "\n" + text
		}
		return errors.Join(copyTo(s.out, text), copyTo(s.err, j.Stderr+messages))
	}
	var mu sync.Mutex
	out, errout := newPrefixer(s.out, j.Target, &mu), newPrefixer(s.err, j.Target, &mu)
	return errors.Join(copyTo(out, j.Stdout), out.end(), copyTo(errout, j.Stderr), errout.end(),
		copyTo(errout, messages))
}
