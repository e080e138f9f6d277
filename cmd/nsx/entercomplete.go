package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
)

// completeEnter offers targets where one is due. Cobra leaves all of the line
// to us but the names of flags, since we parse the flags ourselves.
func completeEnter(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 && takesTarget(args[len(args)-1]) {
		return completeTargets(cmd, args, word)
	}
	named := slices.ContainsFunc(args, func(arg string) bool {
		flag, _, _ := strings.Cut(arg, "=")
		return takesTarget(flag)
	})
	words := 0
	for i, arg := range args {
		if arg == "--" {
			return nil, cobra.ShellCompDirectiveDefault // CMD and its arguments
		}
		if !strings.HasPrefix(arg, "-") && (i == 0 || !takesTarget(args[i-1])) {
			words++
		}
	}
	switch {
	case words > 1 || named && words > 0:
		return nil, cobra.ShellCompDirectiveDefault
	case strings.HasPrefix(word, "-"):
		if flag, target, given := strings.Cut(word, "="); given && takesTarget(flag) {
			list, directive := completeTargets(cmd, args, target)
			for i := range list {
				list[i] = flag + "=" + list[i]
			}
			return list, directive
		}
		return nil, cobra.ShellCompDirectiveNoFileComp // cobra itself offers the flags
	case named || words == 1:
		return nil, cobra.ShellCompDirectiveDefault
	default:
		return completeTargets(cmd, args, word)
	}
}

// takesTarget says that the word after arg is a target: after --net or -t.
func takesTarget(arg string) bool {
	if arg == "-t" || arg == "--target" {
		return true
	}
	name, long := strings.CutPrefix(arg, "--")
	_, err := inspect.ParseType(string(mountIsMnt(nil, name)))
	return long && err == nil
}
