package inspect

import "nsx/internal/proc"

// Status is what entering a process needs to know of its /proc/PID/status:
// proc_pid_status(5). Users and groups are as seen from the reader's user
// namespace.
type Status struct {
	PID      int    // of the process, whichever of its threads it is of
	PPID     int    // of its parent
	Tracer   int    // the thread that traces it, 0 if none does
	UID, GID uint32 // effective
	// UIDs and GIDs are the real, effective, saved and file system ids.
	UIDs, GIDs [4]uint32
	Groups     []uint32 // supplementary
	// NSPID is its PID in its own PID namespace.
	NSPID int
	// Inheritable, Permitted, Effective, Bounding and Ambient are its capability
	// sets (capabilities(7)); bit n is capability n.
	Inheritable, Permitted, Effective, Bounding, Ambient uint64
	// NoNewPrivs says that no execve of it can gain rights.
	NoNewPrivs bool
	// Seccomp is its mode: 0 none, 1 strict, 2 filters. Filters is how many it
	// has, -1 before Linux 5.9.
	Seccomp, Filters int
}

// Status reads the target's status, which must be a process.
func (t *Target) Status() (Status, error) {
	text, err := t.ReadFile("status")
	if err != nil {
		return Status{}, err
	}
	s, err := proc.ParseStatus(string(text))
	return Status(s), err
}
