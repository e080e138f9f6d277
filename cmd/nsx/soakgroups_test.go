package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
)

// sleeper starts a process to put into groups. It ends with us.
func (v *visit) sleeper() *exec.Cmd {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		v.Fatal(err)
	}
	return cmd
}

// groupWork takes a group from its making to its removal, unless the kernel
// refuses us the directory.
func (v *visit) groupWork() {
	refusal := v.groupRefusal()
	err := v.tryGroup(soakGroup() + "/work")
	if !errors.Is(err, refusal) {
		v.Fatalf("group work: %v, where mkdir says: %v", err, refusal)
	}
	if errno, ok := errors.AsType[unix.Errno](refusal); ok {
		v.refused(unix.ErrnoName(errno) + " for a group")
	}
	removeSoakGroups(v.T)
}

// groupRefusal is the errno of making a group ourselves, or nil.
func (v *visit) groupRefusal() error {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		v.Fatal(err)
	}
	h, err := fs.Controller("pids")
	if err != nil {
		v.Fatal(err)
	}
	if err := unix.Mkdir(h.Dir(soakGroup()), 0o755); err != nil {
		return err
	}
	if err := unix.Rmdir(h.Dir(soakGroup())); err != nil {
		v.Fatal(err)
	}
	return nil
}

// tryGroup does the same until something fails.
func (v *visit) tryGroup(name string) error {
	v.Groups++
	ctx, cancel := context.WithTimeout(v.Context(), 20*time.Second)
	defer cancel()
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return err
	}
	group, err := fs.Group(name)
	if err != nil {
		return err
	}
	pids := int64(40)
	if _, err := group.Create(context.Background(), cgroupfs.CreateOptions{Controllers: []string{"memory"}, Limits: cgroupfs.Limits{PIDs: &pids}}); err != nil {
		return err
	}
	p := v.sleeper()
	defer func() { _ = p.Process.Kill(); _ = p.Wait() }()
	inside := exec.Command("true")
	for _, step := range []func() error{
		func() error { return group.Attach(context.Background(), p.Process.Pid) },
		func() error { _, err := group.Members(ctx); return err },
		func() error { return v.limit(group, pids+1) },
		func() error { _, err := group.Get(ctx); return err },
		func() error { _, err := group.Stat(ctx); return err },
		func() error { _, err := group.Effective(ctx); return err },
		func() error { return group.Start(inside) },
		func() error {
			if inside.Process != nil {
				return inside.Wait()
			}
			return nil
		},
		func() error { return group.Freeze(ctx) },
		func() error { return group.Thaw(ctx) },
		func() error { return group.Kill(ctx) },
		func() error { return group.Remove(ctx, true) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if there, _ := group.Exists(); there {
		v.Errorf("%s was removed, and is there", name)
	}
	return nil
}

func (v *visit) limit(group *cgroupfs.Group, pids int64) error {
	_, err := group.Set(context.Background(), cgroupfs.Limits{PIDs: &pids}, cgroupfs.PlanOptions{})
	return err
}

// removedGroups has groups removed by somebody else while we work in them.
func removedGroups(v *visit) func() {
	v.Cleanup(func() { removeSoakGroups(v.T) })
	return func() {
		name := fmt.Sprintf("%s/gone%d", soakGroup(), v.Rounds)
		stop := make(chan struct{})
		var other sync.WaitGroup
		other.Go(func() { removeAgain(name, stop) })
		defer func() { close(stop); other.Wait() }()
		for range 10 {
			if err := v.tryGroup(name); err != nil {
				v.refused(v.errnoOf("group work", err, unix.ENOENT, unix.ENODEV, unix.EBUSY, unix.ESRCH,
					unix.EOPNOTSUPP)) // it is left only where there is no freezer
			}
		}
	}
}

// removeAgain removes a group whenever it can, in any hierarchy.
func removeAgain(name string, stop <-chan struct{}) {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return
	}
	for {
		for _, h := range fs.Hierarchies() {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.IntN(500)) * time.Microsecond):
				_ = os.Remove(h.Dir(name))
				_ = os.Remove(filepath.Dir(h.Dir(name)))
			}
		}
	}
}

// soakRoom is a group to run commands in, of one controller.
type soakRoom struct {
	*cgroupfs.Group
	dir string
	v   *visit
}

func (v *visit) group(controller string) soakRoom {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		v.Fatal(err)
	}
	group, err := fs.Group(soakGroup() + "/" + controller)
	if err == nil {
		_, err = group.Create(context.Background(), cgroupfs.CreateOptions{Controllers: []string{controller}})
	}
	h, missing := fs.Controller(controller)
	if err != nil || missing != nil {
		v.Fatal(err, missing)
	}
	return soakRoom{group, h.Dir(group.Path()), v}
}

// command goes into the group itself: a thread of ours that did, as Start has
// one do, could be the one that the kernel kills there.
func (r soakRoom) command(name string, args ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, r.dir, name}, args...)...)
}

// limitMemory leaves the limit where the kernel cannot lower it just now.
func (r soakRoom) limitMemory(n int64) error {
	plan, err := r.Forced().Plan(context.Background(), cgroupfs.Limits{Memory: &n}, cgroupfs.PlanOptions{})
	if err == nil {
		_, err = plan.Apply(context.Background())
	}
	if errors.Is(err, unix.EBUSY) {
		return nil
	}
	return err
}
