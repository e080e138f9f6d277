package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"nsx/output"
)

// widestHelp is how wide help gets on a wide terminal: longer lines are hard to read.
const widestHelp = 100

// helpFor makes the function that prints help, wrapped to the terminal. Piped, each
// line is as long as it is written, so that it can be searched.
func helpFor(s streams) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, _ []string) {
		text := cmd.Long
		if text == "" {
			text = cmd.Short
		}
		text = strings.TrimRight(text, " \n") + "\n\n" + cmd.UsageString()
		if width := output.TerminalWidth(s.out); width > 0 {
			text = wrapHelp(text, min(width, widestHelp))
		}
		fmt.Fprint(cmd.OutOrStdout(), text) // errors: see noted
	}
}

// wrapHelp breaks lines between words. Paragraphs, whose lines are not indented, are
// filled; an indented line goes on below its last column, which two blanks precede;
// examples stay whole, to be copied, with their comment above if there is no room.
func wrapHelp(text string, width int) string {
	var b strings.Builder
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			b.WriteString(wrapLine(strings.Join(paragraph, " "), width))
			paragraph = paragraph[:0]
		}
	}
	examples := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case line == "Examples:" || line == "Usage:":
			examples = line == "Examples:"
			fallthrough
		case line == "" || line[0] == ' ':
			flush()
			if examples {
				b.WriteString(wrapExample(line, width))
			} else {
				b.WriteString(wrapLine(line, width))
			}
		default:
			paragraph = append(paragraph, line)
		}
	}
	flush()
	return b.String()
}

func wrapExample(line string, width int) string {
	command, comment, ok := strings.Cut(line, "  # ")
	if !ok || utf8.RuneCountInString(line) <= width {
		return line + "\n"
	}
	return "  # " + comment + "\n" + strings.TrimRight(command, " ") + "\n"
}

// wrapLine breaks one line.
func wrapLine(line string, width int) string {
	hang := hangingIndent(line, width)
	var b strings.Builder
	for utf8.RuneCountInString(line) > width {
		at := breakAt(line, width, hang)
		if at < 0 {
			break
		}
		b.WriteString(strings.TrimRight(line[:at], " ") + "\n")
		line = strings.Repeat(" ", hang) + strings.TrimLeft(line[at:], " ")
	}
	return b.String() + line + "\n"
}

// breakAt is where the last blank is before which the line fits, or the first one at
// all, and -1 if there is none behind the indent.
func breakAt(line string, width, hang int) int {
	at, column := -1, 0
	for i, r := range line {
		if r == ' ' && column > hang {
			if column > width && at >= 0 {
				return at
			}
			at = i
		}
		column++
	}
	return at
}

// hangingIndent is the column where the last of a line's columns begins, or a little
// more than its own indent where that would leave too little room.
func hangingIndent(line string, width int) int {
	own := len(line) - len(strings.TrimLeft(line, " "))
	if own == 0 {
		return 0
	}
	const least = 24 // columns of text
	if gap := strings.Index(line[own:], "  "); gap >= 0 {
		head := line[:own+gap]
		rest := line[own+gap:]
		column := utf8.RuneCountInString(head) + len(rest) - len(strings.TrimLeft(rest, " "))
		if width-column >= least {
			return column
		}
	}
	return own + 4
}
