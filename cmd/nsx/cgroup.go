package main

import (
	"github.com/spf13/cobra"
)

func newCgroup(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cgroup VERB",
		Short: "Show, make, limit, fill and empty cgroups on v1, v2 and hybrid",
		Long: groupHelp + `

Values mean the same on v1 and v2: keys and flags are translated for the version
that the controller is really on. Whatever is written is read back, and what the
kernel rounded, clamped or ignored is reported; if a write fails or nsx is
interrupted, those before it are undone. Groups that belong to systemd, to a
container runtime or to nsx's own caller are changed only with --force. --only names
the one hierarchy that is read and changed: by "v2", by a v1 controller, or by where
it is mounted.

` + deviceHelp,
		Example: `  nsx cgroup info                                # what this machine has
  nsx cgroup create /demo --memory 512M --cpus 1.5
  nsx cgroup attach /demo 5151
  nsx cgroup set /demo memory.max=1G --dry-run   # the exact writes
  nsx cgroup run /demo -- make -j                # start inside
  nsx cgroup limits 5151                         # what really binds
  nsx cgroup kill /demo; nsx cgroup rm /demo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newCgroupInfo(s), newCgroupLs(s), newCgroupCreate(s), newCgroupSet(s), newCgroupGet(s),
		newCgroupAttach(s), newCgroupRun(s), newCgroupRm(s), newCgroupFreeze(s), newCgroupThaw(s),
		newCgroupKill(s), newCgroupStat(s), newCgroupLimits(s), newCgroupTranslate(s),
	)
	return cmd
}
