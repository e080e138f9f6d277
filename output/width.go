package output

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Cut says how the text of a column gives way when the terminal is too narrow.
type Cut uint8

// The ways to give way.
const (
	CutNever  Cut = iota // numbers, identifiers: half of one is wrong, not short
	CutEnd               // /usr/lib/syst…
	CutMiddle            // /kubepods.s…9e8d.scope, for paths
)

const (
	ellipsis = "…"
	gap      = 2 // blanks between two columns
	minCut   = 8 // no column is cut below this: a stump tells nothing
)

// textWidth returns how many columns of a terminal the escaped text s takes.
func textWidth(s string) int {
	if plainASCII(s) == len(s) {
		return len(s)
	}
	return displaywidth.String(s)
}

// cutText shortens s to at most width columns.
func cutText(s string, width int, how Cut) string {
	if how == CutNever || textWidth(s) <= width {
		return s
	}
	room := max(width-1, 0) // for the ellipsis
	if how == CutEnd {
		return wholeNumbers(head(s, room), s) + ellipsis
	}
	end := tail(s, (room+1)/2)
	return head(s, room-textWidth(end)) + ellipsis + end
}

// wholeNumbers is the head of s without the number that it ends in the midst of: half
// of one is another one. If it has nothing else, it stays.
func wholeNumbers(head, s string) string {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	if len(head) == len(s) || !isDigit(s[len(head)]) {
		return head
	}
	if plain := strings.TrimRight(head, "0123456789"); plain != "" {
		return plain
	}
	return head
}

// isNumbered says that a text is a word and a number, as "net:4026531840" is, which no
// part of could stand for.
func isNumbered(s string) bool {
	const most = 32 // of "pid_for_children:" and a number
	if len(s) > most {
		return false
	}
	word, number, ok := strings.Cut(s, ":")
	return ok && word != "" && number != "" && strings.Trim(number, "0123456789") == ""
}

// head returns the longest prefix of s that fits into width columns.
func head(s string, width int) string {
	end, w := 0, 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		w += g.Width()
		if w > width {
			break
		}
		end += len(g.Value())
	}
	return s[:end]
}

// tail returns the longest suffix of s that fits into width columns.
func tail(s string, width int) string {
	start, w := 0, textWidth(s)
	for g := displaywidth.StringGraphemes(s); w > width && g.Next(); {
		w -= g.Width()
		start += len(g.Value())
	}
	return s[start:]
}

// fit returns the widths of columns whose contents are wide columns wide, so
// that a line takes at most total. The widest column gives way first, never
// below its least. If even that is too wide, the line stays longer than the
// terminal: it wraps, but it can be read.
func fit(wide, least []int, total int) []int {
	widths := make([]int, len(wide))
	sum := gap * (len(wide) - 1)
	for i := range wide {
		// Cut to the whole line's width at once: a command line of two megabytes
		// would take two million turns of the loop below.
		widths[i] = max(least[i], min(wide[i], total))
		sum += widths[i]
	}
	for ; sum > total; sum-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// squeeze takes from columns what fit had to leave them, those at the right first,
// until the line fits or each has its least.
func squeeze(widths, least []int, total int) {
	sum := gap * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	for i := len(widths) - 1; i >= 0 && sum > total; i-- {
		give := min(sum-total, widths[i]-least[i])
		widths[i] -= give
		sum -= give
	}
}

func blanks(n int) string {
	return strings.Repeat(" ", max(n, 0))
}
