// Package words makes the sentences of messages agree with their numbers.
package words

import (
	"strconv"
	"strings"
)

// Count is a number with what is counted: "1 process is", "2 processes are".
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + many
}

// Quote makes a word from outside safe to show, and short.
func Quote(word string) string {
	if len(word) > 80 {
		word = word[:80] + "…"
	}
	return strconv.Quote(word)
}

// Shell makes a word from outside one that every shell takes for that word, and for
// nothing else: in single quotes, if it has more than letters, digits and what means
// nothing to any.
func Shell(word string) string {
	means := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@+:,./-_", r)
	}
	if word != "" && strings.IndexFunc(word, means) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
