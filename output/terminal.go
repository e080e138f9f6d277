package output

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// TerminalWidth returns how many columns the terminal behind f has, and 0 if
// there is none. A terminal that does not know, such as a serial console, is
// taken to have 80.
func TerminalWidth(f *os.File) int {
	if !IsTerminal(f) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// TerminalHeight returns how many lines the terminal behind f has, and 0 if there is
// none, or one that does not know.
func TerminalHeight(f *os.File) int {
	if !IsTerminal(f) {
		return 0
	}
	_, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return max(height, 0)
}

// IsTerminal tells whether f is a terminal.
func IsTerminal(f *os.File) bool {
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// UseColor decides about colours. mode is what --color says: always, never or
// auto. Auto, also "", means colours on a terminal, unless it is a dumb one or
// the user has set NO_COLOR (https://no-color.org). getenv is [os.Getenv].
func UseColor(mode string, f *os.File, getenv func(string) string) (bool, error) {
	switch mode {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto", "":
		return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && IsTerminal(f), nil
	default:
		return false, fmt.Errorf("unknown colour mode %q: use one of auto, always, never", mode)
	}
}
