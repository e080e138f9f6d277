package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A /proc shows the processes of the PID namespace that it was mounted in, by
// their numbers there. That need not be ours (unshare -pf without --mount-proc):
// then a number in /proc and one that a system call or a cgroup file takes from us
// are two different processes.

// SamePIDs says that the procfs at dir numbers processes as the kernel does for
// us. That we have the same number in both does not show it: NSpid has one for
// each PID namespace from the procfs's down to our own (Linux 4.1).
func SamePIDs(dir string) bool {
	link, err := os.Readlink(filepath.Join(dir, "self"))
	if err != nil || link != strconv.Itoa(os.Getpid()) {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, "self/status"))
	if err != nil {
		return false
	}
	pids, found := StatusField(string(text), "NSpid")
	return !found || len(strings.Fields(pids)) == 1
}

// NumberInProc is the number that our /proc has for a process of ours, which a
// pidfd tells (pidfd_show_fdinfo in fs/pidfs.c, Linux 5.4). It is ESRCH if the
// process is gone, or not to be seen in that /proc.
func NumberInProc(pid int) (int, error) {
	fd, err := OpenPIDFD(pid)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	name := "/proc/thread-self/fdinfo/" + strconv.Itoa(fd)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	word, found := StatusField(string(text), "Pid")
	number, err := strconv.Atoi(strings.TrimSpace(word))
	if !found || err != nil {
		return 0, fmt.Errorf("%s: no Pid", name)
	}
	if number <= 0 {
		return 0, unix.ESRCH
	}
	return number, nil
}
