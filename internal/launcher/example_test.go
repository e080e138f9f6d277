package launcher_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"nsx/internal/launcher"

	"golang.org/x/sys/unix"
)

// Run a command in the network and user namespaces of another process.
func Example_enter() {
	fd, err := unix.PidfdOpen(5151, 0)
	if err != nil {
		log.Fatal(err)
	}
	process := os.NewFile(uintptr(fd), "pidfd")
	defer process.Close()

	var p launcher.Program
	p.Setns("setns(5151)", p.File(process), unix.CLONE_NEWUSER|unix.CLONE_NEWNET)
	p.CloseFiles()
	p.NotDumpable()
	p.Fork() // into the PID and time namespaces, had we asked for them
	p.DieWithParent(unix.SIGKILL)
	p.Exec("ip", launcher.DefaultPath)

	proc, err := launcher.Start(context.Background(), &p, launcher.Attr{
		Argv:  []string{"ip", "address"},
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		log.Fatal(err) // setns(5151): operation not permitted (EPERM)
	}
	state, err := proc.Wait()
	fmt.Println(state, err)
}

// Run a shell as root of new user, PID and mount namespaces, whose id maps this
// process writes.
func Example_unshare() {
	var p launcher.Program
	p.Unshare("unshare(user)", unix.CLONE_NEWUSER)
	p.Parent("write id maps", func(pid int) error {
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
	})
	p.Setgid(0)
	p.Setuid(0)
	p.Unshare("unshare(mnt, pid)", unix.CLONE_NEWNS|unix.CLONE_NEWPID)
	p.Fork()
	p.Mount("make mounts private", "", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	p.Mount("mount /proc", "proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	p.DieWithParent(unix.SIGKILL)
	p.Exec("/bin/sh", "")

	proc, err := launcher.Start(context.Background(), &p, launcher.Attr{
		Argv:  []string{"sh"},
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		log.Fatal(err)
	}
	state, err := proc.Wait()
	fmt.Println(state, err)
}
