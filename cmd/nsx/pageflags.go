package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/output"
)

// pageFlags are the flags of every command that shows something: alone those of
// commands that print a page about one thing.
type pageFlags struct {
	format string
	color  string
	root   string
	strict bool
	output.Options
}

func (f *pageFlags) add(cmd *cobra.Command) {
	f.addFormat(cmd, slices.DeleteFunc(output.Formats(), func(format output.Format) bool { return format == output.Wide }))
	f.addRest(cmd)
}

// addFormat adds the first of the flags.
func (f *pageFlags) addFormat(cmd *cobra.Command, formats []output.Format) {
	names := make([]string, len(formats))
	for i, format := range formats {
		names[i] = string(format)
	}
	last := len(names) - 1
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "`FORMAT`: "+strings.Join(names[:last], ", ")+" or "+names[last])
	complete(cmd, "output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// addRest adds the others.
func (f *pageFlags) addRest(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.color, "color", "auto", "colours `WHEN`: auto, always or never")
	flags.StringVar(&f.root, "root", "/", "look at the host whose root is `DIR`, mounted or captured")
	flags.BoolVar(&f.strict, "strict", false, "exit with status 4 if something could not be read")
	complete(cmd, "color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
}

// complete registers a completion. It fails only for a flag that does not
// exist, which is a bug.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// resolve settles what depends on the terminal.
func (f *pageFlags) resolve(out *os.File) error {
	format, err := output.ParseFormat(f.format)
	if err != nil {
		if strings.ToUpper(f.format) == f.format || strings.Contains(f.format, ",") { // lsns -o NS,PID
			err = fmt.Errorf("%w; columns are chosen by --columns %s", err, strings.ToLower(f.format))
		}
		return usage(fmt.Errorf("-o: %w", err))
	}
	if f.Color, err = output.UseColor(f.color, out, os.Getenv); err != nil {
		return usage(fmt.Errorf("--color: %w", err))
	}
	if f.root == "" {
		return usagef("--root: the directory is empty")
	}
	f.Format = format
	f.Width = output.TerminalWidth(out)
	f.ASCII = f.Width > 0 && output.UseASCII(os.Getenv)
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
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
}
