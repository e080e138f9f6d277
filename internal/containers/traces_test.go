//go:build containers

package containers

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cleansUp fails the test if at its end there is a process, mount or cgroup of
// its container. Call it first. The groups that a runtime leaves behind when its
// last container has gone are removed.
func cleansUp(t *testing.T) {
	t.Helper()
	groups := allGroups(t)
	t.Cleanup(func() {
		left := func() []string {
			now := slices.DeleteFunc(allGroups(t), func(dir string) bool { return slices.Contains(groups, dir) })
			slices.Reverse(now) // children first
			for _, dir := range now {
				os.Remove(dir)
			}
			return slices.Concat(now, ourProcesses(), ourMounts(t))
		}
		// Whoever reaps orphans here may take seconds for it.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			list := left()
			if len(list) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("left behind: %q", list)
				return
			}
		}
	})
}

// theirGroups are the groups below which runtimes make theirs. Others come and go
// on any machine, and are nobody's business here.
var theirGroups = []string{
	".lxc", "docker", "libpod_parent", "lxc.*", "payload", "supervisor", filepath.Dir(runcGroup)[1:],
}

// allGroups lists the directories of those in all hierarchies, parents first.
func allGroups(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for line := range strings.Lines(mounts(t, "self")) {
		// 40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		if !strings.Contains(line, " - cgroup") {
			continue
		}
		for _, pattern := range theirGroups {
			roots, _ := filepath.Glob(filepath.Join(strings.Fields(line)[4], pattern))
			for _, root := range roots {
				_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
					if err != nil { // it has gone
						return fs.SkipDir
					}
					if d.IsDir() {
						dirs = append(dirs, path)
					}
					return nil
				})
			}
		}
	}
	return dirs
}

// habits are what runtimes make outside the directories that they are told to use.
var habits = []string{
	"/run/containerd", "/run/containers", "/run/docker", "/run/libpod", "/run/lxc", "/run/runc", "/var/lib/containers",
}

// missing lists those of the paths that are not there.
func missing(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

// boxes is the PID namespaces of all containers so far.
var boxes []uint64

// ourProcesses lists processes that have the mark of the tests, or are in a
// container of theirs.
func ourProcesses() []string {
	var list []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		ns, _ := os.Readlink(filepath.Join(dir, "ns/pid"))
		boxed := slices.ContainsFunc(boxes, func(inode uint64) bool { return ns == fmt.Sprintf("pid:[%d]", inode) })
		if boxed || bytes.Contains(environ, []byte(markEnv+"="+workDir)) {
			cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			list = append(list, e.Name()+" "+string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))))
		}
	}
	return list
}

// ourMounts lists this machine's mounts in the directory of the tests.
func ourMounts(t *testing.T) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(mounts(t, "self")) {
		if strings.Contains(line, workDir) {
			list = append(list, line)
		}
	}
	return list
}

func mounts(t *testing.T, process string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", process, "mountinfo"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
