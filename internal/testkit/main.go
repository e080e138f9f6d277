package testkit

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// roleEnv says to a re-executed binary which part it plays.
const roleEnv = "NSX_TESTKIT_ROLE"

// roles are the parts. Each takes over the process and never returns.
var roles = map[string]func(){
	"fixture": fixtureMain,
	"exit":    func() { os.Exit(0) },
	"crowd":   crowdMain,
	"storm":   stormMain,
	"reader":  readerMain,
}

// A fixture needs its main goroutine on the process's first thread, because
// /proc/PID/ns shows what that thread sees. Only a lock taken while packages
// are initialised can promise it.
func init() {
	if os.Getenv(roleEnv) != "" {
		runtime.LockOSThread()
	}
}

// Hook takes the process over if it was started as a fixture; otherwise it
// does nothing. Call it before anything else in main.
func Hook() {
	role := os.Getenv(roleEnv)
	if role == "" {
		return
	}
	run, ok := roles[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "testkit: no role %q\n", role)
		os.Exit(2)
	}
	run()
	os.Exit(0)
}

// Main runs a package's tests, for TestMain. It plays a fixture's part if the
// process was started as one, and fails the run when the tests left file
// descriptors, goroutines or child processes behind.
func Main(m *testing.M) int {
	Hook()
	before := takeSnapshot()
	code := m.Run()
	if leaks := before.leaks(); len(leaks) > 0 {
		fmt.Fprintln(os.Stderr, "testkit: the tests left something behind:")
		for _, leak := range leaks {
			fmt.Fprintln(os.Stderr, leak)
		}
		if code == 0 {
			code = 1
		}
	}
	return code
}
