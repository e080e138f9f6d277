// Nsx shows the namespaces and cgroups of a Linux machine, who is in them and
// what keeps them alive, and gets you inside.
package main

import "os"

func main() {
	keepIgnored()
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}
