package inspect

import (
	"encoding/json"
	"fmt"
	"strconv"

	"nsx/cgroupfs"
	"nsx/identity"
)

// NSSet holds one namespace of each type by its inode number, indexed by
// Type; 0 stands for one that is not known.
type NSSet [TypeLen]uint64

// ID is the set's namespace of type t.
func (s NSSet) ID(t Type) ID { return ID{t, s[t]} }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *NSSet) UnmarshalJSON(text []byte) error {
	known := map[Type]uint64{}
	if err := json.Unmarshal(text, &known); err != nil {
		return err
	}
	*s = NSSet{}
	for t, inode := range known {
		s[t] = inode
	}
	return nil
}

// MarshalJSON writes the known namespaces as an object: {"net":4026531833,…}.
func (s NSSet) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 192)
	b = append(b, '{')
	for _, t := range Types {
		if s[t] == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, t.String()...)
		b = append(b, '"', ':')
		b = strconv.AppendUint(b, s[t], 10)
	}
	return append(b, '}'), nil
}

// Process is one process as the scan found it. It is named by its
// thread-group leader.
type Process struct {
	PID  int `json:"pid"`
	PPID int `json:"ppid"`
	// StartTicks is when it started, in clock ticks (USER_HZ, 100 a second)
	// since boot: field 22 of /proc/PID/stat. Together with the PID it names
	// a process for ever.
	StartTicks uint64 `json:"start_ticks"`
	// UID is the effective user, as seen from the reader's user namespace;
	// User that uid's name in the passwd file below the scanned root. Both
	// are details: see Options.Details.
	UID  *uint32 `json:"uid"`
	User string  `json:"user"`
	// Comm is the leader's name, at most 15 bytes, any bytes at all.
	Comm string `json:"comm"`
	// Cmdline is the argument vector: a detail; nil where it is not known,
	// empty for kernel threads and zombies.
	Cmdline []string `json:"cmdline"`
	// CmdlineCut says that there is more of it: see Options.MaxCmdline.
	CmdlineCut bool `json:"cmdline_cut,omitempty"`
	// State is the leader's state: R, S, D, Z, T, t, I, …
	State State `json:"state"`
	// KernelThread says that it has no user space (PF_KTHREAD).
	KernelThread bool `json:"kernel_thread,omitempty"`
	// NumThreads counts its live threads, the leader included.
	NumThreads int `json:"num_threads"`

	// NS are the leader's namespaces. A zombie has but user and pid.
	NS NSSet `json:"ns"`
	// PIDForChildren and TimeForChildren are the namespaces that its next
	// child will be in, where they differ from its own; 0 where they do not
	// (or where PIDForChildren has no first process yet, and so no name).
	PIDForChildren  uint64 `json:"pid_for_children,omitempty"`
	TimeForChildren uint64 `json:"time_for_children,omitempty"`
	// NSPIDs is its PID in each PID namespace from the one of the /proc in
	// use down to its own (NSpid of proc_pid_status(5)): a detail.
	NSPIDs []int `json:"ns_pids"`
	// Threads are the threads that are in other namespaces than the leader,
	// or all except the leader, if the scan was asked for them.
	Threads []Thread `json:"threads,omitempty"`

	// Cgroups is nil unless the scan was asked for it, or needed it for Identity.
	Cgroups []cgroupfs.Membership `json:"cgroups"`
	// Identity is whose it is, nil if nobody's, or if the scan was not asked: see
	// Options.Names.
	Identity *identity.Identity `json:"identity"`
}

// NameKnown says that an Identity of nil means nobody's: what tells could be read.
func (p *Process) NameKnown() bool { return p.Identity != nil || p.Cgroups != nil }

// Thread is a thread other than its process's leader.
type Thread struct {
	TID   int    `json:"tid"`
	Comm  string `json:"comm"`
	State State  `json:"state"`
	NS    NSSet  `json:"ns"`
	// Cgroups are the thread's own, which on v1 and in threaded groups of v2 may
	// differ from its process's. nil unless the scan was asked for them.
	Cgroups []cgroupfs.Membership `json:"cgroups"`
}

// State is a process state letter of proc_pid_stat(5).
type State byte

// Zombie is the state of a process, or of a leader whose other threads may
// still run, that has exited and was not waited for.
const Zombie State = 'Z'

// MarshalText makes the letter a string in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte{byte(s)}, nil }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	if len(text) != 1 {
		return fmt.Errorf("%q is no state of a process: want one letter", text)
	}
	*s = State(text[0])
	return nil
}

// String is the letter.
func (s State) String() string { return string(rune(s)) }

// Unreadable says what the scan was refused, so that no answer looks more
// complete than it is.
type Unreadable struct {
	PID int `json:"pid"`
	// What is "namespaces", "threads", "cgroup", "status" or "cmdline", or with
	// Options.Holders "mounts" or "descriptors", of which some were not listed; of
	// Machine.SocketHolders "descriptors".
	What string `json:"what"`
	// Error is the errno's name, or what was wrong with the text.
	Error string `json:"error"`
}
