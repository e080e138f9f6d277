package inspect

import (
	"strings"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/internal/proc"
)

// Ref is a target word, understood but not yet looked up: it names a process,
// a namespace or a cgroup that may or may not exist. ParseRef makes one, for those
// who want to know what a word could mean. Machine.Find and Resolve take the words
// themselves.
type Ref struct {
	// Word is what the user wrote.
	Word string
	Kind RefKind
	// PID and, for one of its threads, TID: RefProcess.
	PID, TID int
	// PIDFDInode, if it is not 0, tells the process from another one that gets the
	// same PID: fstat(2) of its pidfd has it, which kernels since Linux 6.9 use once.
	PIDFDInode uint64
	// ID is RefNamespace's; its Type means nothing with AnyType, that is
	// where the word was a bare inode number.
	ID      ID
	AnyType bool
	// KernelID names it instead of an inode number, if it is not 0.
	KernelID uint64
	// Path is RefFile's, RefCgroup's, or the name of a RefNetns, RefUnit or RefName.
	Path string
	// Query is RefIdentity's and RefName's.
	Query identity.Query
}

// RefKind says what a Ref names.
type RefKind uint8

// The kinds of Ref.
const (
	RefProcess   RefKind = iota + 1 // 5151, pid:5151, 5151/5160, 5151:INODE, init
	RefSelf                         // self
	RefNamespace                    // 4026531840, net:4026531840, net:[4026531840], net:=3
	RefFile                         // /run/netns/blue, ./blue
	RefNetns                        // netns:blue
	RefCgroup                       // cgroup:/demo
	RefUnit                         // unit:web, web.service, session:3
	RefIdentity                     // podman:web, pod:shop/cart, unit(alice):web
	RefName                         // web
)

// maxPID is PID_MAX_LIMIT of include/linux/threads.h, and minInode lies below
// all inode numbers of namespaces: the fixed ones of include/uapi/linux/nsfs.h
// and those from PROC_DYNAMIC_FIRST on (fs/proc/generic.c).
const (
	maxPID   = 4194304
	minInode = 4026531000
)

// ParseRef reads a target word. It looks nothing up. Whatever it refuses is an
// ErrUsage.
func ParseRef(word string) (Ref, error) {
	r := Ref{Word: word}
	prefix, rest, hasColon := strings.Cut(word, ":")
	switch {
	case word == "":
		return r, usagef("the target is empty: name a process (5151) or a namespace (net:[4026531840])")
	case strings.HasPrefix(word, "/"), strings.HasPrefix(word, "./"), strings.HasPrefix(word, "../"), word == ".", word == "..":
		r.Kind, r.Path = RefFile, word
		return r, nil
	case word == "self":
		r.Kind = RefSelf
		return r, nil
	case word == "init", word == "host":
		r.Kind, r.PID = RefProcess, 1
		return r, nil
	case prefix == "pid" && hasColon && !strings.HasPrefix(rest, "[") && !strings.HasPrefix(rest, "="):
		return r.number(rest)
	case prefix == "netns" && hasColon:
		if rest == "" || rest == "." || rest == ".." || strings.Contains(rest, "/") {
			return r, usagef("target %q: %q is no name of a network namespace", word, rest)
		}
		r.Kind, r.Path = RefNetns, rest
		return r, nil
	case prefix == "cgroup" && strings.HasPrefix(rest, "/"):
		r.Kind, r.Path = RefCgroup, "/"+strings.Trim(rest, "/")
		return r, nil
	case hasColon && (prefix == "unit" || prefix == "session") && !strings.Contains(rest, "*"):
		if rest == "" || strings.Contains(rest, "/") {
			return r, usagef("target %q: %q is no name of a %s", word, rest, prefix)
		}
		if r.Kind, r.Path = RefUnit, rest; prefix == "session" {
			r.Path = "session-" + rest + ".scope"
		}
		return r, nil
	}
	if n, ok := proc.Decimal(prefix); ok && hasColon && n > 0 && n <= maxPID {
		inode, ok := proc.Decimal(rest)
		if !ok || inode == 0 {
			return r, usagef("target %q: %q is no inode number of a pidfd: want a decimal number", word, rest)
		}
		r.Kind, r.PID, r.PIDFDInode = RefProcess, int(n), inode
		return r, nil
	}
	query, isQuery := identity.ParseQuery(word)
	switch {
	case cgroupfs.IsUnit(word) && !query.Glob():
		r.Kind, r.Path = RefUnit, word
		return r, nil
	case isQuery && !query.IsBare():
		r.Kind, r.Query = RefIdentity, query
		return r, nil
	case hasColon && strings.HasPrefix(rest, "="):
		typ, err := ParseType(prefix)
		if err != nil {
			return r, usagef("target %q: %w", word, err)
		}
		id, ok := proc.Decimal(rest[1:])
		if !ok || id == 0 {
			return r, usagef("target %q: %q is no id of a namespace: want a decimal number", word, rest[1:])
		}
		r.Kind, r.ID.Type, r.KernelID = RefNamespace, typ, id
		return r, nil
	case hasColon:
		id, err := ParseID(word)
		if err != nil {
			return r, usagef("target %q: %w", word, err)
		}
		if id.Inode <= minInode {
			return r, usagef("target %q: inode numbers of namespaces are all above %d", word, minInode)
		}
		r.Kind, r.ID = RefNamespace, id
		return r, nil
	case isNumber(word):
		return r.number(word)
	case strings.Contains(word, "/"):
		return r, usagef("target %q: name a file by a path that begins with / or ./", word)
	}
	r.Kind, r.Path, r.Query = RefName, word, query
	return r, nil
}

