// Package inspect shows which namespaces a Linux machine has, who is in them,
// who owns them and what keeps them alive.
//
//	snapshot, err := inspect.Scan(ctx, inspect.Options{Relations: true})
//	for _, ns := range snapshot.Namespaces {
//		fmt.Println(ns.ID(), ns.NProcs)
//	}
//
// # Everything
//
// [Scan] reads /proc once, on all cores, and returns a [Snapshot]: plain data,
// [Namespace] and [Process] referring to each other by number, which marshals to
// JSON and back. [Options] chooses what else is read: sets of processes that share
// all namespaces, cgroups, parents and owners, users and command lines, what holds
// namespaces without a process. Each of these costs a system call or more for each
// process, so ask for what you show.
//
// # What somebody means
//
// A word such as "5151", "net:[4026531840]", "netns:blue", "cgroup:/demo" or
// "web.service" names something; [ParseRef] has the grammar. [Machine.Find] scans
// for what some words name, and reads no more than they need. [Resolve] makes a
// [Target] of one word, something to act upon: it is pinned by open descriptors, so
// that it cannot become another process.
//
// # Another root
//
// The functions are about this machine. [Open] makes a [Machine] of another root,
// whose methods do the same there: a host's, mounted in a container, or a captured
// tree, where what takes a question to the kernel is not known.
//
// # Gaps and errors
//
// Trouble with single processes is data and no error: a process that vanished is not
// listed, one that may not be read is in Snapshot.Unreadable, and then
// Snapshot.Complete is false. An ordinary user sees the namespaces of his own
// processes, root mostly those of all.
//
// Errors can be told apart by [ErrUsage] (a word that names nothing, whatever is
// there), [ErrGone] (nothing of that name, or no more), the errno, and those of the
// context, which whatever scans, loops or waits takes and gives back when it ends.
//
// # Limits
//
// A snapshot is not atomic, since /proc is read process by process. It does not change
// afterwards, so any number of goroutines may read it; a Machine and a Target may be
// used by several at once, except for Target.Close.
package inspect
