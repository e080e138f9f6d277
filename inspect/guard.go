package inspect

import (
	"context"
	"sync"
	"time"
)

// guarded calls read(i) for each i below n from several goroutines, and, one
// at a time, the functions that these calls return.
//
// A call that takes longer than timeout is given up and its i returned. Its
// goroutine, asleep in the kernel, is left behind and replaced by a fresh one;
// what it brings in the end is dropped.
func guarded(ctx context.Context, n, workers int, timeout time.Duration, read func(i int) (commit func())) (stuck []int) {
	type worker struct {
		i         int
		since     time.Time
		abandoned bool
	}
	var (
		mu     sync.Mutex
		next   int
		active = map[*worker]bool{}
		idle   = make(chan struct{})
	)
	work := func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for next < n && ctx.Err() == nil {
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
		w := &worker{since: time.Now(), i: -1}
		active[w] = true
		go work(w)
	}
	mu.Lock()
	for range max(workers, 1) {
		start()
	}
	mu.Unlock()

	tick := time.NewTicker(max(timeout/4, time.Millisecond))
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
			if w.i >= 0 && time.Since(w.since) > timeout {
				w.abandoned = true
				delete(active, w)
				stuck = append(stuck, w.i)
				start()
			}
		}
		mu.Unlock()
	}
}
