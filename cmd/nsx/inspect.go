package main

import (
	"context"

	"github.com/spf13/cobra"

	"nsx/inspect"
)

type inspectOptions struct {
	pageFlags
	all    bool
	target string
}

func newInspect(s streams) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect TARGET",
		Short: "Show all about a process, a namespace or a cgroup on one page",
		Long: `Show on one page whose the target is, its namespaces and with whom it shares them,
its users, PIDs and capabilities inside and out, its cgroup with the limits that
bind and what became of them, the interfaces and who listens in a network namespace
other than the host's, its root and what is mounted otherwise than on the host, the
namespaces that it has open, and what nsx was not allowed to see. A section that
would say nothing is left out.

Of several processes (a container, a cgroup) the oldest one is shown; of a namespace
the one that leads it.
` + targetHelp + `

The page shows the first of long lists: --all shows them whole, and JSON has
everything. ? is what could not be read.

Exit status: 0 done, 1 nothing found, 2 wrong usage, 4 partial under --strict.`,
		Example: `  nsx inspect 5151                  # a process
  nsx inspect web                   # a container, pod or unit by its name
  nsx inspect netns:blue            # a namespace
  nsx inspect cgroup:/demo          # a cgroup
  nsx inspect web -o json | jq .rights.effective`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one target, such as 5151 or web")
			}
			return nil
		},
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.target = args[0]
			return runInspect(cmd.Context(), s, &o)
		},
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "show long lists whole: layers, mounts, maps")
	return cmd
}

func runInspect(ctx context.Context, s streams, o *inspectOptions) error {
	if err := o.resolve(s.out); err != nil {
		return err
	}
	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	profile, err := machine.Profile(ctx, o.target)
	if err != nil {
		return err
	}
	doc := &profileDoc{Schema: "nsx/inspect/1", Profile: profile, all: o.all}
	if err := profilePage.Print(s.out, doc, o.Options); err != nil {
		return err
	}
	return o.partial(profile.Complete)
}

// profileDoc is the document, and what the page is made of.
type profileDoc struct {
	Schema string `json:"schema"`
	*inspect.Profile
	all bool
}

// most is how many of a list are shown.
func (d *profileDoc) most(n int) int {
	if d.all {
		return 1 << 30
	}
	return n
}
