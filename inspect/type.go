package inspect

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Type is one of the eight kinds of namespace, in the order in which nsx
// lists them. The zero value is none of them; use ParseType for words from outside.
type Type uint8

// The namespace types of namespaces(7).
const (
	Cgroup Type = iota + 1
	IPC
	Mnt
	Net
	PID
	Time
	User
	UTS

	// NumTypes is how many types there are.
	NumTypes = 8
	// TypeLen is how long an array is that is indexed by Type: the place of the
	// zero value stays empty.
	TypeLen = NumTypes + 1
)

// Types is every type in listing order.
var Types = [NumTypes]Type{Cgroup, IPC, Mnt, Net, PID, Time, User, UTS}

// types holds what the kernel calls each type: its file in /proc/PID/ns
// (fs/proc/namespaces.c) and its CLONE_NEW* flag (include/uapi/linux/sched.h).
var types = [TypeLen]struct {
	name string
	flag int
}{
	Cgroup: {"cgroup", unix.CLONE_NEWCGROUP},
	IPC:    {"ipc", unix.CLONE_NEWIPC},
	Mnt:    {"mnt", unix.CLONE_NEWNS},
	Net:    {"net", unix.CLONE_NEWNET},
	PID:    {"pid", unix.CLONE_NEWPID},
	Time:   {"time", unix.CLONE_NEWTIME},
	User:   {"user", unix.CLONE_NEWUSER},
	UTS:    {"uts", unix.CLONE_NEWUTS},
}

// String is the type's name as in /proc/PID/ns: "net", "mnt", ….
func (t Type) String() string {
	switch {
	case t == 0:
		return "none"
	case int(t) >= len(types):
		return "type(" + strconv.Itoa(int(t)) + ")"
	}
	return types[t].name
}

// CloneFlag is the type's CLONE_NEW* constant, as setns(2) and
// ioctl_nsfs(2)'s NS_GET_NSTYPE use it; 0 of none.
func (t Type) CloneFlag() int { return types[t].flag }

// MarshalText makes the type's name its form in JSON, also as a map key.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseType.
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// ParseType finds the type with the given name.
func ParseType(name string) (Type, error) {
	for _, t := range Types {
		if types[t].name == name {
			return t, nil
		}
	}
	return 0, usagef("unknown namespace type %q: use one of %s", name, strings.Join(typeNames(), ", "))
}

// TypeOfFlag finds the type with the given CLONE_NEW* flag.
func TypeOfFlag(flag int) (Type, bool) {
	for _, t := range Types {
		if types[t].flag == flag {
			return t, true
		}
	}
	return 0, false
}

func typeNames() []string {
	names := make([]string, 0, NumTypes)
	for _, t := range Types {
		names = append(names, t.String())
	}
	return names
}

// ID names a namespace while it lives: its type and the inode number that
// readlink(2) shows for /proc/PID/ns/TYPE. All namespaces of a machine are
// inodes of one nsfs, so the device is left out. The kernel reuses an inode
// number after its namespace is gone: hold a descriptor on a namespace before
// you act on it.
type ID struct {
	Type  Type   `json:"type"`
	Inode uint64 `json:"inode"`
}

// String is the form the kernel prints: "net:[4026531840]".
func (id ID) String() string {
	return id.Type.String() + ":[" + strconv.FormatUint(id.Inode, 10) + "]"
}

// Target is the form that is typed: "net:4026531840".
func (id ID) Target() string { return id.Type.String() + ":" + strconv.FormatUint(id.Inode, 10) }

// IsZero says that it names no namespace.
func (id ID) IsZero() bool { return id.Inode == 0 }

// ParseID reads "net:[4026531840]" or "net:4026531840".
func ParseID(s string) (ID, error) {
	name, rest, ok := strings.Cut(s, ":")
	if !ok {
		return ID{}, usagef("%q is no namespace: want TYPE:[INODE]", s)
	}
	t, err := ParseType(name)
	if err != nil {
		return ID{}, err
	}
	if inner, found := strings.CutPrefix(rest, "["); found {
		if rest, found = strings.CutSuffix(inner, "]"); !found {
			return ID{}, usagef("%q is no namespace: the bracket is not closed", s)
		}
	}
	inode, ok := proc.Decimal(rest)
	if !ok || inode == 0 {
		return ID{}, usagef("%q is no namespace: %q is no inode number", s, rest)
	}
	return ID{t, inode}, nil
}
