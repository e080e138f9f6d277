package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nsx/output"
)

// pageFlags are those of commands that print a page about one thing.
type pageFlags struct {
	format string
	color  string
	root   string
	strict bool
	output.Options
}

func (f *pageFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.format, "output", "o", "table", "`FORMAT`: table, json, ndjson, yaml or name")
	flags.StringVar(&f.color, "color", "auto", "colours `WHEN`: auto, always or never")
	flags.StringVar(&f.root, "root", "/", "look at the host whose root is `DIR`, mounted or captured")
	flags.BoolVar(&f.strict, "strict", false, "exit with status 4 if something could not be read")
	complete(cmd, "output", cobra.FixedCompletions([]string{"table", "json", "ndjson", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
}

// resolve settles what depends on the terminal.
func (f *pageFlags) resolve(out *os.File) error {
	view := viewFlags{format: f.format, color: f.color, root: f.root}
	if err := view.resolve(out); err != nil {
		return err
	}
	f.Format, f.Color, f.Width, f.ASCII = view.Format, view.Color, view.Width, view.ASCII
	return nil
}

// partial is the status under --strict of an answer that is not complete.
func (f *pageFlags) partial(complete bool) error {
	if f.strict && !complete {
		return &statusError{status: exitPartial}
	}
	return nil
}

// firstOf shows the first few of some texts, and how many there are besides.
func firstOf(texts []string, most int) string {
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return strings.Join(texts[:most], ", ") + " and " + count(len(texts)-most) + " more"
}
