package testkit

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// AllNS is the names of the eight namespace types in the order of lsns(8).
var AllNS = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

var nsFlags = map[string]uintptr{
	"cgroup": unix.CLONE_NEWCGROUP,
	"ipc":    unix.CLONE_NEWIPC,
	"mnt":    unix.CLONE_NEWNS,
	"net":    unix.CLONE_NEWNET,
	"pid":    unix.CLONE_NEWPID,
	"time":   unix.CLONE_NEWTIME,
	"user":   unix.CLONE_NEWUSER,
	"uts":    unix.CLONE_NEWUTS,
}

// CloneFlags is the CLONE_NEW* mask of the named types.
func CloneFlags(names ...string) (uintptr, error) {
	var flags uintptr
	for _, name := range names {
		flag, ok := nsFlags[name]
		if !ok {
			return 0, fmt.Errorf("unknown namespace type %q", name)
		}
		flags |= flag
	}
	return flags, nil
}

// ReadNS reads the inode number of a namespace link such as /proc/self/ns/net.
func ReadNS(path string) (uint64, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(link, ":[")
	if !ok {
		return 0, fmt.Errorf("%s: %q is no namespace link", path, link)
	}
	return strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64)
}

// OwnNS is the inode number of this process's namespace.
func OwnNS(name string) (uint64, error) { return ReadNS("/proc/self/ns/" + name) }
