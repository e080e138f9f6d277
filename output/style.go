package output

import "strings"

// Style is how a cell looks where colours are allowed. A style only ever
// underlines what the text says already: colours get lost in pipes and on eyes.
type Style uint8

// The styles.
const (
	Plain Style = iota
	Bold
	Dim
	Red
	Green
	Yellow
	Blue
	Magenta
	Cyan
)

// paint wraps s in the escape sequences of the style.
func (s Style) paint(text string) string {
	if s == Plain || text == "" {
		return text
	}
	return s.sequence() + text + "\x1b[0m"
}

// sequence returns "Select Graphic Rendition" of ECMA-48, section 8.3.117.
func (s Style) sequence() string {
	switch s {
	case Bold:
		return "\x1b[1m"
	case Dim:
		return "\x1b[2m"
	case Red:
		return "\x1b[31m"
	case Green:
		return "\x1b[32m"
	case Yellow:
		return "\x1b[33m"
	case Blue:
		return "\x1b[34m"
	case Magenta:
		return "\x1b[35m"
	case Cyan:
		return "\x1b[36m"
	default:
		return "\x1b[0m"
	}
}

// asciiSigns are ours for terminals that show no others.
var asciiSigns = strings.NewReplacer("├─", "|-", "└─", "`-", "│ ", "| ", "…", "~", "·", "0", "↑", "^", "⇄", "<>", "→", "->", "←", "<-")

// signs puts them in the place of the usual ones, if that is asked for.
func (o Options) signs(text []byte) []byte {
	if !o.ASCII {
		return text
	}
	return []byte(asciiSigns.Replace(string(text)))
}

// UseASCII says that the user's locale has other characters than UTF-8's. One that says
// nothing is taken to have them. getenv is [os.Getenv].
func UseASCII(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // locale(7)
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
		}
	}
	return false
}
