package testkit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stormAlive is the most processes of a fork storm that live at one time.
const stormAlive = 200

// StormStats counts what a fork storm did.
type StormStats struct {
	Born     uint64 // processes started
	Died     uint64 // processes ended and reaped
	InNew    uint64 // those of Born that got new namespaces
	MaxAlive uint64 // the most that were alive at once
}

// Storm is a running fork storm.
type Storm struct {
	h     *helper
	stats *os.File
	stop  sync.Once
	last  StormStats
}

// ForkStorm keeps processes being born and dying until it is stopped or the
// test ends: at most 200 at a time, each for some milliseconds, every eighth
// in new namespaces (uts and ipc; with user if an ordinary user runs it).
// PIDs come round and are used again within seconds.
func ForkStorm(t testing.TB) *Storm {
	t.Helper()
	if err := roomFor(stormAlive); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	stats, err := memfd("testkit-storm")
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	h, err := launch{role: "storm", spec: struct{}{}, extra: []*os.File{stats}}.start()
	if err != nil {
		stats.Close()
		t.Fatalf("testkit: %v", err)
	}
	s := &Storm{h: h, stats: stats}
	t.Cleanup(func() { s.Stop() })
	var failure string
	if err := h.answer(&failure, readyTimeout); err != nil || failure != "" {
		t.Fatalf("testkit: fork storm: %v %s", err, failure)
	}
	return s
}

// Stats is the counts so far.
func (s *Storm) Stats() StormStats {
	var buf [32]byte
	if n, err := s.stats.ReadAt(buf[:], 0); err != nil || n != len(buf) {
		return s.last // stopped, or not begun
	}
	return StormStats{
		Born:     binary.NativeEndian.Uint64(buf[0:]),
		Died:     binary.NativeEndian.Uint64(buf[8:]),
		InNew:    binary.NativeEndian.Uint64(buf[16:]),
		MaxAlive: binary.NativeEndian.Uint64(buf[24:]),
	}
}

// Stop ends the storm, waits until all its processes are gone, and returns the
// final counts.
func (s *Storm) Stop() StormStats {
	s.stop.Do(func() {
		s.h.kill(10 * time.Second)
		s.last = s.Stats()
		s.stats.Close()
	})
	return s.last
}

// stormMain is the helper.
func stormMain() {
	var nothing struct{}
	err := json.NewDecoder(os.NewFile(controlFD, "control")).Decode(&nothing)
	if err == nil {
		err = blockSignals()
	}
	flags := uintptr(unix.CLONE_NEWUTS | unix.CLONE_NEWIPC)
	if os.Geteuid() != 0 {
		flags |= unix.CLONE_NEWUSER
	}
	s := stormer{newFlags: flags, parent: uintptr(os.Getpid())}
	if err == nil {
		err = s.bear(0) // a machine that refuses the first is a machine without storms
	}
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	_ = json.NewEncoder(os.NewFile(statusFD, "status")).Encode(failure)
	if err == nil {
		s.run()
	}
	for s.reap(0) {
	}
	s.publish()
}

type stormer struct {
	StormStats
	newFlags uintptr
	parent   uintptr
	timeout  unix.Timespec // of the next child
}

func (s *stormer) run() {
	begin := time.Now()
	control := []unix.PollFd{{Fd: controlFD, Events: unix.POLLIN}}
	for i := uint64(0); time.Since(begin) < Lifetime; i++ {
		flags := uintptr(0)
		if i%8 == 0 {
			flags = s.newFlags
		}
		if s.Born-s.Died < stormAlive {
			// EAGAIN, ENOSPC: a limit of the machine's; the storm goes on below it.
			_ = s.bear(flags)
		}
		for s.reap(unix.WNOHANG) {
		}
		// A pause now and then leaves a processor to those who watch.
		wait := 0
		if i%16 == 0 {
			wait = 1
			s.publish()
		}
		if n, err := unix.Poll(control, wait); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// bear starts a child that lives from 0 to 30 ms.
func (s *stormer) bear(flags uintptr) error {
	s.timeout = unix.NsecToTimespec(int64(s.Born*7%31) * int64(time.Millisecond))
	_, errno := cloneShortLived(s, flags)
	if errno != 0 {
		return fmt.Errorf("clone: %w", errno)
	}
	s.Born++
	if flags != 0 {
		s.InNew++
	}
	s.MaxAlive = max(s.MaxAlive, s.Born-s.Died)
	return nil
}

// cloneShortLived returns in the parent only.
//
//go:nosplit
//go:norace
//go:noinline
func cloneShortLived(s *stormer, flags uintptr) (int, syscall.Errno) {
	pid, errno := rawClone(flags)
	if pid == 0 && errno == 0 {
		rawDieWithParent(s.parent)
		rawCloseFrom(controlFD)
		rawPause(&s.timeout)
	}
	return pid, errno
}

// reap collects one dead child, if there is one.
func (s *stormer) reap(options int) bool {
	pid, err := unix.Wait4(-1, nil, options, nil)
	if errors.Is(err, unix.EINTR) {
		return true
	}
	if err != nil || pid == 0 {
		return false
	}
	s.Died++
	return true
}

// publish writes the counts where the test reads them.
func (s *stormer) publish() {
	buf := make([]byte, 0, 32)
	for _, n := range []uint64{s.Born, s.Died, s.InNew, s.MaxAlive} {
		buf = binary.NativeEndian.AppendUint64(buf, n)
	}
	_, _ = unix.Pwrite(extraFD, buf, 0)
}
