package testkit

import (
	"os"
	"testing"
)

// SlowEnv is the variable that says that the machine is emulated and some ten
// times slower than others.
const SlowEnv = "NSX_SLOW"

// Rounds is how often a test repeats itself: full, or short with -short, and a
// fifth of that where SlowEnv is set.
func Rounds(full, short int) int {
	switch {
	case os.Getenv(SlowEnv) != "":
		return max(short/5, 1)
	case testing.Short():
		return short
	}
	return full
}
