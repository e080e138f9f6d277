package who

import (
	"nsx/identity"
	"nsx/inspect"
	"nsx/inspect/network"
)

// Kind says what a word names.
type Kind string

// The kinds.
const (
	KindProcess   Kind = "process"   // 5151: by the number that the /proc in use has
	KindPID       Kind = "pid"       // 17, pid:17@web: by the number inside
	KindNamespace Kind = "namespace" // net:4026532704, netns:blue, a file
	KindGroup     Kind = "cgroup"    // cgroup:/demo
	KindName      Kind = "name"      // web, podman:web, unit:nginx
	KindInterface Kind = "interface" // if:veth3de0
	KindListener  Kind = "listener"  // :8080, udp:53, 10.0.0.1:80
	KindAddress   Kind = "address"   // 10.88.0.3
	KindUID       Kind = "uid"       // uid:100999, uid:1000@web
)

// Answer is one thing that a word names, and whose it is. Fields that mean nothing for
// its Kind are nil or empty.
type Answer struct {
	// Word is the question.
	Word string `json:"word"`
	Kind Kind   `json:"kind"`
	// Found says that there is an answer; Reason, if there is none, why.
	Found  bool   `json:"found"`
	Reason string `json:"reason,omitempty"`
	// Name is whose it is, as a target: "podman:web", "unit:nginx", "netns:blue",
	// "net:4026532704", "host", "kernel"; empty if that is nobody's, or not known.
	Name     string             `json:"name"`
	Identity *identity.Identity `json:"identity"`
	// Process is the one that it is about, or the oldest of several: nil if there is
	// none, or none that could be seen. PIDs are all of them.
	Process *inspect.Process `json:"process"`
	PIDs    []int            `json:"pids"`
	// TID is its thread whose number was asked for, 0 if that is the process's own.
	TID int `json:"tid,omitempty"`
	// Thread is that thread, if it is in other namespaces than its process: the answer
	// is whose the first one of those is.
	Thread *inspect.Thread `json:"thread,omitempty"`
	// Namespace is the one that was named; of interfaces, addresses and sockets that
	// which they are in; of a uid the user namespace, of a PID the PID namespace in which
	// it is the number that was asked for.
	Namespace *inspect.ID `json:"namespace"`
	// Members are the containers in that namespace, as targets, where several share it.
	Members []string `json:"members,omitempty"`
	// Interface is the one that was named, or that has the address.
	Interface *inspect.Interface `json:"interface,omitempty"`
	// Peer is the interface at its other end, if that is whose it is.
	Peer *inspect.Interface `json:"peer,omitempty"`
	// Listeners are the sockets of one process, or that nobody could be seen to have.
	Listeners []network.Listener `json:"listeners,omitempty"`
	// Forward is where a proxy sends on what it hears.
	Forward *Forward `json:"forward,omitempty"`
	// Levels is what a PID or uid is called in each namespace, from that of the /proc
	// in use down to the innermost.
	Levels []Level `json:"levels,omitempty"`
	// SubIDsOf is the user to whom subuid(5) gives the uid: a name, or a number.
	SubIDsOf string `json:"subids_of,omitempty"`
}

// Level is what a PID or uid is called in one namespace.
type Level struct {
	// Namespace is a PID or user namespace, its Inode 0 if that is not known.
	Namespace inspect.ID `json:"namespace"`
	// Number is nil if it is called nothing there, or what it is is not known.
	Number *uint32 `json:"number"`
}

// Forward is where docker-proxy sends on what it hears.
type Forward struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

// Report is what came of some questions.
type Report struct {
	// Snapshot is the look at the machine from which they were answered.
	Snapshot *inspect.Snapshot
	// Answers are in the order of the words; a word may have several, and one that has
	// none has one that was not found.
	Answers []Answer
	// Networks is how many network namespaces were read, 0 if that was not asked for.
	// Gaps are those that could not be, or not whole; Unsupported says that none can be:
	// the machine is a captured one.
	Networks    int
	Gaps        []inspect.NetworkGap
	Unsupported bool
	// Holders says that namespaces which nothing but a descriptor, a socket or another
	// mount namespace holds were looked at, too.
	Holders bool
	// Unreadable is what else could not be seen and may have been an answer.
	Unreadable []inspect.Unreadable
	// Complete says that all was seen.
	Complete bool

	machine inspect.Machine
}

// AllFound says that every word has an answer.
func (r *Report) AllFound() bool {
	for i := range r.Answers {
		if !r.Answers[i].Found {
			return false
		}
	}
	return true
}
