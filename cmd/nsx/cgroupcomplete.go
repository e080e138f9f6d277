package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/output"
)

// completeGroups offers the groups below the one that is typed, for PATH.
func completeGroups(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	above := word[:strings.LastIndex(word, "/")+1]
	group, err := groupAt(cmd.Context(), completionRoot(cmd), "", "/"+strings.Trim(above, "/"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	children, err := group.Children()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list := make([]cobra.Completion, 0, len(children))
	for _, child := range children {
		// A name with control characters cannot be typed either.
		if _, err := cgroupfs.ParseGroupPath(child.Path()); err == nil && strings.HasPrefix(child.Path(), "/"+strings.TrimPrefix(word, "/")) {
			list = append(list, child.Path())
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completionRoot is where the command will look: it may have its own --root.
func completionRoot(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("root"); f != nil && cmd.HasParent() && cmd.Parent().Name() == "cgroup" {
		return f.Value.String()
	}
	return "/"
}

// completeKeys offers a group after none, and then its files, with the given
// end: "=" where a value follows.
func completeKeys(end string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeGroups(cmd, args, word)
		}
		group, err := groupAt(cmd.Context(), completionRoot(cmd), "", args[0])
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		values, err := group.Get(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var list []cobra.Completion
		for _, v := range values {
			if strings.HasPrefix(v.Key, word) && !slices.Contains(list, v.Key+end) {
				list = append(list, v.Key+end)
			}
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if end != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return list, directive
	}
}

// completePIDs offers processes with their names.
func completePIDs(word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []cobra.Completion
	dirs, _ := filepath.Glob("/proc/[1-9]*")
	for _, dir := range dirs {
		pid := filepath.Base(dir)
		if strings.HasPrefix(pid, word) {
			list = append(list, cobra.CompletionWithDesc(pid, output.Escape(commOf("/", pid))))
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func completeControllers(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return completeList(fs.Controllers()...)(cmd, args, word)
}
