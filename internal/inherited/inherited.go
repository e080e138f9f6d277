// Package inherited knows what this process was started with that Go's runtime
// changes before any Go code runs, and that a program which stands in for
// another has to pass on: which signals were ignored and blocked, the limit on
// open files, and which of the standard streams were closed.
//
// The runtime installs a handler for nearly every signal, whether it was ignored
// or not, unblocks those that end a program, and opens /dev/null wherever a
// standard stream is closed (initsig and minitSignalMask in
// runtime/signal_unix.go, checkfds in runtime/fds_unix.go); package syscall
// raises the limit (rlimit.go). None of them tells what was there before. So the
// process looks before they do.
//
// A static Go program begins with the runtime's rt0_go, which calls the function
// that _cgo_init points to, if it does: that is how it leaves room for the C
// library's own start. Here it points to a function of assembler that looks,
// clears _cgo_init and begins once more at the program's entry point (AT_ENTRY
// in getauxval(3)), with the stack as execve(2) has left it. The runtime then
// starts as if nothing had been before it.
//
// In a program with cgo, _cgo_init is the C library's, and nothing is known.
package inherited

import "golang.org/x/sys/unix"

// State is what the process was started with.
type State struct {
	// Ignored and Blocked are sets of signals: bit n-1 is signal n.
	Ignored, Blocked uint64
	// NoFile is RLIMIT_NOFILE.
	NoFile unix.Rlimit
	// Closed has bit n set if descriptor n, of 0 to 2, was closed.
	Closed uint64
}

// Known says what this process was started with, and whether that is known.
func Known() (State, bool) {
	c := looked()
	return State{
		Ignored: c[atIgnored], Blocked: c[atBlocked],
		NoFile: unix.Rlimit{Cur: c[atNoFile], Max: c[atNoFile+1]},
		Closed: c[atClosed],
	}, c[atDone] != 0
}

// Where the assembler puts what it finds: an index of 64-bit words.
const (
	atIgnored = iota
	atBlocked
	atNoFile // struct rlimit64
	_
	atClosed
	atDone
	words
)
