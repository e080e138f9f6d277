package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
	"nsx/output"
)

// streams are what a command reads and writes.
type streams struct{ in, out, err *os.File }

// The exit statuses of nsx's own; enter and its like pass their command's on.
const (
	exitDone     = 0
	exitFailed   = 1   // it failed, or nothing was found
	exitUsage    = 2   // wrong usage
	exitFindings = 3   // what was looked for was found: what does not work
	exitPartial  = 4   // the answer is partial, under --strict
	exitOwn      = 125 // nsx failed, where the status would be a command's
	exitNoExec   = 126 // the command cannot be executed
	exitNoCmd    = 127 // there is no such command
)

// statusError is an error with the exit status that it means. Without an err
// nothing is printed.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

func usage(err error) error { return &statusError{exitUsage, flagError(err)} }

// foundStatus is the status of a command that looks for what should not be.
func foundStatus(some bool) error {
	if some {
		return &statusError{status: exitFindings}
	}
	return nil
}

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// run runs the command line and returns the exit status.
func run(args []string, s streams) int {
	root := newRoot(s, args...)
	root.SetArgs(args)
	help := &noted{to: s.out}
	root.SetOut(help)
	cmd, err := root, theirCommand(args)
	if err == nil {
		cmd, err = root.ExecuteC()
	}
	if err == nil {
		err = help.err
	}
	if err == nil {
		return exitDone
	}
	status := exitFailed
	if with, ok := errors.AsType[*statusError](err); ok {
		status = with.status
		if with.err == nil {
			return status
		}
	} else if errors.Is(err, inspect.ErrUsage) {
		status = exitUsage
	}
	// One line: names in it may come from outside, and so may newlines.
	fmt.Fprintf(s.err, "%s: %s\n", strings.ReplaceAll(cmd.CommandPath(), " ", ": "), output.Escape(withErrno(err)+hint(cmd, err)+wayOut(cmd.Flags(), err)))
	if status == exitUsage {
		fmt.Fprintf(s.err, "Run '%s --help' for how to use it.\n", cmd.CommandPath())
	}
	if sig := interruptedBy(err); sig != 0 {
		dieBy(sig)
		return 128 + int(sig)
	}
	return status
}

// noted remembers the first error of writing, which cobra drops where it writes
// help.
type noted struct {
	to  io.Writer
	err error
}

func (n *noted) Write(b []byte) (int, error) {
	done, err := n.to.Write(b)
	if n.err == nil {
		n.err = err
	}
	return done, err
}

// withErrno is the error's text with the errno's name, which can be searched
// for, if it has one and does not say so itself. What a limit of the shell's means
// is the same everywhere.
func withErrno(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		if name := linux.ErrnoName(errno); name != "" && !strings.Contains(text, name) {
			text += " (" + name + ")"
		}
		if errno == unix.EMFILE && !strings.Contains(text, "ulimit") {
			text += tooManyFiles
		}
	}
	return text
}

// command makes a command, which is called by the names.
type command struct {
	names []string
	make  func(streams) *cobra.Command
}

var commands = []command{
	{[]string{"ls"}, newLs},
	{[]string{"ps"}, newPs},
	{[]string{"who"}, newWho},
	{[]string{"inspect"}, newInspect},
	{[]string{"holders"}, newHolders},
	{[]string{"diff"}, newDiff},
	{[]string{"audit"}, newAudit},
	{[]string{"doctor"}, newDoctor},
	{[]string{"enter"}, newEnter},
	{[]string{"run", "unshare"}, newRun},
	{[]string{"foreach"}, newForeach},
	{[]string{"cgroup"}, newCgroup},
	{[]string{"completion"}, newCompletion},
	{[]string{"version"}, newVersion},
}

// newRoot makes nsx with the command that the arguments begin with, or with all
// commands, if they do not begin with one. Making those that are not asked for
// would take a sixth of the time that nsx enter takes to start.
func newRoot(s streams, args ...string) *cobra.Command {
	root := &cobra.Command{
		Use:   "nsx",
		Short: "Show and enter the namespaces of a Linux machine",
		Long: `nsx shows every namespace of a Linux machine, who is in it and what keeps it
alive, and runs commands inside.`,
		Example: `  nsx ls                       # every namespace, one a row
  nsx ls --tree                # who owns what
  nsx ps net:[4026532201]      # who is in it
  nsx enter --net 5151 -- ip a # look at its network with your own tools
  nsx enter 5151               # a shell in all its namespaces`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := cmd.Flags().GetBool("version"); asked && err == nil {
				return printVersion(s)
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRoom(cmd); err != nil {
				return err
			}
			return startPoller(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Flags().BoolP("version", "V", false, "print the version")
	root.SuggestionsMinimumDistance = 2 // cobra's own default, not set by it here
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetIn(s.in)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.SetUsageTemplate(examplesFirst(root.UsageTemplate()))
	root.SetHelpFunc(helpFor(s))
	for _, c := range commands {
		if len(args) > 0 && slices.Contains(c.names, args[0]) {
			root.AddCommand(c.make(s))
			return root
		}
	}
	for _, c := range commands {
		root.AddCommand(c.make(s))
	}
	return root
}

// noArgs is cobra.NoArgs with the exit status of wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf(", did you mean %s?", strings.Join(near, " or "))
		}
		return usagef("unknown command %q%s", args[0], hint)
	}
	return usagef("unexpected argument %q", args[0])
}

// examplesFirst moves the examples of cobra's help in front of everything else.
func examplesFirst(template string) string {
	rest := strings.Replace(template, "{{if .HasExample}}\n\nExamples:\n{{.Example}}{{end}}", "", 1)
	return "{{if .HasExample}}Examples:\n{{.Example}}\n\n{{end}}" + rest
}
