package proc

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

func alwaysAsleep(int) bool { return true }

func TestGuardedReadsAll(t *testing.T) {
	testkit.CheckLeaks(t)
	for _, workers := range []int{-1, 0, 1, 3, 50} {
		for _, n := range []int{0, 1, 2, 1000} {
			// Commits come one at a time: the race detector watches this slice.
			var got []int
			stuck := Guarded(t.Context(), n, workers, time.Minute, ThreadAsleep, func(i int) func() {
				return func() { got = append(got, i) }
			})
			slices.Sort(got)
			if len(stuck) > 0 || len(got) != n || len(slices.Compact(got)) != n {
				t.Errorf("%d workers, %d reads: %d done, stuck %v", workers, n, len(got), stuck)
			}
		}
	}
}

// TestGuardedGivesUp has every tenth read block for as long as the test runs.
func TestGuardedGivesUp(t *testing.T) {
	testkit.CheckLeaks(t)
	release := make(chan struct{})
	var late atomic.Int32
	const n, timeout = 200, 100 * time.Millisecond
	var got []int
	start := time.Now()
	stuck := Guarded(t.Context(), n, 2, timeout, alwaysAsleep, func(i int) func() {
		if i%10 == 0 {
			<-release
			late.Add(1)
		}
		return func() { got = append(got, i) }
	})
	took := time.Since(start)
	slices.Sort(stuck)
	var want []int
	for i := 0; i < n; i += 10 {
		want = append(want, i)
	}
	if !slices.Equal(stuck, want) || len(got) != n-len(want) {
		t.Errorf("stuck %v, %d done", stuck, len(got))
	}
	// One after the other they would take 20 × 100 ms by two workers.
	if took < timeout || took > 8*timeout {
		t.Errorf("%d stuck reads took %v", len(want), took)
	}
	close(release)
	for deadline := time.Now().Add(5 * time.Second); int(late.Load()) < len(want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the reads left behind did not end")
		}
	}
	time.Sleep(10 * time.Millisecond)
	if len(got) != n-len(want) {
		t.Error("what came too late was not dropped")
	}
}

// TestGuardedWhenTheLastIsStuck has nobody left to say that all is done.
func TestGuardedWhenTheLastIsStuck(t *testing.T) {
	testkit.CheckLeaks(t)
	release := make(chan struct{})
	defer close(release)
	done := make(chan []int)
	go func() {
		done <- Guarded(context.Background(), 3, 1, 20*time.Millisecond, alwaysAsleep, func(i int) func() {
			if i == 2 {
				<-release
			}
			return func() {}
		})
	}()
	select {
	case stuck := <-done:
		if !slices.Equal(stuck, []int{2}) {
			t.Errorf("stuck %v", stuck)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the stuck one")
	}
}

func TestGuardedSlowIsNotStuck(t *testing.T) {
	testkit.CheckLeaks(t)
	var got []int
	stuck := Guarded(t.Context(), 20, 1, 10*time.Second, alwaysAsleep, func(i int) func() {
		if i%4 == 0 {
			time.Sleep(600 * time.Millisecond) // over a twentieth of the timeout
		}
		return func() { got = append(got, i) }
	})
	slices.Sort(got)
	if len(stuck) > 0 || len(slices.Compact(got)) != 20 {
		t.Errorf("done %v, stuck %v", got, stuck)
	}
}

// TestGuardedOnlyGivesUpSleepers: a read that waits for a processor, for as long as
// the machine is busy, is no stuck one. It gets ten times as long.
func TestGuardedOnlyGivesUpSleepers(t *testing.T) {
	testkit.CheckLeaks(t)
	release := make(chan struct{})
	const timeout = 20 * time.Millisecond
	var asked atomic.Int32
	awake := func(tid int) bool {
		if asked.Add(1) == 3 {
			close(release)
		}
		if entry := fmt.Sprintf("/proc/self/task/%d", tid); !isThere(entry) {
			t.Errorf("no %s: that is no thread of ours", entry)
		}
		return false
	}
	done := 0
	stuck := Guarded(t.Context(), 1, 1, timeout, awake, func(int) func() {
		<-release
		return func() { done++ }
	})
	if len(stuck) > 0 || done != 1 {
		t.Errorf("stuck %v, %d done", stuck, done)
	}
	// Not for ever.
	block := make(chan struct{})
	defer close(block)
	start := time.Now()
	stuck = Guarded(t.Context(), 1, 1, timeout, func(int) bool { return false }, func(int) func() {
		<-block
		return func() {}
	})
	if took := time.Since(start); len(stuck) != 1 || took < Patience*timeout {
		t.Errorf("stuck %v after %v", stuck, took)
	}
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestThreadAsleep: who computes is awake. Who reads in vain is asleep: that is
// TestStuck's.
func TestThreadAsleep(t *testing.T) {
	testkit.CheckLeaks(t)
	tid, ended := make(chan int), make(chan struct{})
	var stop atomic.Bool
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		for !stop.Load() { // computes
		}
	}()
	if ThreadAsleep(<-tid) {
		t.Error("a thread that computes sleeps")
	}
	stop.Store(true)
	<-ended
	if !ThreadAsleep(1 << 30) {
		t.Error("of a thread that is not there, it is said to be awake")
	}
}

func TestGuardedStopsWithItsContext(t *testing.T) {
	testkit.CheckLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	var committed atomic.Int32
	var began atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		Guarded(ctx, 1000, 2, time.Minute, ThreadAsleep, func(int) func() {
			began.Add(1)
			cancel()
			<-release
			return func() { committed.Add(1) }
		})
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	close(release)
	time.Sleep(20 * time.Millisecond)
	if began.Load() > 2 || committed.Load() != 0 {
		t.Errorf("%d reads began, %d were committed", began.Load(), committed.Load())
	}
}
