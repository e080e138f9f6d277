// Package cgroupfs shows, makes, limits, fills and empties control groups on
// v1, v2 and hybrid hosts.
//
//	fs, err := cgroupfs.Open(cgroupfs.Options{})
//	group, err := fs.Group("/demo")
//	report, err := group.Create(ctx, cgroupfs.CreateOptions{Controllers: []string{"memory"}})
//	report, err = group.Set(ctx, cgroupfs.Limits{Memory: &size}, cgroupfs.PlanOptions{})
//
// # One name over all hierarchies
//
// A [Group] is one name over all hierarchies: memory may be on v1 and hugetlb on
// v2, and "/demo" means the directory of that name in each of them. It need not exist.
// Limits are given in either version's spelling and translated for the version that
// the controller is really on.
//
// # Changing
//
// A [Plan] is every write that limits take, to be printed or applied. Whatever is
// written is read back, and the [Report] says what the kernel made of it. If a write
// fails, or the context ends, what was written before is put back. Group.Set and Create
// plan and apply at once. Group.Freeze, Thaw, Kill and Remove return when the state
// holds, or with the context's error and who is in the way.
//
// A group that systemd, a container runtime or the caller lives by is not changed:
// Group.Owner says whose it is, Group.Forced is the same group without that guard.
//
// Group.Start runs a command that is never a moment outside of the group. An [Entrance]
// does so even from another mount namespace.
//
// # Reading
//
// Group.Stat is what a group uses, Group.Effective which limits really bind it, on the
// way up to the root. A value may be there, none (no limit), or not known: three
// different answers. Group.Walk goes through all groups below.
//
// # Contexts
//
// What waits, scans or writes several files takes a context. When that ends, a change
// is put back or, like the removal of a tree, said to have stopped on its way;
// errors.Is finds context.Canceled or context.DeadlineExceeded. What takes none reads
// or writes a file or two, and finishes: Report.Undo and Entrance.Admit are not to be
// left half done.
//
// # Errors
//
// Refusals come as [*Error]: the cause found in live state, what to do, the errno, and a
// reason for errors.Is:
//
//	switch {
//	case errors.Is(err, cgroupfs.ErrOwned): // refused.Owner, refused.Command: his own way
//	case errors.Is(err, cgroupfs.ErrBusy): // processes or groups are in the way
//	case errors.Is(err, cgroupfs.ErrGone): // fs.ErrNotExist as well
//	}
//
// Error.Remedy is the call that would help, where one would. A message never names
// options of a command line; what to do is said in this package's own words.
//
// # Limits
//
// Nothing is kept from one [Open] to the next: a program that enters another mount or
// cgroup namespace opens again. An [FS] and a Group do not change; any number of
// goroutines may use them at once. Two that write to the same group write over each
// other, as two programs do.
package cgroupfs
