package enter

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

// Wherever our mount namespace was made, and wherever the new one will be, it
// can be kept in ours: that is, bound to a file.
func TestOutrun(t *testing.T) {
	testkit.RequireRoot(t)
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	var cpus []int
	for cpu := range cpuSetSize {
		if all.IsSet(cpu) && len(cpus) < 2 {
			cpus = append(cpus, cpu)
		}
	}
	for _, ours := range cpus {
		for _, next := range cpus {
			if err := keepOn(t.TempDir(), ours, next); err != nil {
				t.Errorf("a mount namespace of processor %d in one of processor %d: %v", next, ours, err)
			}
		}
	}
}

// keepOn keeps a new mount namespace in another one, each made on a processor
// of its own, and leaves nothing of it.
func keepOn(dir string, ours, next int) error {
	done := make(chan error, 1)
	linux.OnThread(func() {
		err := newMounts(ours)
		if err == nil { // else these would be the machine's
			err = errors.Join(
				unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount("none", dir, "tmpfs", 0, ""),
				unix.Mknod(dir+"/kept", unix.S_IFREG, 0),
				pin(next))
		}
		if err == nil {
			outrun("/proc/thread-self/ns/mnt")
			err = bindOther(dir+"/kept", next)
		}
		done <- err
	})
	return <-done
}

// bindOther keeps the mount namespace of another thread.
func bindOther(path string, cpu int) error {
	made, end := make(chan error), make(chan struct{})
	defer close(end)
	tid := 0
	linux.OnThread(func() {
		tid = unix.Gettid()
		made <- newMounts(cpu)
		<-end
	})
	if err := <-made; err != nil {
		return err
	}
	return unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/mnt", tid), path, "", unix.MS_BIND, "")
}

// newMounts moves the thread to a new mount namespace, made on a processor.
func newMounts(cpu int) error {
	return errors.Join(pin(cpu), unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS))
}

func pin(cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	return unix.SchedSetaffinity(0, &one)
}
