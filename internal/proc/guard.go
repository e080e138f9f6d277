package proc

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how many times the timeout a call gets that is not asleep: one
// that only waits for a processor is not stuck.
const Patience = 10

// Guarded calls read(i) for each i below n from several goroutines, and, one
// at a time, the functions that these calls return.
//
// A call that takes long gets a fresh goroutine beside it, so that many that
// do are waited for together. One that takes longer than timeout, asleep in the
// kernel, is given up and its i returned: its goroutine is left behind, and what
// it brings in the end is dropped. asleep, usually ThreadAsleep, says so of a
// thread of ours. When ctx ends, all that still run are left behind, and nothing
// says which.
func Guarded(ctx context.Context, n, workers int, timeout time.Duration, asleep func(tid int) bool, read func(i int) (commit func())) (stuck []int) {
	type worker struct {
		tid       int
		i         int // what it reads, -1 before the first
		since     time.Time
		replaced  bool // another one goes on with the rest
		abandoned bool
	}
	var (
		mu     sync.Mutex
		next   int
		active = map[*worker]bool{}
		idle   = make(chan struct{})
	)
	work := func(w *worker) {
		runtime.LockOSThread() // so that its thread can be asked for
		defer runtime.UnlockOSThread()
		mu.Lock()
		defer mu.Unlock()
		w.tid = unix.Gettid()
		for next < n && ctx.Err() == nil && !w.replaced {
			w.i, w.since = next, time.Now()
			next++
			mu.Unlock()
			commit := read(w.i)
			mu.Lock()
			if w.abandoned {
				return
			}
			commit()
		}
		delete(active, w)
		if len(active) == 0 {
			close(idle)
		}
	}
	start := func() {
		w := &worker{i: -1}
		active[w] = true
		go work(w)
	}
	mu.Lock()
	for range max(workers, 1) {
		start()
	}
	mu.Unlock()

	long := max(timeout/20, time.Millisecond)
	tick := time.NewTicker(long)
	defer tick.Stop()
	for {
		select {
		case <-idle:
			return stuck
		case <-ctx.Done():
			mu.Lock()
			defer mu.Unlock()
			for w := range active {
				w.abandoned = true
			}
			return stuck
		case <-tick.C:
		}
		mu.Lock()
		for w := range active {
			if w.i < 0 {
				continue
			}
			busy := time.Since(w.since)
			if busy > long && !w.replaced && next < n {
				w.replaced = true
				start()
			}
			if busy > timeout && asleep(w.tid) || busy > Patience*timeout {
				w.abandoned = true
				delete(active, w)
				stuck = append(stuck, w.i)
			}
		}
		left := len(active)
		mu.Unlock()
		if left == 0 {
			return stuck
		}
	}
}

// ThreadAsleep says that a thread of ours is in a sleep that no signal ends: that
// is how it waits for a memory lock or a page (state D), whereas one that waits
// for a processor can run (state R). Where it cannot be known, it is.
func ThreadAsleep(tid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
	if err != nil {
		return true
	}
	st, err := ParseStat(text)
	return err != nil || st.State == 'D'
}
