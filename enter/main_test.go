package enter

import (
	"os"
	"runtime"
	"testing"

	"nsx/inspect"
	"nsx/internal/testkit"
)

// partEnv makes a copy of the test binary play one of the parts: programs that
// use this package, and one that is run by it.
const partEnv = "NSX_ENTER_PART"

var parts = map[string]func(args []string) int{
	"accompany":   playAccompany,
	"ancestor":    playAncestor,
	"main-thread": playMainThread,
	"show-root":   playShowRoot,
}

// A Go program can hold on to its first thread from here only.
func init() {
	if os.Getenv(partEnv) == "main-thread" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	testkit.Hook()
	if play, ok := parts[os.Getenv(partEnv)]; ok {
		os.Exit(play(os.Args[1:]))
	}
	os.Exit(testkit.Main(m))
}

// planFor is a plan to join the given types of a word's namespaces, all of
// them if none is given.
func planFor(t testing.TB, word string, types ...inspect.Type) *Plan {
	t.Helper()
	target, err := inspect.Resolve(t.Context(), word)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	requests := AllOf(target)
	if len(types) > 0 {
		requests = nil
		for _, typ := range types {
			requests = append(requests, Request{typ, target})
		}
	}
	p, err := NewPlan(t.Context(), requests, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// threadNS reads the calling thread's namespaces: for PID the one that counts
// after setns(2), that of its children.
func threadNS(t inspect.Type) (uint64, error) {
	name := t.String()
	if t == inspect.PID {
		name = "pid_for_children"
	}
	return testkit.ReadNS("/proc/thread-self/ns/" + name)
}

// joinable are the types that a thread of a Go program can join.
var joinable = []inspect.Type{inspect.Cgroup, inspect.IPC, inspect.Mnt, inspect.Net, inspect.PID, inspect.UTS}

func names(types []inspect.Type) []string {
	var list []string
	for _, t := range types {
		list = append(list, t.String())
	}
	return list
}

// withUser adds the user namespace that an ordinary user needs to make others.
func withUser(types ...string) []string {
	if os.Geteuid() != 0 {
		types = append(types, "user")
	}
	return types
}
