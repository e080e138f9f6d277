package main

import (
	"fmt"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/linux"
	"nsx/internal/proc"
)

// Go's runtime starts threads as it sees fit, and where the kernel gives it none it
// ends the program and shows its stacks. Nobody can catch that. So nsx looks before
// how many there may be, while it has the three or four of every Go program.
// With one processor for Go, ls has five, freezing a group takes up to nine, and
// enter with its helper and that one's child ten.
const (
	roomToLook = 8
	roomToRun  = 12
	roomEnough = 40 // for any number of processors
	// Below that, the processes of a user are worth counting.
	lowUserLimit = 1024
)

// saveThreads does with fewer of them where there is not much room.
func saveThreads() {
	if room, _ := processRoom(); room < roomEnough {
		runtime.GOMAXPROCS(1)
	}
}

// checkRoom refuses a command for which there is no room.
func checkRoom(cmd *cobra.Command) error {
	room, by := processRoom()
	runs := slices.Contains([]string{"enter", "foreach", "run"}, cmd.Name())
	need := roomToLook
	if runs || slices.Contains([]string{"freeze", "kill"}, cmd.Name()) { // which start a process, too
		need = roomToRun
	}
	if room >= need {
		return nil
	}
	err := fmt.Errorf("starting threads: %w: it takes up to %d threads and processes, and %s leaves room for %d: raise it, or run nsx elsewhere",
		unix.EAGAIN, need, by, max(room, 0))
	if runs {
		return own(err)
	}
	return err
}

// processRoom is how many threads and processes there may be, with those of ours
// that are, and what bounds them.
var processRoom = sync.OnceValues(countRoom)

func countRoom() (room int, by string) {
	var task unix.Stat_t
	if err := unix.Stat("/proc/self/task", &task); err != nil {
		return math.MaxInt, ""
	}
	own := int(task.Nlink) - 2
	room, by = math.MaxInt, ""
	text, _ := proc.Root("").ReadFile("/proc/self/cgroup", proc.MaxFile)
	memberships, _ := cgroupfs.ParseMemberships(text)
	for _, m := range memberships {
		for _, mount := range pidsMounts(m) {
			for at := m.Path; ; at = path.Dir(at) {
				dir := path.Join(mount, at)
				limit, limited := readNumber(dir + "/pids.max")
				now, known := readNumber(dir + "/pids.current")
				if limited && known && limit-now+own < room {
					room, by = limit-now+own, dir+"/pids.max"
				}
				if at == "/" || at == "." {
					break
				}
			}
		}
	}
	if left := userRoom(); left < room-own {
		room, by = left+own, "ulimit -u"
	}
	return room, by
}

// pidsMounts is where the limits of such a group are on nearly every machine. The
// mount table, which would tell for all, takes too long for what is never needed
// but in an emergency.
func pidsMounts(m cgroupfs.Membership) []string {
	switch {
	case strings.HasPrefix(m.Path, "/.."): // out of sight
	case m.Hierarchy == 0:
		return []string{"/sys/fs/cgroup"}
	case slices.Contains(m.Controllers, "pids"):
		return []string{"/sys/fs/cgroup/pids"}
	}
	return nil
}

// readNumber reads one; "max" is none.
func readNumber(file string) (int, bool) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var buf [32]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0, false
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	return number, err == nil
}

// userRoom is how many more processes and threads our user may have, as far as can
// be seen (RLIMIT_NPROC in getrlimit(2)).
func userRoom() int {
	var limit unix.Rlimit
	uid := uint32(unix.Getuid())
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil || limit.Cur > lowUserLimit || uid == 0 ||
		linux.HasCapability(unix.CAP_SYS_RESOURCE) || linux.HasCapability(unix.CAP_SYS_ADMIN) {
		return math.MaxInt
	}
	left := int(limit.Cur)
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var task unix.Stat_t
		if err := unix.Stat("/proc/"+e.Name()+"/task", &task); err == nil && task.Uid == uid {
			left -= int(task.Nlink) - 2
		}
	}
	return left
}
