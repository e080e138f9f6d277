package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Help must fit a terminal that is split in two on a wide screen.
func TestHelpFits(t *testing.T) {
	const most = 100
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		var b strings.Builder
		cmd.SetOut(&b)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimRight(line, "\n")
			if w := utf8.RuneCountInString(line); w > most {
				t.Errorf("%s --help: %d columns wide:\n%s", cmd.CommandPath(), w, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s --help: blanks at the end of %q", cmd.CommandPath(), line)
			}
		}
		examples, usage := strings.Index(b.String(), "Examples:"), strings.Index(b.String(), "Usage:")
		if cmd.HasExample() && (examples < 0 || examples > usage) {
			t.Errorf("%s --help: the examples do not come before the usage", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot(streams{}))
}