// isNumber says that a word is a number or means to be one. A container's ID may begin
// with a digit, and so may a name, but they have letters.
func isNumber(word string) bool {
	if word[0] < '0' || word[0] > '9' {
		return false
	}
	isLetter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	return strings.IndexFunc(word, isLetter) < 0 || strings.HasPrefix(word, "0x") || strings.Contains(word, "/")
}

// number reads PID, PID/TID or a bare inode number.
func (r Ref) number(s string) (Ref, error) {
	pid, tid, thread := strings.Cut(s, "/")
	n, ok := proc.Decimal(pid)
	switch {
	case !ok || n == 0:
		return r, usagef("target %q: %q is no PID: want a decimal number", r.Word, pid)
	case n <= maxPID:
		r.Kind, r.PID = RefProcess, int(n)
	case n > minInode && !thread:
		r.Kind, r.ID.Inode, r.AnyType = RefNamespace, n, true
		if strings.HasPrefix(r.Word, "pid:") {
			r.ID.Type, r.AnyType = PID, false
		}
	default:
		return r, usagef("target %q: %d is neither a PID (at most %d) nor a namespace's inode number (above %d)", r.Word, n, maxPID, minInode)
	}
	if thread {
		n, ok := proc.Decimal(tid)
		if !ok || n == 0 || n > maxPID {
			return r, usagef("target %q: %q is no thread id: want a decimal number", r.Word, tid)
		}
		r.TID = int(n)
	}
	return r, nil
}

// need is o with what a scan must read for the Ref to be found in it. That does
// not go as far as Options.Holders, without which a namespace may be missing that
// no process or thread is in.
func (r Ref) need(o Options) Options {
	o.ForChildren = o.ForChildren || r.Kind == RefProcess || r.Kind == RefSelf
	switch {
	case r.Kind == RefCgroup, r.Kind == RefUnit:
		o.Cgroups = true
	case r.Kind == RefIdentity:
		o.Cgroups, o.Names = true, true
	case r.TID != 0:
		o.Threads = true
	case r.Kind == RefName:
		o.Relations, o.Binds, o.Cgroups, o.Names = true, true, true, true
	case r.Kind == RefNamespace, r.Kind == RefFile, r.Kind == RefNetns:
		o.Relations, o.Binds = true, true
	}
	return o
}
