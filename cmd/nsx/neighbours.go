package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// theirCommands are words of neighbours for commands of ours, theirVerbs those for
// verbs of cgroup.
var theirCommands = map[string]string{
	"exec": "nsx enter TARGET -- CMD", "shell": "nsx enter TARGET", "attach": "nsx enter TARGET, or nsx cgroup attach",
	"nsenter": "nsx enter", "lsns": "nsx ls", "list": "nsx ls", "netns": "nsx ls -t net, and nsx foreach net",
	"stats": "nsx cgroup ls", "limits": "nsx cgroup limits", "freeze": "nsx cgroup freeze", "kill": "nsx cgroup kill",
}

var theirVerbs = map[string]string{
	"show": "nsx cgroup stat, or get", "top": "nsx cgroup ls", "list": "nsx cgroup ls", "tree": "nsx cgroup ls",
	"stats": "nsx cgroup stat", "delete": "nsx cgroup rm", "remove": "nsx cgroup rm", "destroy": "nsx cgroup rm",
	"move": "nsx cgroup attach", "classify": "nsx cgroup attach", "exec": "nsx cgroup run", "update": "nsx cgroup set",
	"set-property": "nsx cgroup set", "pause": "nsx cgroup freeze", "unpause": "nsx cgroup thaw", "resume": "nsx cgroup thaw",
}

// theirCommand answers a neighbour's word in place of a command.
func theirCommand(args []string) error {
	if len(args) > 0 && !slices.ContainsFunc(commands, isNamed(args[0])) {
		if ours, ok := theirCommands[args[0]]; ok {
			return usagef("unknown command %q: here it is %s", args[0], ours)
		}
	}
	if len(args) > 1 && args[0] == "cgroup" {
		if ours, ok := theirVerbs[args[1]]; ok {
			return usagef("unknown command %q: here it is %s", "cgroup "+args[1], ours)
		}
	}
	return nil
}

func isNamed(word string) func(command) bool {
	return func(c command) bool { return slices.Contains(c.names, word) }
}

// theirFlags are flags of lsns(1), nsenter(1), docker and kubectl that are spelt
// in another way here.
func theirFlags(cmd string) map[string]string {
	switch cmd {
	case "ls", "ps":
		return map[string]string{
			"p": "the PID is a TARGET: nsx " + cmd + " 5151", "task": "the PID is a TARGET: nsx " + cmd + " 5151",
			"P": "here it is --filter 'procs == 0'", "persistent": "here it is --filter 'procs == 0'",
			"J": "here it is -o json", "json": "here it is -o json", "n": "here it is --no-headers", "noheadings": "here it is --no-headers",
			"u": "here it is --no-trunc", "notruncate": "here it is --no-trunc", "W": "here it is --no-trunc", "nowrap": "here it is --no-trunc",
			"T": "here it is --tree", "Q": "here it is --filter", "q": "here it is -o name", "quiet": "here it is -o name",
			"r": "what is piped is never cut; see -o name too", "raw": "what is piped is never cut; see -o name too",
			"l": "a list is what is printed without --tree", "list": "a list is what is printed without --tree",
			"H": "nsx " + cmd + " --help lists the columns", "list-columns": "nsx " + cmd + " --help lists the columns",
			"V": "here it is nsx version", "version": "here it is nsx version", "output-all": "here it is -o wide", "format": "here it is --columns, or -o json",
			"a": "here it is --all",
		}
	case "enter":
		return map[string]string{
			"f": "it forks where that is needed; -F does not", "fork": "it forks where that is needed; -F does not",
			"workdir": "here it is -W", "V": "here it is nsx version", "version": "here it is nsx version",
		}
	}
	return nil
}

// hint is our word for a flag of a neighbour's, as the end of an error.
func hint(cmd *cobra.Command, err error) string {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if ours := theirFlags(cmd.Name())[unknown.GetSpecifiedName()]; ours != "" {
			return ": " + ours
		}
	}
	return ""
}

const tooManyFiles = ": it takes more open files than this shell's limit (ulimit -n)"
