package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"nsx/inspect"
)

// Who is isolated from whom: a set is the processes that share all their namespaces,
// and Apart the types that it does not share with what the machine booted with.
func ExampleScan() {
	snapshot, err := inspect.Scan(context.Background(), inspect.Options{Sets: true, Details: inspect.LeaderDetails})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, set := range snapshot.Sets {
		// nil, as in a container, means that it is not known.
		fmt.Fprintf(os.Stderr, "%d processes, such as %s, apart in %v (known: %v)\n", len(set.PIDs), strings.Join(set.Leader.Cmdline, " "), set.Apart, set.Apart != nil)
	}
	for _, gap := range snapshot.Gaps() {
		fmt.Fprintln(os.Stderr, gap)
	}
	own := snapshot.Process(os.Getpid())
	for _, set := range snapshot.Sets {
		if set.NS == own.NS {
			fmt.Println("we are in a set")
		}
	}
	// Output: we are in a set
}

// Find a target, and what can go wrong: a word that is none, and one that names
// nothing that is there.
func ExampleMachine_Find() {
	machine, err := inspect.Open("/")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	options := inspect.Options{ProcessesOnly: true, Details: inspect.AllDetails}
	for _, word := range []string{"self", "0x10", "netns:nsx-test-nowhere"} {
		snapshot, match, err := machine.Find(ctx, []string{word}, options)
		switch {
		case errors.Is(err, inspect.ErrUsage):
			fmt.Println(word, "is no target")
		case errors.Is(err, inspect.ErrGone):
			fmt.Println(word, "is not there")
		case err != nil:
			fmt.Println(err)
		default:
			for _, pid := range match.PIDs {
				fmt.Println(word, "is this process:", snapshot.Process(pid).PID == os.Getpid())
			}
		}
	}
	// Output:
	// self is this process: true
	// 0x10 is no target
	// netns:nsx-test-nowhere is not there
}

// A Target is pinned: what is opened through it is of the process that was named, or
// nobody's.
func ExampleResolve() {
	target, err := inspect.Resolve(context.Background(), "self")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer target.Close()
	file, id, err := target.OpenNamespace(inspect.Net)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fmt.Println(target.Name() == fmt.Sprintf("process %d", os.Getpid()), id.Type)
	// Output: true net
}
