package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/internal/proc"
	"nsx/output"
)

// completeTargets offers processes with their names, and network namespaces of
// ip-netns(8). It reads little, for it runs at every press of the tab key.
func completeTargets(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.HasPrefix(word, "/") || strings.HasPrefix(word, ".") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	root := "/"
	// Other commands have a --root that is no place to look at.
	if f := cmd.Flags().Lookup("root"); f != nil && f.DefValue == "/" {
		root = f.Value.String()
	}
	var list []cobra.Completion
	offer := func(target, description string) {
		if strings.HasPrefix(target, word) {
			list = append(list, cobra.CompletionWithDesc(target, output.Escape(description)))
		}
	}
	pids, _ := filepath.Glob(filepath.Join(root, "proc/[1-9]*"))
	for _, dir := range pids {
		offer(filepath.Base(dir), commOf(root, filepath.Base(dir)))
	}
	names, _ := os.ReadDir(filepath.Join(root, "run/netns"))
	for _, name := range names {
		offer("netns:"+name.Name(), "network namespace")
	}
	offer("self", "nsx itself")
	offer("init", "process 1")
	return list, cobra.ShellCompDirectiveNoFileComp
}

// commOf is a process's name, empty if it cannot be read.
func commOf(root, pid string) string {
	comm, _ := proc.Root(root).ReadFile("proc/"+pid+"/comm", proc.MaxFile)
	return strings.TrimSuffix(string(comm), "\n")
}

// completeList offers the words for a flag whose value is a list: "net,m" to
// "net,mnt".
func completeList(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := ""
		if i := strings.LastIndexAny(typed, ",+-"); i >= 0 {
			before = typed[:i+1]
		}
		list := make([]cobra.Completion, 0, len(words))
		for _, w := range words {
			list = append(list, before+w)
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

func typeNames() []string {
	names := make([]string, 0, inspect.NumTypes)
	for _, t := range inspect.Types {
		names = append(names, t.String())
	}
	return names
}
