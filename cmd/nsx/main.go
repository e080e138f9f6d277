// Nsx shows the namespaces and cgroups of a Linux machine, who is in them and
// what keeps them alive, and gets you inside.
package main

import (
	"fmt"
	"os"
)

func main() {
	saveThreads()
	keepIgnored()
	if err := keepClosed(); err != nil {
		fmt.Fprintln(os.Stderr, "nsx:", err)
		os.Exit(exitFailed)
	}
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}
