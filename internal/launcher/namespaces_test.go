package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// allTypes is the flags of the eight types.
const allTypes = unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
	unix.CLONE_NEWPID | unix.CLONE_NEWTIME | unix.CLONE_NEWUSER | unix.CLONE_NEWUTS

// pidfd opens a process.
func pidfd(t testing.TB, pid int) *os.File {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))
	t.Cleanup(func() { f.Close() })
	return f
}

// TestEnterEverything enters all eight namespaces of a process and looks from
// outside where the program is.
func TestEnterEverything(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	configs := map[string]testkit.Config{"own": {New: testkit.AllNS}}
	if os.Geteuid() == 0 {
		configs["of a user"] = testkit.Config{New: testkit.AllNS, UID: 65534}
	}
	configs["nested"] = testkit.Config{New: testkit.AllNS, Depth: 2}
	for name, c := range configs {
		t.Run(name, func(t *testing.T) {
			target := testkit.Start(t, c)
			bothWays(t, func(t *testing.T, way Way) {
				var p Program
				p.Setns("setns(target)", p.File(pidfd(t, target.PID)), allTypes)
				p.CloseFiles()
				p.NotDumpable()
				p.Fork()
				p.DieWithParent(unix.SIGKILL)
				p.Exec("/bin/cat", "")
				read, write, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer write.Close()
				proc, err := Start(context.Background(), &p, Attr{Argv: []string{"cat"}, Files: []*os.File{read, os.Stderr}, Way: way})
				read.Close()
				if err != nil {
					t.Fatal(err)
				}
				for _, ns := range testkit.AllNS {
					got, err := testkit.ReadNS(fmt.Sprintf("/proc/%d/ns/%s", proc.Pid, ns))
					if err != nil || got != target.NS(ns) {
						t.Errorf("%s: %d, %v, want %d", ns, got, err, target.NS(ns))
					}
				}
				write.Close()
				if state, err := proc.Wait(); err != nil || !state.Success() {
					t.Errorf("%v, %v", state, err)
				}
			})
		})
	}
}

func TestRefusedSetns(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Setns("setns(own user)", p.File(pidfd(t, os.Getpid())), unix.CLONE_NEWUSER)
		failsAt(t, &p, Attr{Way: way}, "setns(own user)", unix.EINVAL)
	})
}

// TestDeadPIDNamespace enters one whose process 1 is no more: fork(2) says ENOMEM.
func TestDeadPIDNamespace(t *testing.T) {
	types := []string{"pid"}
	if os.Geteuid() != 0 {
		types = append(types, "user")
	}
	testkit.RequireNS(t, types...)
	c := testkit.Config{Mode: testkit.FDHolder, Apart: []string{"pid"}}
	if os.Geteuid() != 0 {
		c.New = []string{"user"}
	}
	holder := testkit.Start(t, c)
	bothWays(t, func(t *testing.T, way Way) {
		ns, err := os.Open(holder.Path("fd", fmt.Sprint(holder.HeldFD["pid"])))
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		var p Program
		if os.Geteuid() != 0 {
			p.Setns("setns(user)", p.File(pidfd(t, holder.PID)), unix.CLONE_NEWUSER)
		}
		p.Setns("setns(pid)", p.File(ns), unix.CLONE_NEWPID)
		p.Fork()
		p.Exec("/bin/true", "")
		failsAt(t, &p, Attr{Way: way}, "fork", unix.ENOMEM)
	})
}

// mapSelf gives the user namespace of a process its maps: root to us.
func mapSelf(pid int) error {
	for _, w := range [][2]string{
		{"setgroups", "deny"},
		{"uid_map", fmt.Sprintf("0 %d 1", os.Geteuid())},
		{"gid_map", fmt.Sprintf("0 %d 1", os.Getegid())},
	} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, w[0]), []byte(w[1]), 0); err != nil {
			return err
		}
	}
	return nil
}

func TestUnshareWithMapsOfTheParent(t *testing.T) {
	testkit.RequireNS(t, testkit.AllNS...)
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Unshare("unshare(user)", unix.CLONE_NEWUSER)
		p.Parent("write id maps", mapSelf)
		p.Unshare("unshare(rest)", allTypes&^unix.CLONE_NEWUSER)
		p.WriteFile("/proc/self/timens_offsets", "boottime 86400000 0")
		p.Fork()
		p.Mount("make mounts private", "", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		p.Mount("mount /proc", "proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		p.NotDumpable()
		a := shell(&p, "id -u; id -g; echo $$; cat /proc/1/comm; cut -d. -f1 /proc/uptime; grep CapEff /proc/self/status")
		a.Way = way
		text, _ := output(t, &p, a)
		got := lines(text)
		if len(got) != 6 || got[0] != "0" || got[1] != "0" || got[2] != "1" || got[3] != "sh" || len(got[4]) < 8 || strings.HasSuffix(got[5], "\t0000000000000000") {
			t.Errorf("%q", got)
		}
	})
}

func TestUnshareWithOwnMaps(t *testing.T) {
	testkit.RequireNS(t, "user")
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Unshare("unshare(user)", unix.CLONE_NEWUSER)
		p.WriteFile("/proc/self/setgroups", "deny")
		p.WriteFile("/proc/self/uid_map", fmt.Sprintf("5 %d 1", os.Geteuid()))
		p.WriteFile("/proc/self/gid_map", fmt.Sprintf("6 %d 1", os.Getegid()))
		a := shell(&p, "id -u; id -g")
		a.Way = way
		if text, _ := output(t, &p, a); text != "5\n6\n" {
			t.Errorf("%q", text)
		}

		p = Program{}
		p.WriteFile("/proc/self/uid_map", "0 0 1")
		err := refused(t, &p, Attr{Way: way})
		if !errors.Is(err, unix.EPERM) || !strings.HasPrefix(err.Error(), `write "0 0 1" to /proc/self/uid_map: `) {
			t.Error(err)
		}
		p = Program{}
		p.WriteFile("/nonexistent/file", "")
		failsAt(t, &p, Attr{Way: way}, "open /nonexistent/file", unix.ENOENT)
	})
}

// TestCheckDir stays behind, outside the root.
func TestCheckDir(t *testing.T) {
	testkit.RequireNS(t, "user")
	bothWays(t, func(t *testing.T, way Way) {
		var dirs []*os.File
		for range 2 {
			dir, err := os.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			dirs = append(dirs, dir)
		}
		var p Program
		p.Unshare("unshare(user)", unix.CLONE_NEWUSER)
		p.CheckDir("the first")
		p.Fchdir("chroot", p.File(dirs[0]))
		p.ChrootHere("chroot")
		p.CheckDir("inside")
		p.Fchdir("fchdir", p.File(dirs[1]))
		p.CheckDir("outside")
		failsAt(t, &p, Attr{Way: way}, "outside", unix.ENOENT)
	})
}
