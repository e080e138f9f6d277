package enter

import (
	"os"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/linux"
)

// idBatch is how many namespace ids Linux 6.18 gives a processor at a time:
// COOKIE_LOCAL_BATCH of include/linux/cookie.h.
const idBatch = 4096

// cpuSetSize is how many processors a unix.CPUSet has room for (CPU_SET(3)).
const cpuSetSize = 1024

// outrun makes sure that the next mount namespace has a higher id than our own,
// whose file is given: else it could not be kept in ours.
//
// A mount namespace may be mounted only in older ones, or two could keep each
// other for ever; mnt_ns_loop (fs/namespace.c) takes the one with the lower
// number for the older. Linux 6.18 made that number the 64-bit id of the
// namespace, and gives each processor a batch of ids of its own (gen_cookie_next
// in ns_tree_gen_id, kernel/nstree.c). So if our own namespace was made on another
// processor than the new one, its id may be the higher one: then the bind mount
// fails with EINVAL, about half of the time. Before and since, one counter serves all
// processors: mnt_ns_seq, and from 6.19 on that of the fixed ids of initial
// namespaces.
//
// All types of namespaces take from the same batch, so UTS namespaces, the
// cheapest, use up what a processor has below our id. This is seldom needed, and
// once at most for each mount namespace that nsx runs in: the processors stay
// ahead. What fails here is left to fail when the namespace is kept.
func outrun(own string) {
	ours, err := namespaceID(own)
	if err != nil {
		return // before Linux 6.18
	}
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return
	}
	for cpu := range cpuSetSize {
		if all.IsSet(cpu) {
			_ = onThread(func() error { return outrunOn(cpu, ours) })
		}
	}
}

// outrunOn is outrun for one processor. It leaves the thread unusable.
func outrunOn(cpu int, id uint64) error {
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	for range idBatch + 1 {
		if err := unix.Unshare(inspect.UTS.CloneFlag()); err != nil {
			return err
		}
		if next, err := namespaceID("/proc/thread-self/ns/uts"); err != nil || next > id {
			return err
		}
	}
	return nil
}

func namespaceID(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return linux.NSID(int(f.Fd()))
}
