package main

import (
	"context"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// groupAt names a group of the machine whose root is mounted at root; only is the
// hierarchy that is meant, "" for all.
func groupAt(ctx context.Context, root, only, word string) (*cgroupfs.Group, error) {
	m, err := inspect.Open(root)
	if err != nil {
		return nil, err
	}
	return m.Only(only).Group(ctx, word)
}

// hierarchiesAt are those of the machine whose root is mounted at root, or the one
// that is meant.
func hierarchiesAt(root, only string) (*cgroupfs.FS, error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{Root: root})
	if err != nil || only == "" {
		return fs, err
	}
	return fs.Only(only)
}

// addOnly adds --only to a verb.
func addOnly(cmd *cobra.Command, only *string) {
	cmd.Flags().StringVar(only, "only", "", "in one `HIERARCHY` alone: v2, memory, name=systemd …")
	complete(cmd, "only", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		fs, err := cgroupfs.Open(cgroupfs.Options{Root: completionRoot(cmd)})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return fs.HierarchyNames(), cobra.ShellCompDirectiveNoFileComp
	})
}
