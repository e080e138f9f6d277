// Package words makes the sentences of messages agree with their numbers.
package words

import "strconv"

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
