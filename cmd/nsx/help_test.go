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

func TestWrapHelp(t *testing.T) {
	const text = `A paragraph whose lines
are filled, whatever their length was in the source.

Columns (* by default):
  * ns      inode number, as ls -l /proc/PID/ns shows it
    pid     short

Examples:
  nsx ls --filter 'apart =~ net' --columns ns   # stays whole

  nsx ps           # all of them

Usage:
  nsx ls [TARGET…] [flags]

Flags:
  -o, --output FORMAT=…   FORMAT: table, wide, json, ndjson, yaml or name
      --a-long-flag=NEEDS-A-LOT-OF   room, and leaves little
`
	const want = `A paragraph whose lines are filled,
whatever their length was in the
source.

Columns (* by default):
  * ns      inode number, as ls -l
            /proc/PID/ns shows it
    pid     short

Examples:
  # stays whole
  nsx ls --filter 'apart =~ net' --columns ns

  nsx ps           # all of them

Usage:
  nsx ls [TARGET…] [flags]

Flags:
  -o, --output FORMAT=…   FORMAT:
      table, wide, json, ndjson,
      yaml or name
      --a-long-flag=NEEDS-A-LOT-OF
          room, and leaves little
`
	if got := wrapHelp(text, 36); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// No line is wider than the terminal but examples and what has no blank.
func TestHelpWraps(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, width := range []int{50, 80, 100} {
			examples := false
			before := cmd.Long + "\n\n" + cmd.UsageString()
			after := wrapHelp(before, width)
			for line := range strings.Lines(after) {
				line = strings.TrimRight(line, "\n")
				if line == "Examples:" || line == "Usage:" {
					examples = line == "Examples:"
				}
				if words := strings.Fields(line); utf8.RuneCountInString(line) > width && !examples && len(words) > 1 {
					t.Errorf("%s --help on %d columns: %q", cmd.CommandPath(), width, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s --help: blanks at the end of %q", cmd.CommandPath(), line)
				}
			}
			if len(strings.Fields(before)) != len(strings.Fields(after)) {
				t.Errorf("%s --help on %d columns: words are lost", cmd.CommandPath(), width)
			}
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot(streams{}))
}
